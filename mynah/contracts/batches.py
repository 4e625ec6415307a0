"""The document of a batch: what its parent job's row says of the items."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from mynah.contracts.object_keys import Origin


class RejectedItem(BaseModel):
    """An item that became no job, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: int
    error_code: str
    error_message: str


class BatchRequest(BaseModel):
    """A batch as it is stored; its accepted items are jobs of their own.

    ``custom_ids`` has one entry per item, in the order of the request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    custom_ids: tuple[str | None, ...]
    rejected: tuple[RejectedItem, ...] = ()
    origin: Origin = "user"
