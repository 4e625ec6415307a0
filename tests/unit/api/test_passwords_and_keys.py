"""Password hashes and API keys."""

from __future__ import annotations

import re

from services.api.auth.api_keys import generate_key, hash_key
from services.api.auth.passwords import hash_password, is_password
from services.api.auth.scopes import ALL_SCOPES, USER_SCOPES, scopes_of_role


def test_a_password_fits_its_own_hash_only() -> None:
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct horse" not in stored
    assert is_password(stored, "correct horse")
    assert not is_password(stored, "correct horse ")
    assert not is_password(stored, "")


def test_hashes_of_one_password_differ() -> None:
    assert hash_password("correct horse") != hash_password("correct horse")


def test_nobody_has_a_password() -> None:
    assert not is_password(None, "nobody has this password")
    assert not is_password("-", "anything")
    assert not is_password("", "nobody has this password")


def test_a_key_has_a_start_a_prefix_and_a_long_secret() -> None:
    new = generate_key()
    assert re.fullmatch(r"mynah_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", new.key)
    assert new.key.startswith(f"{new.prefix}_")
    assert new.key_hash == hash_key(new.key)
    assert re.fullmatch(r"[0-9a-f]{64}", new.key_hash)


def test_keys_are_never_the_same() -> None:
    assert len({generate_key().key for _ in range(100)}) == 100


def test_whatever_a_header_holds_can_be_hashed() -> None:
    assert len({hash_key(text) for text in ("", "\xff", "\ud800", "mynah_\x00")}) == 4


def test_only_administrators_have_the_administrators_scope() -> None:
    assert scopes_of_role("user") == frozenset(USER_SCOPES)
    assert scopes_of_role("admin") == frozenset(ALL_SCOPES)
    assert "admin" not in scopes_of_role("anything else")
