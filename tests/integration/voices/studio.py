"""What the tests of voices share: the gateway, and workers that run in this process."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from mynah.audio.waveform import Waveform
from mynah.contracts.states import OPEN_JOB_STATES, StepState
from mynah.contracts.tasks import (
    ANALYZE_SAMPLE,
    ASSEMBLE,
    BUILD_PROFILE,
    BUNDLE_AUDIO,
    CONVERT_AUDIO,
    ENHANCE_AUDIO,
    MEASURE_AUDIO,
    PACK_BATCH,
    PREPARE_VOICE,
    PUBLISH_VOICE,
    RENDER,
    SYNTHESIZE,
    StepPayload,
)
from mynah.db.models import Job, Step, Voice
from mynah.engines.base import SynthesisSettings
from mynah.engines.espeak.engine import EspeakEngine
from mynah.jobs.claims import LeaseKeeper
from mynah.jobs.runner import StepRunner, StepWork
from mynah.jobs.transitions import cancel_job
from mynah.jobs.worker import WorkerContext
from services.api.bootstrap import Container
from services.audio_proc.audio_items import process_item
from services.audio_proc.batch_archive import pack_batch
from services.audio_proc.bundle import bundle_job
from services.audio_proc.renditions import render
from services.audio_proc.sample_analysis import analyze_sample
from services.audio_proc.story import assemble_story
from services.audio_proc.voice_files import prepare_voice, publish_voice
from services.worker_tts.engine_host import EngineHost
from services.worker_tts.profile_building import build_profile
from services.worker_tts.profile_cache import ProfileCache
from services.worker_tts.synthesis import Speaker, speak_piece
from tests.integration.api.gateway import CONSENT, Account, Gateway, open_gateway

TEXT = (
    "The quick brown fox jumps over the lazy dog, while five big zephyrs jolt my wax bed. "
    "In the garden the children were laughing, and far away a train went by."
)


@dataclass(frozen=True)
class Studio:
    """The gateway with one account, and the workers behind it."""

    gateway: Gateway
    account: Account
    worker: WorkerContext
    works: dict[str, StepWork]
    profiles: ProfileCache

    @property
    def container(self) -> Container:
        return self.gateway.container

    @property
    def client(self) -> FlaskClient:
        return self.gateway.client

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, headers=self.account.auth, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.client.post(path, headers=self.account.auth, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.client.patch(path, headers=self.account.auth, **options)

    def delete(self, path: str) -> TestResponse:
        return self.client.delete(path, headers=self.account.auth)

    def upload(self, data: bytes, filename: str = "recording.wav", **form: str) -> dict[str, Any]:
        """Upload a recording; the sample as the gateway answers."""
        fields = {"file": (io.BytesIO(data), filename), **form}
        response = self.post("/api/samples", **multipart(fields))
        assert response.status_code == 201, response.get_data(as_text=True)
        return json_of(response)

    def clone(self, *sample_ids: str, **body: Any) -> dict[str, Any]:
        """Ask for a voice; the voice as the gateway answers."""
        order = {"name": "Ann", "language": "en", "consent": CONSENT, **body}
        response = self.post("/api/voices", json={**order, "sample_ids": sample_ids})
        assert response.status_code == 202, response.get_data(as_text=True)
        return json_of(response)

    def cloned(self, data: bytes, **body: Any) -> dict[str, Any]:
        """A voice that was made from one recording and is ready."""
        voice = self.clone(self.upload(data)["id"], sample_text="This is how I sound.", **body)
        self.work()
        ready = json_of(self.get(f"/api/voices/{voice['id']}"))
        assert ready["state"] == "ready", ready["error_message"]
        return ready

    def export(self, voice_id: str) -> bytes:
        """A voice's bundle."""
        with self.get(f"/api/voices/{voice_id}/export") as response:
            assert response.status_code == 200, response.get_data(as_text=True)
            return response.get_data()

    def import_file(self, data: bytes, filename: str = "file", **form: object) -> TestResponse:
        """Send a bundle or a voice file."""
        fields = {"file": (io.BytesIO(data), filename), **form}
        return self.post("/api/voices/import", **multipart(fields))

    def ready_steps(self) -> list[StepPayload]:
        """The account's steps that wait for a worker."""
        with self.worker.new_uow() as uow:
            steps = uow.session.scalars(
                select(Step)
                .join(Job, Job.id == Step.job_id)
                .where(Step.state == StepState.READY, Job.user_id == self.account.id)
                .order_by(Step.id)
            ).all()
            return [StepPayload(step_id=step.id, job_id=step.job_id) for step in steps]

    def work(self, most: int = 200) -> None:
        """Do what waits, and what follows from it, as the workers would; ``most`` steps of it."""
        for _ in range(most):
            waiting = self.ready_steps()
            if not waiting:
                return
            self._let_time_pass()
            self.worker.runner.run(waiting[0], self.works[self.task_of(waiting[0])])

    def _let_time_pass(self) -> None:
        """What was put back for a later try may be tried now."""
        with self.worker.new_uow() as uow:
            uow.session.execute(
                update(Step).where(Step.user_id == self.account.id).values(not_before=None)
            )
            uow.commit()

    def task_of(self, payload: StepPayload) -> str:
        """The task of a step."""
        with self.worker.new_uow() as uow:
            return uow.session.get_one(Step, payload.step_id).task

    def voice(self, voice_id: str) -> Voice:
        """A voice's row."""
        with self.worker.new_uow() as uow:
            return uow.session.get_one(Voice, UUID(voice_id))

    def job(self, job_id: str) -> Job:
        """A job's row."""
        with self.worker.new_uow() as uow:
            return uow.session.get_one(Job, UUID(job_id))

    def objects(self, part: str) -> set[str]:
        """Every key in the store that holds an id."""
        store = self.container.store
        folders = ("voices/", "uploads/", "stories/", "work/", "audio/")
        return {key for folder in folders for key in store.list(folder) if part in key}

    def with_new_account(self) -> Studio:
        """The same studio for somebody else."""
        return replace(self, account=self.gateway.register())

    @contextmanager
    def for_one_test(self) -> Iterator[Studio]:
        """The same studio for an account that has nothing yet.

        What the test leaves undone is cancelled: workers would do it in the next test, being fair.
        """
        yield self.with_new_account()
        with self.worker.new_uow() as uow:
            for job in uow.session.scalars(select(Job).where(Job.state.in_(OPEN_JOB_STATES))):
                cancel_job(uow, job)
            # A test may also have ended a job by hand, which leaves its steps.
            ended = (StepState.DONE, StepState.CANCELLED)
            for job_id in uow.session.scalars(
                select(Step.job_id).where(Step.state.not_in(ended)).distinct()
            ):
                uow.steps.cancel_all(job_id)
            uow.commit()


def multipart(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A form as a request's body; a tuple is a file's content and name.

    Made here, since the test client would leave a temporary file open.
    """
    stored = {
        name: FileStorage(*value) if isinstance(value, tuple) else value
        for name, value in fields.items()
    }
    boundary, body = encode_multipart(stored)
    return {"data": body, "content_type": f'multipart/form-data; boundary="{boundary}"'}


def json_of(response: TestResponse) -> dict[str, Any]:
    document: dict[str, Any] = response.get_json()
    return document


@contextmanager
def open_studio(
    database_url: str, redis_url: str, folder: Path, **settings: Any
) -> Iterator[Studio]:
    """A studio on a migrated database."""
    with open_gateway(database_url, redis_url, folder, **settings) as gateway:
        worker = _build_worker(gateway.container)
        speaker = Speaker(worker, EngineHost(), ProfileCache(8, 64))
        works: dict[str, StepWork] = {
            ANALYZE_SAMPLE.name: partial(analyze_sample, worker),
            PREPARE_VOICE.name: partial(prepare_voice, worker),
            BUILD_PROFILE.name: partial(build_profile, speaker),
            PUBLISH_VOICE.name: partial(publish_voice, worker),
            SYNTHESIZE.name: partial(speak_piece, speaker),
            ASSEMBLE.name: partial(assemble_story, worker),
            RENDER.name: partial(render, worker),
            MEASURE_AUDIO.name: partial(process_item, worker),
            ENHANCE_AUDIO.name: partial(process_item, worker),
            CONVERT_AUDIO.name: partial(process_item, worker),
            BUNDLE_AUDIO.name: partial(bundle_job, worker),
            PACK_BATCH.name: partial(pack_batch, worker),
        }
        yield Studio(gateway, gateway.register(), worker, works, speaker.profiles)
        speaker.engines.close()


def _build_worker(parts: Container) -> WorkerContext:
    """A worker's parts; it shares the gateway's, being in one process with it."""
    settings = parts.settings
    keeper = LeaseKeeper(parts.new_uow, settings.lease_s, settings.heartbeat_s)
    runner = StepRunner(parts.new_uow, keeper, settings)
    return WorkerContext(settings, parts.new_uow, parts.store, parts.broker, runner)


def speak(text: str = TEXT, voice: str = "en-us+f3") -> Waveform:
    """Somebody's speech, 22 050 Hz."""
    engine = EspeakEngine()
    profile = engine.builtin_profile(voice, "en")
    blocks = engine.synthesize(text, profile, SynthesisSettings())
    samples = np.concatenate([block.waveform.samples for block in blocks])
    return Waveform(samples, engine.info.sample_rate)
