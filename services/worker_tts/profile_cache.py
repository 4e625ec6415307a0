"""Profiles in memory: a bounded LRU, by voice and version of its profile."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from mynah.engines.base import Profile
from mynah.observability.metrics import PROFILE_CACHE, PROFILE_CACHE_BYTES

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    profile: Profile
    size_bytes: int


class ProfileCache:
    """At most ``max_profiles`` and ``max_mib``; the least recently used goes first."""

    def __init__(self, max_profiles: int, max_mib: int) -> None:
        self._max_profiles = max_profiles
        self._max_bytes = max_mib * MIB
        self._entries: OrderedDict[UUID, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def get(self, voice_id: UUID, version: int, load: Callable[[], Profile]) -> Profile:
        """The profile of a voice; ``load`` is called when it is not here in this version."""
        with self._lock:
            entry = self._entries.get(voice_id)
            if entry is not None and entry.version == version:
                self._entries.move_to_end(voice_id)
                PROFILE_CACHE.labels("hit").inc()
                return entry.profile
        PROFILE_CACHE.labels("miss").inc()
        profile = load()
        self._put(voice_id, _Entry(version, profile, profile_bytes(profile)))
        return profile

    def _put(self, voice_id: UUID, entry: _Entry) -> None:
        with self._lock:
            self._remove(voice_id)
            self._entries[voice_id] = entry
            self.size_bytes += entry.size_bytes
            while len(self._entries) > 1 and self._is_over():
                self._remove(next(iter(self._entries)))
                PROFILE_CACHE.labels("evict").inc()
            PROFILE_CACHE_BYTES.set(self.size_bytes)

    def _is_over(self) -> bool:
        return len(self._entries) > self._max_profiles or self.size_bytes > self._max_bytes

    def _remove(self, voice_id: UUID) -> None:
        entry = self._entries.pop(voice_id, None)
        if entry is not None:
            self.size_bytes -= entry.size_bytes

    def voice_ids(self) -> list[UUID]:
        """The voices whose profiles are here."""
        with self._lock:
            return list(self._entries)

    def forget(self, voice_ids: Iterable[UUID]) -> None:
        """Drop the profiles of deleted voices."""
        with self._lock:
            for voice_id in voice_ids:
                self._remove(voice_id)
            PROFILE_CACHE_BYTES.set(self.size_bytes)


def profile_bytes(profile: Profile) -> int:
    """The memory that a profile's arrays take, in bytes."""
    return sum(int(array.nbytes) for array in profile.arrays.values())
