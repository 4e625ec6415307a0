"""What the vendors' clients send, loaded by schemas that let unknown keys pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError

from mynah.errors import InvalidRequest
from services.api.schemas.common import flatten_messages


class VendorSchema(Schema):
    """Base of what the vendors' clients send: peers' extras ride along in it."""

    class Meta:
        """Unknown keys are left out."""

        unknown = EXCLUDE


def read_json(schema: type[Schema]) -> dict[str, Any]:
    """The body of this request; null counts as not sent. Raises InvalidRequest."""
    document = request.get_json()
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be an object.")
    return load_said(schema, document)


def load_said(schema: type[Schema], document: dict[str, Any]) -> dict[str, Any]:
    """What a client said; null counts as not said. Raises InvalidRequest."""
    try:
        said = _without_nulls(document)
    except RecursionError:
        message = "The message is nested too deeply."
        raise InvalidRequest(message, code="nested_too_deeply") from None
    return _loaded(schema, said)


def read_query(schema: type[Schema]) -> dict[str, Any]:
    """The query of this request. Raises InvalidRequest."""
    return _loaded(schema, request.args.to_dict())


def read_form(schema: type[Schema]) -> dict[str, Any]:
    """The fields of this request's form. Raises InvalidRequest."""
    return _loaded(schema, request.form.to_dict())


def _loaded(schema: type[Schema], document: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], schema().load(document))
    except ValidationError as error:
        fields = flatten_messages(error.messages)
        raise InvalidRequest("The request is not valid.", fields=fields) from None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value
