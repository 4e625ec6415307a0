"""Schemas of batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from mynah.contracts.states import JobState
from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.db.repositories.batches import ChildSums
from mynah.errors import InvalidRequest
from mynah.jobs.progress import estimate_eta_s
from services.api.schemas.common import (
    PageQuerySchema,
    RequestSchema,
    flatten_messages,
    page_schema,
    text_field,
)
from services.api.schemas.speech import GenerateSchema
from services.api.texts import check_storable
from services.api.use_cases.batches import BatchItem, BatchOrder, ShownItem

MAX_ITEMS = 1000
REJECTED, FORGOTTEN = "rejected", "expired"
_LONGEST_CUSTOM_ID = 100
_SETTINGS = "voice_settings"
_VOICE_NAMES = {"voice_id", "voice_model_id"}


class BatchDefaultsSchema(GenerateSchema):
    """What holds for every item that does not say otherwise."""

    class Meta(RequestSchema.Meta):
        """An item's own."""

        exclude = ("text", "script", "title")

    def check_source(self, data: dict[str, Any], **_: Any) -> None:
        """Defaults name no source."""


class BatchItemSchema(GenerateSchema):
    """One text; what is missing is taken from ``defaults``."""

    custom_id = text_field(_LONGEST_CUSTOM_ID, 1, load_default=None, allow_none=True)


class _Unchecked(fields.Nested):
    """An object that is documented by its schema and loaded as it came."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Not an object.")
        return value


class BatchSchema(RequestSchema):
    """Many texts to be spoken."""

    title = text_field(200, load_default=None, allow_none=True)
    defaults = _Unchecked(BatchDefaultsSchema, load_default=dict)
    items = fields.List(
        _Unchecked(BatchItemSchema), required=True, validate=validate.Length(1, MAX_ITEMS)
    )

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> BatchOrder:
        """The order; an item that is not valid is part of it, with the reason."""
        defaults = _checked_defaults(data["defaults"])
        items = [_read_item(defaults, item) for item in data["items"]]
        return BatchOrder(items, data["title"])


class BatchQuerySchema(RequestSchema):
    """Which items of a batch to show."""

    cursor = fields.Integer(
        load_default=0,
        validate=validate.Range(0, MAX_ITEMS),
        metadata={"description": "next_cursor of the page before"},
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, MAX_ITEMS))


class BatchesQuerySchema(PageQuerySchema):
    """A page of batches."""

    status = fields.Enum(JobState, by_value=True)


class ShownItemSchema(Schema):
    """An item of a batch."""

    position = fields.Integer(required=True, metadata={"description": "in the request, from 0"})
    custom_id = fields.String(required=True, allow_none=True)
    job_id = fields.UUID(required=True, allow_none=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf([*JobState, REJECTED, FORGOTTEN]),
        metadata={"description": "its job's; rejected: it has none; expired: it had one"},
    )
    title = fields.String(required=True, allow_none=True)
    progress = fields.Float(required=True)
    actual_duration_s = fields.Float(required=True, allow_none=True)
    output_url = fields.String(required=True, allow_none=True)
    output_size_bytes = fields.Integer(required=True, allow_none=True)
    error_code = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True)


class BatchSummarySchema(Schema):
    """A batch without its items."""

    batch_id = fields.UUID(required=True)
    title = fields.String(required=True, allow_none=True)
    status = fields.Enum(JobState, by_value=True, required=True)
    items_total = fields.Integer(required=True)
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "items by status"},
    )
    progress = fields.Float(required=True)
    eta_s = fields.Float(required=True, allow_none=True)
    download_url = fields.String(required=True, allow_none=True)
    output_size_bytes = fields.Integer(required=True, allow_none=True)
    left_out = fields.Integer(
        required=True,
        metadata={"description": "finished items for which the archive had no room"},
    )
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    expires_at = fields.DateTime(required=True, allow_none=True)
    error_code = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True)


class ShownBatchSchema(BatchSummarySchema):
    """A batch and a page of its items, in the order of the request."""

    items = fields.List(fields.Nested(ShownItemSchema), required=True)
    next_cursor = fields.Integer(required=True, allow_none=True)


BatchPageSchema = page_schema(BatchSummarySchema, "BatchPage")

_defaults_schema = BatchDefaultsSchema()
_order_schema = GenerateSchema()
_custom_id_field = BatchItemSchema().fields["custom_id"]


def show_summary(batch: Job, sums: ChildSums) -> dict[str, Any]:
    """A batch's row and the sums of its items as ``BatchSummarySchema`` shows them."""
    request = batch.request
    counts = {state.value: sums.by_state.get(state, 0) for state in JobState}
    has_ended = batch.ended_at is not None
    is_begun = batch.state == JobState.PENDING and sums.started_at is not None
    share = sums.work_done / sums.work_total if sums.work_total else 0.0
    eta_s = estimate_eta_s(sums.started_at, sums.work_done, sums.work_total, utc_now())
    return {
        "batch_id": batch.id,
        "title": request["title"],
        "status": JobState.PROCESSING if is_begun else JobState(batch.state),
        "items_total": len(request["custom_ids"]),
        "counts": {**counts, REJECTED: len(request["rejected"])},
        "progress": round(min(share, 1.0), 4),
        "eta_s": None if has_ended else eta_s,
        "download_url": f"/api/tts/batch/{batch.id}/download" if batch.output_key else None,
        "output_size_bytes": batch.output_size_bytes,
        "left_out": (batch.result or {}).get("left_out", 0),
        "created_at": batch.created_at,
        "started_at": sums.started_at,
        "completed_at": batch.ended_at,
        "expires_at": batch.expires_at,
        "error_code": batch.error_code,
        "error_message": batch.error_message,
    }


def show_batch(batch: Job, sums: ChildSums, items: Sequence[ShownItem]) -> dict[str, Any]:
    """A batch and some of its items as ``ShownBatchSchema`` shows them."""
    summary = show_summary(batch, sums)
    following = items[-1].position + 1 if items else summary["items_total"]
    return {
        **summary,
        "items": [_show_item(item) for item in items],
        "next_cursor": following if following < summary["items_total"] else None,
    }


def _show_item(item: ShownItem) -> dict[str, Any]:
    child, rejected = item.child, item.rejected
    has_output = child is not None and child.output_key is not None
    reason = rejected or child
    status = REJECTED if rejected else FORGOTTEN
    return {
        "position": item.position,
        "custom_id": item.custom_id,
        "job_id": child.job_id if child else None,
        "status": child.state if child else status,
        "title": child.title if child else None,
        "progress": child.progress if child else 0.0,
        "actual_duration_s": child.actual_duration_s if child else None,
        "output_url": f"/api/tts/job/{child.job_id}/download" if child and has_output else None,
        "output_size_bytes": child.output_size_bytes if child else None,
        "error_code": reason.error_code if reason else None,
        "error_message": reason.error_message if reason else None,
    }


def _checked_defaults(defaults: dict[str, Any]) -> dict[str, Any]:
    """Defaults that no item could use are an error of the whole."""
    errors = _defaults_schema.validate(defaults)
    if errors:
        raise ValidationError(errors, "defaults")
    return defaults


def _read_item(defaults: dict[str, Any], item: dict[str, Any]) -> BatchItem:
    own = dict(item)
    custom_id: str | None = None
    try:
        custom_id = _custom_id_field.deserialize(own.pop("custom_id", None))
        check_storable(own)  # before the schema, whose messages name unknown keys
        order = _order_schema.load(_merged(defaults, own))
    except InvalidRequest as error:
        return BatchItem(error, custom_id)
    except ValidationError as error:
        where = "" if isinstance(error.messages, dict) else "custom_id"
        reasons = flatten_messages(error.messages, where)
        return BatchItem(InvalidRequest("The item is not valid.", fields=reasons), custom_id)
    return BatchItem(order, custom_id)


def _merged(defaults: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """An item over the defaults; its voice settings over theirs, one by one."""
    merged = {**defaults, **item}
    if not _VOICE_NAMES.isdisjoint(item):
        for name in _VOICE_NAMES - item.keys():
            merged.pop(name, None)
    common, own = defaults.get(_SETTINGS), item.get(_SETTINGS)
    if isinstance(common, dict) and isinstance(own, dict):
        merged[_SETTINGS] = {**common, **own}
    return merged
