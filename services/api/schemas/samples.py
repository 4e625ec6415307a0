"""Schemas of voice samples."""

from __future__ import annotations

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import Schema, fields

from mynah.contracts.states import SampleState
from mynah.db.models import Sample
from services.api.schemas.common import PageQuerySchema, RequestSchema, page_schema, text_field


class SampleFileSchema(RequestSchema):
    """The recording."""

    file = Upload(required=True)


class SampleFormSchema(RequestSchema):
    """What is said of the recording."""

    name = text_field(200, load_default="")


class SampleSchema(Schema):
    """An uploaded recording."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    filename = fields.String(required=True)
    content_type = fields.String(required=True)
    size_bytes = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    state = fields.Enum(SampleState, by_value=True, required=True)
    measurements = fields.Dict(allow_none=True)
    verdict = fields.Dict(allow_none=True, metadata={"description": "is_usable, score, reasons"})
    error_code = fields.String(allow_none=True)
    error_message = fields.String(allow_none=True)
    created_at = fields.DateTime(required=True)
    audio_url = fields.String(required=True)


class SampleQuerySchema(PageQuerySchema):
    """A page of samples."""

    state = fields.Enum(SampleState, by_value=True)


SamplePageSchema = page_schema(SampleSchema, "SamplePage")


def show_sample(sample: Sample) -> dict[str, Any]:
    """A sample's row as ``SampleSchema`` shows it."""
    names = set(SampleSchema().fields) - {"state", "audio_url"}
    shown = {name: getattr(sample, name) for name in names}
    return {
        **shown,
        "state": SampleState(sample.state),
        "audio_url": f"/api/samples/{sample.id}/audio",
    }
