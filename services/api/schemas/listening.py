"""How a device's questions sound, and who answers them."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from services.api.live.sockets.heard_sound import SOUND_RATES, SoundForm
from services.api.schemas.common import RequestSchema, text_field
from services.api.use_cases.questions import ListenOrder


class ListenSchema(RequestSchema):
    """What ``listen`` says."""

    format = fields.String(load_default="pcm16", validate=validate.OneOf(sorted(SOUND_RATES)))
    sample_rate = fields.Integer(strict=True)
    language = text_field(35, 1, load_default=None)
    responder_id = fields.UUID(load_default=None)
    barge_in = fields.Boolean(load_default=False)
    pause_ms = fields.Integer(strict=True, load_default=700, validate=validate.Range(200, 3000))
    reference = text_field(200, load_default="")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> ListenOrder:
        """The order. Raises ValidationError for a rate that the format does not have."""
        name = data.pop("format")
        rates = SOUND_RATES[name]
        rate = data.pop("sample_rate", rates[0])
        if rate not in rates:
            allowed = ", ".join(map(str, rates))
            raise ValidationError(f"Must be one of: {allowed}.", "sample_rate")
        return ListenOrder(sound=SoundForm(name, rate), **data)
