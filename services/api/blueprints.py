"""The blueprint that all resources use: it checks the scope and documents the usual errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import request
from flask_smorest import Blueprint
from marshmallow import Schema
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from services.api.auth.caller import requires
from services.api.idempotency import PARAMETER, idempotent

F = TypeVar("F", bound=Callable[..., Any])

_DESCRIPTIONS = {
    400: "The request cannot be read.",
    401: "Valid credentials are required.",
    403: "The credentials do not allow this.",
    404: "There is no such resource.",
    409: "The state of the resource, or its Idempotency-Key, does not allow this.",
    410: "The resource was removed after its retention time.",
    413: "The request is larger than allowed.",
    415: "The content type is not supported.",
    416: "The range lies outside the file.",
    422: "The request is not valid.",
    429: "Too many requests, or the quota is used up; see Retry-After.",
    500: "The engine could not speak this.",
    503: "A part of the service is unavailable; see Retry-After.",
    504: "The speech was not ready in time; its job goes on.",
}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
BINARY = {"type": "string", "format": "binary"}


_JSON, _MULTIPART = "application/json", "multipart/form-data"
_BODY_TYPES = {"json": _JSON, "form": _MULTIPART, "files": _MULTIPART}


class _Parser(FlaskParser):
    """webargs' parser, in which the schema alone says what becomes of unknown keys."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {}  # noqa: RUF012 - as in its base


class ApiBlueprint(Blueprint):  # type: ignore[misc]
    """A flask-smorest blueprint with this API's conventions."""

    ARGUMENTS_PARSER = _Parser()

    def arguments(self, schema: Any, *, location: str = "json", **options: Any) -> Callable[[F], F]:
        """Take arguments as flask-smorest does; a body of another type is refused."""
        if isinstance(schema, type):  # of a class each request would make an instance
            schema = schema()
        parsed = super().arguments(schema, location=location, **options)
        wanted = _BODY_TYPES.get(location)
        if wanted is None:
            return parsed  # type: ignore[no-any-return]
        refuse = self.alt_response(415, schema="Error", description=_DESCRIPTIONS[415])

        def decorate(method: F) -> F:
            return refuse(_taking(wanted, parsed(method)))  # type: ignore[no-any-return]

        return decorate

    def upload(self, files: type[Schema], form: type[Schema]) -> Callable[[F], F]:
        """Take a body of files and fields, documented as the one body that it is.

        The method gets what both schemas loaded, the files first.
        """
        name = form.__name__.replace("FormSchema", "UploadSchema")
        body = {"in": "files", "required": True, "schema": type(name, (files, form), {})()}

        def decorate(method: F) -> F:
            taken = self.arguments(form, location="form")(method)
            taken = self.arguments(files, location="files")(taken)
            taken._apidoc["arguments"]["parameters"] = [body]  # type: ignore[attr-defined]
            return taken

        return decorate

    def guarded(self, scope: str, *statuses: int) -> Callable[[F], F]:
        """Require ``scope``, and document its errors and those of ``statuses``."""

        def decorate(method: F) -> F:
            checked = requires(scope)(method)
            documented = self.doc(security=SECURITY)(checked)
            return self.fails(401, 403, 404, *statuses)(documented)  # type: ignore[no-any-return]

        return decorate

    def creates(self, scope: str, *statuses: int) -> Callable[[F], F]:
        """Guard a method that creates something: it also takes an Idempotency-Key."""

        def decorate(method: F) -> F:
            documented = self.doc(parameters=[PARAMETER])(idempotent(method))
            return self.guarded(scope, 409, *statuses)(documented)  # type: ignore[no-any-return]

        return decorate

    def fails(self, *statuses: int) -> Callable[[F], F]:
        """Document error answers; every route may also answer 400, 422, 429 and 503."""

        def decorate(method: F) -> F:
            for status in sorted({400, 422, 429, 503, *statuses}):
                method = self.alt_response(
                    status, schema="Error", description=_DESCRIPTIONS[status]
                )(method)
            return method

        return decorate

    def sends_file(self, *content_types: str) -> Callable[[F], F]:
        """Document a binary answer, whole (200) or a range of it (206)."""
        content = {content_type: {"schema": BINARY} for content_type in content_types}

        def decorate(method: F) -> F:
            responses = {
                "200": {"description": "The file.", "content": content},
                "206": {"description": "A range of the file.", "content": content},
                "304": {"description": "The caller has the file already."},
            }
            return self.doc(responses=responses)(method)  # type: ignore[no-any-return]

        return decorate


def _taking(content_type: str, method: F) -> F:
    @wraps(method)
    def checked(*args: Any, **kwargs: Any) -> Any:
        has_body = bool(request.mimetype or request.content_length)
        given = _JSON if request.is_json else request.mimetype
        if has_body and given != content_type:
            raise UnsupportedMediaType(f"The body must be {content_type}.")
        return method(*args, **kwargs)

    return checked  # type: ignore[return-value]
