"""One contract per Celery task: name, queue, payload, limits. Routes derive from this list.

Messages carry ids; the request is a typed document in the job's row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from mynah.contracts.states import Lane


class Payload(BaseModel):
    """Base of what a message carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StepPayload(Payload):
    """A step to claim. ``request_id`` follows the request through the logs."""

    step_id: UUID
    job_id: UUID
    request_id: str = ""


class QuestionPayload(Payload):
    """A question whose sound waits in Redis for a recogniser."""

    question_id: UUID
    language: str
    request_id: str = ""


class NoPayload(Payload):
    """A periodic task needs nothing."""


PayloadT = TypeVar("PayloadT", bound=Payload)


@dataclass(frozen=True, slots=True)
class TaskContract(Generic[PayloadT]):
    """The contract between the sender of a task and the worker that implements it.

    ``queue`` may hold ``{engine}`` and ``{lane}``. ``time_limit_s`` is Celery's hard limit;
    the soft limit comes ten seconds before. ``expires_s``: a message older than this is
    dropped; for what is periodic, or of use to nobody by then.
    """

    name: str
    queue: str
    payload_type: type[PayloadT]
    time_limit_s: int
    expires_s: int | None = None

    def queue_for(self, engine: str = "", lane: Lane = Lane.BATCH) -> str:
        """The concrete queue of this task."""
        return self.queue.format(engine=engine, lane=lane.value)


# Work of an engine
SYNTHESIZE = TaskContract("tts.synthesize", "tts.{engine}.{lane}", StepPayload, 900)
BUILD_PROFILE = TaskContract("tts.build_profile", "tts.{engine}.{lane}", StepPayload, 900)

# Work on audio
ANALYZE_SAMPLE = TaskContract("audio.analyze", "audio", StepPayload, 600)
PREPARE_VOICE = TaskContract("audio.prepare_voice", "audio", StepPayload, 900)
PUBLISH_VOICE = TaskContract("audio.publish_voice", "audio", StepPayload, 300)
ASSEMBLE = TaskContract("audio.assemble", "audio", StepPayload, 900)
RENDER = TaskContract("audio.render", "audio", StepPayload, 900)
MEASURE_AUDIO = TaskContract("audio.measure", "audio", StepPayload, 900)
ENHANCE_AUDIO = TaskContract("audio.enhance", "audio", StepPayload, 900)
CONVERT_AUDIO = TaskContract("audio.convert", "audio", StepPayload, 900)
BUNDLE_AUDIO = TaskContract("audio.bundle", "audio", StepPayload, 900)
PACK_BATCH = TaskContract("audio.pack_batch", "audio", StepPayload, 1800)

# Work that somebody waits for: it is in no row, and lost with its listener
TRANSCRIBE = TaskContract("audio.transcribe", "recognize", QuestionPayload, 120, expires_s=30)

# Periodic work
SWEEP = TaskContract("maintenance.sweep", "maintenance", NoPayload, 60, expires_s=10)
EXPIRE = TaskContract("maintenance.expire", "maintenance", NoPayload, 600, expires_s=300)
DELIVER = TaskContract("maintenance.deliver", "maintenance", NoPayload, 60, expires_s=10)

STEP_CONTRACTS: tuple[TaskContract[StepPayload], ...] = (
    SYNTHESIZE,
    BUILD_PROFILE,
    ANALYZE_SAMPLE,
    PREPARE_VOICE,
    PUBLISH_VOICE,
    ASSEMBLE,
    RENDER,
    MEASURE_AUDIO,
    ENHANCE_AUDIO,
    CONVERT_AUDIO,
    BUNDLE_AUDIO,
    PACK_BATCH,
)
LIVE_CONTRACTS: tuple[TaskContract[QuestionPayload], ...] = (TRANSCRIBE,)
PERIODIC_CONTRACTS: tuple[TaskContract[NoPayload], ...] = (SWEEP, DELIVER, EXPIRE)


def all_queues(engines: tuple[str, ...]) -> Iterator[str]:
    """Every queue that the contracts use, for the given engine ids."""
    seen: set[str] = set()
    contracts: tuple[TaskContract[Any], ...] = (
        *STEP_CONTRACTS,
        *LIVE_CONTRACTS,
        *PERIODIC_CONTRACTS,
    )
    for contract in contracts:
        for engine in engines if "{engine}" in contract.queue else ("",):
            for lane in Lane if "{lane}" in contract.queue else (Lane.BATCH,):
                queue = contract.queue_for(engine, lane)
                if queue not in seen:
                    seen.add(queue)
                    yield queue


def step_contract(name: str) -> TaskContract[StepPayload]:
    """The contract of a step's task by name. Raises KeyError."""
    return {contract.name: contract for contract in STEP_CONTRACTS}[name]


class TaskSender(Protocol):
    """Puts a task's message on its queue."""

    def send(
        self, contract: TaskContract[PayloadT], payload: PayloadT, queue: str | None = None
    ) -> None:
        """Send one message. Raises BrokerUnavailable."""
        ...
