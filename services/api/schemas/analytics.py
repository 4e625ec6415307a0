"""Schemas of analytics."""

from __future__ import annotations

from datetime import date

from marshmallow import Schema, fields, validate

from services.api.schemas.common import RequestSchema

_DAY = validate.Range(date(2000, 1, 1), date(9000, 1, 1))
_SHARE = {"description": "0-1; null without output"}


class AnalyticsQuerySchema(RequestSchema):
    """Which days, and whose figures."""

    from_ = fields.Date(
        data_key="from", validate=_DAY, metadata={"description": "first day, UTC; 30 by default"}
    )
    to = fields.Date(validate=_DAY, metadata={"description": "last day, UTC; today by default"})
    user_id = fields.UUID(metadata={"description": "of another user; administrators only"})
    all = fields.Boolean(
        load_default=False, metadata={"description": "of all users; administrators only"}
    )


class FiguresSchema(Schema):
    """Speech jobs and what they gave, by the day on which they were asked for."""

    jobs = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "by state"}
    )
    characters = fields.Integer(metadata={"description": "without failed and cancelled jobs"})
    audio_s = fields.Float()
    output_bytes = fields.Integer()
    saved_bytes = fields.Integer(metadata={"description": "against CD-quality WAV"})
    saved_share = fields.Float(allow_none=True, metadata=_SHARE)
    saved_bytes_pcm = fields.Integer(metadata={"description": "against the engine's own PCM"})
    saved_share_pcm = fields.Float(allow_none=True, metadata=_SHARE)


class DaySchema(FiguresSchema):
    """The figures of a day."""

    date = fields.Date(required=True)


class WaitSchema(Schema):
    """From request to first work, in seconds."""

    p50 = fields.Float(allow_none=True)
    p95 = fields.Float(allow_none=True)


class TotalsSchema(FiguresSchema):
    """The figures of all days together."""

    real_time_factor = fields.Float(
        allow_none=True, metadata={"description": "seconds of synthesis per second of audio"}
    )
    quality_mean = fields.Float(allow_none=True)
    failures = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "by error code"}
    )
    queue_wait_s = fields.Nested(WaitSchema)


class StoredSchema(Schema):
    """What is stored of one kind."""

    kind = fields.String(validate=validate.OneOf(("uploads", "voices", "outputs")))
    count = fields.Integer()
    size_bytes = fields.Integer()
    cost_per_month = fields.Float(metadata={"description": "credits, as long as it is kept"})
    cost_until_removed = fields.Float(
        allow_none=True,
        metadata={"description": "credits until retention ends; null: kept until deleted"},
    )


class StorageSchema(Schema):
    """What is stored now."""

    kinds = fields.List(fields.Nested(StoredSchema))
    size_bytes = fields.Integer()
    cost_per_month = fields.Float()
    output_retention_h = fields.Integer()


class CacheSchema(Schema):
    """The speech workers' profile caches since they started."""

    hits = fields.Integer()
    misses = fields.Integer()
    hit_rate = fields.Float()


class AnalyticsSchema(Schema):
    """Figures of a period."""

    from_ = fields.Date(data_key="from", required=True)
    to = fields.Date(required=True)
    user_id = fields.UUID(allow_none=True, required=True, metadata={"description": "null: all"})
    days = fields.List(fields.Nested(DaySchema), required=True)
    totals = fields.Nested(TotalsSchema, required=True)
    storage = fields.Nested(StorageSchema, required=True)
    profile_cache = fields.Nested(
        CacheSchema, allow_none=True, metadata={"description": "of all users, where known"}
    )
