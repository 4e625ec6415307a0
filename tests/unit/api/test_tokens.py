"""Access and refresh tokens: what is signed, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.errors import NotAuthenticated
from mynah.settings import Settings
from services.api.auth.tokens import issue_token, read_token

SECRET = "a secret of more than thirty-two characters"
SETTINGS = Settings(jwt_secret=SecretStr(SECRET))


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a valid access token, changed; None leaves one out."""
    now = utc_now()
    valid = {
        "iss": "mynah",
        "aud": "access",
        "sub": str(new_id()),
        "jti": str(new_id()),
        "iat": now,
        "exp": now + timedelta(minutes=5),
    }
    return {name: value for name, value in {**valid, **changes}.items() if value is not None}


def encode(content: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(content, secret, algorithm)


def refusal(encoded: str) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        read_token(SETTINGS, encoded, "access")
    return caught.value.code


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_a_token_says_what_was_put_in(kind: Any) -> None:
    user_id = new_id()
    encoded, issued = issue_token(SETTINGS, user_id, kind)
    read = read_token(SETTINGS, encoded, kind)
    assert (read.id, read.user_id) == (issued.id, user_id)
    assert abs(read.expires_at - issued.expires_at) < timedelta(seconds=1)


def test_the_claims_of_these_tests_are_valid() -> None:
    assert read_token(SETTINGS, encode(claims()), "access")


def test_a_token_of_the_other_kind_is_refused() -> None:
    encoded, _ = issue_token(SETTINGS, new_id(), "refresh")
    assert refusal(encoded) == "invalid_token"


def test_an_expired_token_is_told_apart() -> None:
    past = utc_now() - timedelta(seconds=1)
    assert refusal(encode(claims(exp=past))) == "token_expired"


def test_a_token_signed_with_another_secret_is_refused() -> None:
    other = "another secret of more than thirty-two characters"
    assert refusal(encode(claims(), other)) == "invalid_token"
    past = utc_now() - timedelta(seconds=1)
    assert refusal(encode(claims(exp=past), other)) == "invalid_token"


def test_a_token_without_a_signature_is_refused() -> None:
    unsigned = jwt.encode(claims(), None, "none")
    assert refusal(unsigned) == "invalid_token"
    assert refusal(encode(claims()).rpartition(".")[0] + ".") == "invalid_token"


def test_a_token_of_another_algorithm_is_refused() -> None:
    long_secret = SECRET * 2
    settings = Settings(jwt_secret=SecretStr(long_secret))
    encoded = encode(claims(), long_secret, "HS512")
    with pytest.raises(NotAuthenticated):
        read_token(settings, encoded, "access")


@pytest.mark.parametrize("name", ["exp", "sub", "jti", "aud", "iss"])
def test_a_token_that_lacks_a_claim_is_refused(name: str) -> None:
    assert refusal(encode(claims(**{name: None}))) == "invalid_token"


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "somebody"},
        {"jti": "1"},
        {"iss": "somebody else"},
        {"aud": "both"},
        {"exp": "tomorrow"},
        {"exp": 10**30},
    ],
)
def test_a_token_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    assert refusal(encode(claims(**changes))) == "invalid_token"


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "\x00", "\xff.\xff.\xff", "ey" * 5000])
def test_what_is_no_token_is_refused(text: str) -> None:
    assert refusal(text) == "invalid_token"
