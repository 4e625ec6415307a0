"""Schemas and fields that several resources share."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from services.api.texts import is_unstorable


class RequestSchema(Schema):
    """Base of what callers send."""

    class Meta:
        """Unknown keys are errors."""

        unknown = RAISE


class ErrorSchema(Schema):
    """The one error body."""

    code = fields.Integer(required=True, metadata={"description": "HTTP status"})
    status = fields.String(required=True)
    message = fields.String(required=True)
    detail = fields.String(required=True, metadata={"description": "the same as message"})
    error_code = fields.String(required=True, metadata={"description": "stable, for programs"})
    request_id = fields.String(required=True)
    errors = fields.Dict(metadata={"description": "messages by place and field"})


class PageQuerySchema(RequestSchema):
    """A page of a list."""

    cursor = fields.UUID(metadata={"description": "next_cursor of the page before"})
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


def text_field(longest: int, shortest: int = 0, **options: Any) -> fields.String:
    """A text of bounded length that can be stored."""
    length = validate.Length(min=shortest, max=longest)
    return fields.String(validate=[length, _check_storable], **options)


def _check_storable(text: str) -> None:
    if is_unstorable(text):
        raise ValidationError("Holds NUL or lone surrogates.")


def page_schema(item: type[Schema], name: str) -> type[Schema]:
    """The schema of a page of ``item``."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next_cursor": fields.UUID(required=True, allow_none=True),
        },
        name=name,
    )


def flatten_messages(messages: Any, path: str = "") -> dict[str, list[str]]:
    """A schema's messages by path: ``rules.3.written``."""
    if not isinstance(messages, dict):
        return {path: [str(message) for message in messages]}
    found: dict[str, list[str]] = {}
    for name, value in messages.items():
        found |= flatten_messages(value, f"{path}.{name}" if path else str(name))
    return found
