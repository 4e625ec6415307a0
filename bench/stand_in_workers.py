"""Stands in for speech workers on other machines: blocks of speech at an engine's pace, for little.

    python -m bench.stand_in_workers --pace 1.1 --block-ms 200 --piece-s 20

It takes the steps of the live lane of the simulated engine as workers do, says in the database
that they run and are done (without segments), and writes what was computed before to their
streams, with the commands of ``LiveWriter``, many at a time. The pieces of a job are spoken one
after another; each is ``--piece-s`` long. Each time a block was later than any before,
it prints by how many milliseconds: what the gateway cannot be blamed for.
"""

from __future__ import annotations

import argparse
import base64
import heapq
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import redis
from sqlalchemy import update

from bench.simulated_engine import INFO, hum
from mynah.contracts.states import Lane, StepState
from mynah.contracts.tasks import SYNTHESIZE, StepPayload
from mynah.db.clock import utc_now
from mynah.db.connection import connect, make_session_factory
from mynah.db.models import Step
from mynah.messaging.live import LiveBlock, append_block
from mynah.settings import load_settings

TICK_S = 0.01
TOLD_EVERY_S = 0.5
LEFT = b"left"


@dataclass(slots=True)
class Voice:
    """One job being spoken."""

    job_id: UUID
    steps: list[UUID]
    begun_at: float
    spoken: int = 0  # blocks of all pieces
    piece: int = 0
    offset: int = 0  # frames of this piece


@dataclass(slots=True)
class StandIn:
    """The workers. ``pace``: seconds of speech made in one second, for each job."""

    pace: float
    block_s: float
    piece_s: float
    redis: Any
    sessions: Any
    _blocks: list[bytes] = field(default_factory=list)
    _due: list[tuple[float, UUID]] = field(default_factory=list)
    _voices: dict[UUID, Voice] = field(default_factory=dict)
    _states: dict[StepState, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of the states
    _latest_ms: int = 0

    def run(self) -> None:
        """Speak for ever."""
        frames = round(self.block_s * INFO.sample_rate)
        pcm = hum(60.0).to_pcm16()
        size = 2 * frames
        self._blocks = [pcm[at : at + size] for at in range(0, len(pcm) - size, size)]
        threading.Thread(target=self._tell_for_ever, daemon=True).start()
        while True:
            started = time.monotonic()
            self._take()
            self._speak(started)
            time.sleep(max(0.0, started + TICK_S - time.monotonic()))

    def _take(self) -> None:
        queue = SYNTHESIZE.queue_for(INFO.id, Lane.LIVE)
        for message in self.redis.rpop(queue, 200) or ():
            payload = _payload(message)
            voice = self._voices.get(payload.job_id)
            if voice is None:
                voice = Voice(payload.job_id, [], time.monotonic())
                self._voices[payload.job_id] = voice
                heapq.heappush(self._due, (voice.begun_at, voice.job_id))
            voice.steps.append(payload.step_id)
            self._note(StepState.RUNNING, payload.step_id)

    def _speak(self, now: float) -> None:
        """Write all blocks that are due."""
        told: list[Voice] = []
        with self.redis.pipeline(transaction=False) as pipeline:
            earliest = self._due[0][0] if self._due else now
            while self._due and self._due[0][0] <= now:
                voice = self._voices[heapq.heappop(self._due)[1]]
                for block in self._next(voice):
                    append_block(pipeline, voice.job_id, block[0], block[1])
                    told.append(voice)
            if not told:
                return
            flags = pipeline.execute()[2::3]
        self._note_lateness(time.monotonic() - earliest)
        left = {voice.job_id for voice, flag in zip(told, flags, strict=True) if flag == LEFT}
        for voice in {voice.job_id: voice for voice in told}.values():
            if voice.job_id in left or voice.piece >= len(voice.steps):
                del self._voices[voice.job_id]
            else:
                due = voice.begun_at + voice.spoken * self.block_s / self.pace
                heapq.heappush(self._due, (due, voice.job_id))

    def _next(self, voice: Voice) -> Iterator[tuple[UUID, LiveBlock]]:
        """A job's next block, and the end of its piece where it is the last."""
        step_id = voice.steps[voice.piece]
        pcm = self._blocks[voice.spoken % len(self._blocks)]
        yield step_id, LiveBlock(1, voice.offset, pcm)
        voice.spoken += 1
        voice.offset += len(pcm) // 2
        if voice.offset >= self.piece_s * INFO.sample_rate:
            yield step_id, LiveBlock(1, voice.offset, is_end=True)
            self._note(StepState.DONE, step_id)
            voice.piece, voice.offset = voice.piece + 1, 0

    def _note_lateness(self, late_s: float) -> None:
        if (late_ms := round(1000 * late_s)) > self._latest_ms:
            self._latest_ms = late_ms
            print(late_ms, flush=True)

    def _note(self, state: StepState, step_id: UUID) -> None:
        with self._lock:
            self._states[state].append(step_id)

    def _tell_for_ever(self) -> None:
        """Beside the speaking: workers elsewhere would not wait for each other's queries."""
        while True:
            time.sleep(TOLD_EVERY_S)
            with self._lock:
                states, self._states = self._states, defaultdict(list)
            self._tell_database(states)

    def _tell_database(self, states: dict[StepState, list[UUID]]) -> None:
        lease = utc_now() + timedelta(hours=1)
        with self.sessions() as session:
            for state, step_ids in states.items():
                rows = update(Step).where(Step.id.in_(step_ids), Step.state != "cancelled")
                session.execute(rows.values(state=state, lease_until=lease))
            session.commit()


def _payload(message: bytes) -> StepPayload:
    """What a message of Celery's (protocol 2) carries."""
    _, payload, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
    return StepPayload.model_validate(payload)


def main() -> None:
    """Speak until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pace", type=float, required=True)
    parser.add_argument("--block-ms", type=float, required=True)
    parser.add_argument("--piece-s", type=float, required=True)
    given = parser.parse_args()
    settings = load_settings()
    sessions = make_session_factory(connect(settings))
    broker = redis.Redis.from_url(settings.redis_url)
    StandIn(given.pace, given.block_ms / 1000, given.piece_s, broker, sessions).run()


if __name__ == "__main__":
    main()
