"""Deleted means gone: every object, every cached copy, and whatever was still being made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from mynah.contracts.states import JobState
from mynah.contracts.tasks import BUILD_PROFILE, PREPARE_VOICE, PUBLISH_VOICE
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import StorageUnavailable
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.storage.local import LocalObjectStore
from tests.integration.api.gateway import error_of
from tests.integration.voices.studio import Studio, json_of

SAMPLE_TEXT = "This is how I sound."


def delete(studio: Studio, voice_id: str) -> None:
    assert studio.delete(f"/api/voices/{voice_id}").status_code == 204


def test_a_deleted_voice_leaves_no_object_and_no_row(studio: Studio, recording: bytes) -> None:
    voice = studio.cloned(recording)
    path = f"/api/voices/{voice['id']}"
    delete(studio, voice["id"])
    assert studio.objects(voice["id"]) == set()
    assert studio.objects(voice["job_id"]) == set()
    for response in (
        studio.get(path),
        studio.get(f"{path}/recording"),
        studio.get(f"{path}/export"),
        studio.delete(path),
    ):
        assert error_of(response, 404)["error_code"] == "voice_not_found"
    assert json_of(studio.get("/api/voices?mine=true"))["items"] == []


def test_what_was_to_be_spoken_with_it_fails_with_the_reason(
    studio: Studio, recording: bytes
) -> None:
    voice = studio.cloned(recording)
    order = {"text": "Once upon a time.", "voice_id": voice["id"]}
    job = json_of(studio.post("/api/tts/generate", json=order))
    delete(studio, voice["id"])
    assert studio.ready_steps() == []
    row = studio.job(job["job_id"])
    assert (row.state, row.error_code) == (JobState.FAILED, "voice_deleted")
    assert error_of(studio.post("/api/tts/generate", json=order), 404)


STEPS = (PREPARE_VOICE.name, BUILD_PROFILE.name, PUBLISH_VOICE.name)


def _assert_nothing_is_left(studio: Studio, voice: dict[str, Any]) -> None:
    assert studio.objects(voice["id"]) == set()
    assert studio.ready_steps() == []
    error_of(studio.get(f"/api/voices/{voice['id']}"), 404)


@pytest.mark.parametrize("task", STEPS)
def test_a_deletion_in_the_middle_of_a_step_is_not_undone_by_it(
    studio: Studio, recording: bytes, task: str
) -> None:
    voice = studio.clone(studio.upload(recording)["id"], sample_text=SAMPLE_TEXT)
    _run_up_to(studio, task)

    def deleted_meanwhile(claim: Claim) -> Commit:
        commit = studio.works[task](claim)
        delete(studio, voice["id"])
        return commit

    studio.worker.runner.run(studio.ready_steps()[0], deleted_meanwhile)
    _assert_nothing_is_left(studio, voice)
    row = studio.job(voice["job_id"])
    assert (row.state, row.error_code) == (JobState.FAILED, "voice_deleted")


@pytest.mark.parametrize("task", STEPS)
def test_a_deletion_waits_for_a_step_that_is_writing_and_removes_what_it_wrote(
    studio: Studio, recording: bytes, task: str
) -> None:
    voice = studio.clone(studio.upload(recording)["id"], sample_text=SAMPLE_TEXT)
    _run_up_to(studio, task)
    deletion = threading.Thread(target=delete, args=(studio, voice["id"]))

    def commit_slowly(claim: Claim) -> Commit:
        commit = studio.works[task](claim)

        def write(uow: UnitOfWork, job: Job) -> None:
            deletion.start()
            deletion.join(timeout=0.3)
            assert deletion.is_alive()
            commit(uow, job)

        return write

    studio.worker.runner.run(studio.ready_steps()[0], commit_slowly)
    deletion.join(timeout=10)
    studio.work()
    _assert_nothing_is_left(studio, voice)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_deletion_between_two_steps_ends_the_job(
    studio: Studio, recording: bytes, steps: int
) -> None:
    voice = studio.clone(studio.upload(recording)["id"], sample_text=SAMPLE_TEXT)
    studio.work(most=steps)
    delete(studio, voice["id"])
    studio.work()
    _assert_nothing_is_left(studio, voice)


def _run_up_to(studio: Studio, task: str) -> None:
    order = ["audio.analyze", PREPARE_VOICE.name, BUILD_PROFILE.name, PUBLISH_VOICE.name]
    studio.work(most=order.index(task))


def test_a_step_whose_job_is_over_writes_nothing(studio: Studio, recording: bytes) -> None:
    voice = studio.clone(studio.upload(recording)["id"])
    _run_up_to(studio, PREPARE_VOICE.name)

    def cancelled_meanwhile(claim: Claim) -> Commit:
        commit = studio.works[PREPARE_VOICE.name](claim)
        studio.post(f"/api/voices/job/{voice['job_id']}/cancel")
        return commit

    studio.worker.runner.run(studio.ready_steps()[0], cancelled_meanwhile)
    assert studio.objects(voice["id"]) == set()


def test_a_step_that_cannot_be_recorded_can_be_done_again(studio: Studio, recording: bytes) -> None:
    voice = studio.clone(studio.upload(recording)["id"])
    _run_up_to(studio, PREPARE_VOICE.name)
    payload = studio.ready_steps()[0]

    def fails_at_the_end(claim: Claim) -> Commit:
        commit = studio.works[PREPARE_VOICE.name](claim)

        def commit_and_fail(uow: UnitOfWork, job: Job) -> None:
            commit(uow, job)
            raise StorageUnavailable

        return commit_and_fail

    studio.worker.runner.run(payload, fails_at_the_end)
    assert studio.voice(voice["id"]).objects == {}
    studio.work()
    assert json_of(studio.get(f"/api/voices/{voice['id']}"))["state"] == "ready"


def test_a_deletion_that_the_store_refuses_can_be_repeated(
    studio: Studio, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = studio.cloned(recording)
    with monkeypatch.context() as patched:
        patched.setattr(LocalObjectStore, "delete", _away(2))
        error_of(studio.delete(f"/api/voices/{voice['id']}"), 503)
    assert json_of(studio.get(f"/api/voices/{voice['id']}"))["state"] == "ready"
    delete(studio, voice["id"])
    assert studio.objects(voice["id"]) == set()


def _away(after: int) -> Callable[[LocalObjectStore, str], None]:
    done: list[str] = []
    real = LocalObjectStore.delete

    def delete_some(store: LocalObjectStore, key: str) -> None:
        if len(done) == after:
            raise StorageUnavailable
        done.append(key)
        real(store, key)

    return delete_some


def test_workers_forget_a_deleted_voice_before_they_speak_again(
    studio: Studio, recording: bytes
) -> None:
    deleted, kept = studio.cloned(recording), studio.cloned(recording)
    for voice in (deleted, kept):
        order = {"text": "Good night.", "voice_id": voice["id"]}
        studio.post("/api/tts/generate", json=order)
    studio.work()
    cached = studio.profiles.voice_ids()
    assert {UUID(deleted["id"]), UUID(kept["id"])} <= set(cached)
    delete(studio, deleted["id"])
    studio.post("/api/tts/generate", json={"text": "Good night.", "voice_id": kept["id"]})
    studio.work()
    assert UUID(deleted["id"]) not in studio.profiles.voice_ids()
    assert UUID(kept["id"]) in studio.profiles.voice_ids()
