"""Whose slots a client takes before it has said who it is."""

from __future__ import annotations

import pytest

from mynah.errors import TooManyRequests, Unavailable
from services.api.live.slots import TO_STRANGERS, StreamSlots, name_of_address


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, "nonsense", False),
    ],
)
def test_an_ipv6_client_has_the_slots_of_its_network(
    one: str | None, other: str | None, are_same: bool
) -> None:
    assert (name_of_address(one) == name_of_address(other)) is are_same


def test_strangers_are_few_for_an_address_and_in_all() -> None:
    slots = StreamSlots(3, 2, refusal=TO_STRANGERS)
    back = [slots.take("one") for _ in range(2)]
    with pytest.raises(TooManyRequests, match="2 connections that have not said") as refused:
        slots.take("one")
    assert refused.value.code == "too_many_strangers"
    slots.take("another")
    with pytest.raises(Unavailable, match="have not said who they are"):
        slots.take("a third")
    back[0]()
    slots.take("a third")
