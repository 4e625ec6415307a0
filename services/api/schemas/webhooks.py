"""Schemas of webhooks and their deliveries."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from mynah.contracts.webhooks import DeliveryState, WebhookEvent
from mynah.webhooks.addresses import MAX_URL_CHARACTERS
from services.api.schemas.common import PageQuerySchema, RequestSchema, page_schema, text_field
from services.api.use_cases.webhooks import WebhookChange, WebhookDraft

_EVENTS = [event.value for event in WebhookEvent]
_URL: dict[str, Any] = {
    "description": "http or https, a public address, neither user nor fragment",
    "example": "https://93.184.216.34/mynah",
}


def _events(**options: Any) -> fields.List[Any]:
    return fields.List(
        fields.String(validate=validate.OneOf(_EVENTS)),
        validate=validate.Length(min=1, max=len(_EVENTS)),
        **options,
    )


class WebhookCreateSchema(RequestSchema):
    """A new webhook."""

    url = text_field(MAX_URL_CHARACTERS, 1, required=True, metadata=_URL)
    events = _events(required=True)
    description = text_field(500, load_default="")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> WebhookDraft:
        """As the use case takes it; an event counts once."""
        return WebhookDraft(data["url"], sorted(set(data["events"])), data["description"])


class WebhookChangeSchema(RequestSchema):
    """What becomes different."""

    url = text_field(MAX_URL_CHARACTERS, 1, metadata=_URL)
    events = _events()
    description = text_field(500)
    enabled = fields.Boolean(metadata={"description": "true also forgives past failures"})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> WebhookChange:
        """As the use case takes it; an event counts once."""
        if "events" in data:
            data["events"] = sorted(set(data["events"]))
        return WebhookChange(**data)


class WebhookSchema(Schema):
    """A webhook without its secret."""

    webhook_id = fields.UUID(required=True, attribute="id")
    url = fields.String(required=True)
    description = fields.String(required=True)
    events = fields.List(fields.String(), required=True)
    enabled = fields.Boolean(required=True)
    disabled_reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "by_owner or too_many_failures"},
    )
    failing_since = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "the first of the attempts that failed without a success since"},
    )
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class WebhookWithSecretSchema(WebhookSchema):
    """A webhook and its secret, which is shown this once."""

    secret = fields.String(required=True)


class DeliverySchema(Schema):
    """A message to a webhook and what became of it."""

    delivery_id = fields.UUID(required=True, attribute="id")
    webhook_id = fields.UUID(required=True)
    event = fields.String(required=True)
    state = fields.String(required=True)
    attempts = fields.Integer(required=True)
    next_attempt_at = fields.AwareDateTime(required=True, allow_none=True)
    replay_of = fields.UUID(required=True, allow_none=True)
    response_status = fields.Integer(required=True, allow_none=True)
    response_excerpt = fields.String(
        required=True, allow_none=True, metadata={"description": "the first 1000 bytes"}
    )
    error = fields.String(
        required=True, allow_none=True, metadata={"description": "why the last attempt failed"}
    )
    attempted_at = fields.AwareDateTime(required=True, allow_none=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class DeliveryQuerySchema(PageQuerySchema):
    """Which deliveries."""

    state = fields.String(validate=validate.OneOf([state.value for state in DeliveryState]))


WebhookPageSchema = page_schema(WebhookSchema, "WebhookPage")
DeliveryPageSchema = page_schema(DeliverySchema, "DeliveryPage")
