"""What a worker says of itself while it lives."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class EngineReport(BaseModel):
    """Whether an engine can speak where its worker runs and, when not, why.

    ``code``: of the error behind ``reason``. ``loaded``: it is in the worker's memory; false where
    processes of the worker load for themselves. ``queues``: those of the engine that the worker
    was started with; ``given_back_s``: for how many seconds it has taken nothing from them, None
    while it does.
    """

    model_config = ConfigDict(frozen=True)

    available: bool
    reason: str | None = None
    code: str | None = None
    loaded: bool = False
    queues: tuple[str, ...] = ()
    given_back_s: float | None = None


class RecognizerReport(BaseModel):
    """Whether questions can be recognised where their worker runs and, when not, why."""

    model_config = ConfigDict(frozen=True)

    available: bool
    reason: str | None = None


class WorkerReport(BaseModel):
    """A worker: the engines whose queues it serves, by id, and whether it takes questions."""

    model_config = ConfigDict(frozen=True)

    engines: dict[str, EngineReport] = {}
    recognizer: RecognizerReport | None = None
