"""What a listener may ask for."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.schemas.common import RequestSchema
from services.api.schemas.speech import BITRATES_KBPS

STREAM_CONTENT_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm"}


class StreamQuerySchema(RequestSchema):
    """The form in which a listener wants the speech."""

    format = fields.String(load_default="mp3", validate=validate.OneOf(STREAM_CONTENT_TYPES))
    bitrate_kbps = fields.Integer(
        load_default=None,
        validate=validate.OneOf(BITRATES_KBPS),
        metadata={"description": "of an MP3; the job's own unless given"},
    )
