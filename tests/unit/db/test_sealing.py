"""What lies sealed in rows opens with its own secret, for its own row, unchanged."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from mynah.db.sealing import SealBroken, seal, unseal

SECRET = SecretStr("a" * 40)


@pytest.mark.parametrize("plain", [b"", b"whsec_1", bytes(range(256)) * 1000])
def test_what_was_sealed_opens_again(plain: bytes) -> None:
    sealed = seal(SECRET, "webhook 1", plain)
    assert unseal(SECRET, "webhook 1", sealed) == plain
    assert not plain or plain not in sealed
    assert seal(SECRET, "webhook 1", plain) != sealed


def test_another_secret_row_or_byte_opens_nothing() -> None:
    sealed = seal(SECRET, "webhook 1", b"whsec_1")
    changed = bytes([*sealed[:-1], sealed[-1] ^ 1])
    for secret, purpose, data in (
        (SecretStr("b" * 40), "webhook 1", sealed),
        (SECRET, "webhook 2", sealed),
        (SECRET, "webhook 1", changed),
        (SECRET, "webhook 1", sealed[:-1]),
        (SECRET, "webhook 1", b""),
    ):
        with pytest.raises(SealBroken):
            unseal(secret, purpose, data)
