"""Errors become one body with the right status; nothing of the inside shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from werkzeug.exceptions import BadGateway, HTTPException, ImATeapot, TooManyRequests
from werkzeug.test import TestResponse

from mynah import errors
from mynah.errors import DatabaseUnavailable, InvalidRequest, MynahError, QuotaExceeded
from mynah.settings import Settings
from services.api.app import create_app
from services.api.bootstrap import build_container

Ask = Callable[..., TestResponse]


def all_errors() -> list[type[MynahError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, MynahError)]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Have the gateway answer with an error. None of its parts is there, or needed."""
    nowhere = "redis://127.0.0.1:1/0"
    app = create_app(build_container(Settings(jwt_secret=SecretStr("s" * 32), redis_url=nowhere)))
    raised: list[Exception] = []

    def fail() -> None:
        raise raised.pop()

    def answer(error: Exception, **options: Any) -> TestResponse:
        raised.append(error)
        return app.test_client().get("/fail", **options)

    app.add_url_rule("/fail", view_func=fail)
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    yield answer
    structlog.reset_defaults()


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_of_the_tree_has_its_status_and_code(kind: type[MynahError], ask: Ask) -> None:
    response = ask(kind())
    body = response.get_json()
    assert response.status_code == body["code"] == kind.status
    assert body["error_code"] == kind.code
    assert body["message"] == body["detail"]
    assert body["message"] in str(kind.__doc__)
    assert ("Retry-After" in response.headers) == (kind.retryable or kind.status == 429)


def test_codes_are_given_once() -> None:
    codes = [kind.code for kind in all_errors()]
    assert len(codes) == len(set(codes))


def test_a_raiser_may_narrow_the_code_and_name_fields(ask: Ask) -> None:
    error = InvalidRequest("No.", code="no_such_colour", fields={"colour": ["Unknown."]})
    body = ask(error).get_json()
    assert (body["code"], body["error_code"]) == (422, "no_such_colour")
    assert body["errors"] == {"colour": ["Unknown."]}


def test_the_error_says_when_to_try_again(ask: Ask) -> None:
    assert ask(DatabaseUnavailable()).headers["Retry-After"] == "2"
    assert ask(QuotaExceeded(retry_after_s=86400)).headers["Retry-After"] == "86400"
    assert 1 <= int(ask(TooManyRequests()).headers["Retry-After"]) <= 61


@pytest.mark.parametrize("error", [KeyError("secret"), RuntimeError("secret")])
def test_a_crash_says_nothing_of_the_inside(error: Exception, ask: Ask) -> None:
    response = ask(error)
    assert response.status_code == 500
    assert response.get_json()["error_code"] == "internal_error"
    assert "secret" not in response.get_data(as_text=True)


@pytest.mark.parametrize("error", [ImATeapot(), BadGateway()])
def test_errors_of_http_have_the_same_body(error: HTTPException, ask: Ask) -> None:
    body = ask(error).get_json()
    assert body["code"] == error.code
    assert body["error_code"]
    assert body["message"] == body["detail"] == error.description


def test_a_request_is_named_in_its_error(ask: Ask) -> None:
    response = ask(InvalidRequest(), headers={"X-Request-ID": "order-17"})
    assert response.get_json()["request_id"] == response.headers["X-Request-ID"] == "order-17"


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "<script>", "\xff"])
def test_an_odd_name_of_a_request_is_replaced(name: str, ask: Ask) -> None:
    given = ask(InvalidRequest(), headers={"X-Request-ID": name}).headers["X-Request-ID"]
    assert given != name
    assert given.isalnum()


def test_a_refusal_of_credentials_says_which_are_wanted(ask: Ask) -> None:
    assert ask(errors.NotAuthenticated()).headers["WWW-Authenticate"].startswith("Bearer")


def test_a_short_secret_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="32"):
        build_container(Settings(jwt_secret=SecretStr("short")))
