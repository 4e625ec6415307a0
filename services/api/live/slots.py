"""How many listeners a process serves at a time, so that all other requests have threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from prometheus_client import Gauge

from mynah.errors import TooManyRequests, Unavailable
from mynah.observability.metrics import STREAMS

RETRY_S = 5
_NETWORK_BITS = 64  # of an IPv6 address; who has one address has all of its network


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said when no slot is free: to one who has too many, and when all are taken."""

    code: str
    to_one: str
    to_all: str


TO_LISTENERS = Refusal(
    "too_many_streams", "You listen to {limit} streams already.", "All streams are taken."
)
TO_STRANGERS = Refusal(
    "too_many_strangers",
    "Your address has {limit} connections that have not said who they are.",
    "Too many connections have not said who they are.",
)


def name_of_address(address: str | None) -> str:
    """Whom an address counts for: of IPv6 its network, which one client has as a whole."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return str(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, _NETWORK_BITS), strict=False))
    return str(found)


class StreamSlots:
    """Counts the listeners of this process, in all and per user.

    Also those who have not said who they are, for whom their address stands.
    """

    def __init__(
        self,
        limit: int,
        limit_per_user: int,
        gauge: Gauge = STREAMS,
        refusal: Refusal = TO_LISTENERS,
    ) -> None:
        self._limit = limit
        self._gauge = gauge
        self._limit_per_user = limit_per_user
        self._refusal = refusal
        self._lock = threading.Lock()
        self._by_user: Counter[Hashable] = Counter()

    @property
    def taken(self) -> int:
        """Listeners now."""
        with self._lock:
            return self._by_user.total()

    def taken_by(self, user: Hashable) -> int:
        """Listeners of one user now."""
        with self._lock:
            return self._by_user[user]

    def take(self, user: Hashable) -> Callable[[], None]:
        """Take a slot; returns what gives it back, once, however often it is called.

        Raises TooManyRequests when the user has too many, Unavailable when all are taken.
        """
        with self._lock:
            said = self._refusal
            if self._by_user[user] >= self._limit_per_user:
                message = said.to_one.format(limit=self._limit_per_user)
                raise TooManyRequests(message, code=said.code, retry_after_s=RETRY_S)
            if self._by_user.total() >= self._limit:
                raise Unavailable(said.to_all, code=said.code, retry_after_s=RETRY_S)
            self._by_user[user] += 1
            is_taken = True
        self._gauge.inc()

        def give_back() -> None:
            nonlocal is_taken
            with self._lock:
                if not is_taken:
                    return
                is_taken = False
                self._by_user[user] -= 1
                if not self._by_user[user]:
                    del self._by_user[user]
            self._gauge.dec()

        return give_back
