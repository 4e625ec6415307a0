"""What a worker says of itself while it lives."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class EngineReport(BaseModel):
    """Whether an engine can speak where its worker runs and, when not, why.

    ``loaded``: it is in the worker's memory; false where processes of the worker load for
    themselves.
    """

    model_config = ConfigDict(frozen=True)

    available: bool
    reason: str | None = None
    loaded: bool = False


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
