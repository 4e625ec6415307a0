"""The blueprint that all resources use: it checks the scope and documents the usual errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask_smorest import Blueprint

from services.api.auth.caller import requires

F = TypeVar("F", bound=Callable[..., Any])

_DESCRIPTIONS = {
    400: "The request cannot be read.",
    401: "Valid credentials are required.",
    403: "The credentials do not allow this.",
    404: "There is no such resource.",
    409: "The resource is in a state that does not allow this.",
    410: "The resource was removed after its retention time.",
    413: "The request is larger than allowed.",
    415: "The content type is not supported.",
    416: "The range lies outside the file.",
    422: "The request is not valid.",
    429: "Too many requests, or the quota is used up; see Retry-After.",
    503: "A part of the service is unavailable; see Retry-After.",
    504: "The speech was not ready in time; its job goes on.",
}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
BINARY = {"type": "string", "format": "binary"}


class ApiBlueprint(Blueprint):  # type: ignore[misc]
    """A flask-smorest blueprint with this API's conventions."""

    def guarded(self, scope: str, *statuses: int) -> Callable[[F], F]:
        """Require ``scope``, and document its errors and those of ``statuses``."""

        def decorate(method: F) -> F:
            checked = requires(scope)(method)
            documented = self.doc(security=SECURITY)(checked)
            return self.fails(401, 403, 404, *statuses)(documented)  # type: ignore[no-any-return]

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
            }
            return self.doc(responses=responses)(method)  # type: ignore[no-any-return]

        return decorate
