"""S3Gen with its weights and what runs it: once in a process for all models that read its file.

English and Multilingual do; together they save a gigabyte, and their flow steps are taken together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mynah.engines.chatterbox.s3gen.decoder import SpeechDecoder
from mynah.engines.chatterbox.s3gen.scheduler import FlowScheduler


@dataclass(frozen=True, slots=True)
class Sound:
    """The decoder and its scheduler, and the library's networks that profiles are made with."""

    tokenizer: Any
    speaker_encoder: Any
    decoder: SpeechDecoder
    flow: FlowScheduler


@dataclass(slots=True)
class _Held:
    sound: Sound
    borrowers: int = 0


_held: Final[dict[Hashable, _Held]] = {}
_lock: Final = threading.Lock()


class BorrowedSound:
    """A share in a Sound; ``close`` gives it back, and the last one ends its thread."""

    def __init__(self, key: Hashable, build: Callable[[], Sound]) -> None:
        """``build`` makes it where no other has the same ``key``; raises what that raises."""
        self._key = key
        self._is_closed = False
        with _lock:
            if key not in _held:
                _held[key] = _Held(build())
            _held[key].borrowers += 1
            self.sound = _held[key].sound

    def close(self) -> None:
        """Give it back; again does nothing."""
        with _lock:
            if self._is_closed:
                return
            self._is_closed = True
            held = _held[self._key]
            held.borrowers -= 1
            if held.borrowers:
                return
            del _held[self._key]
        held.sound.flow.close()


def version_of(path: Path) -> tuple[str, int, int]:
    """Which file it is, and in which state: another gives other weights."""
    state = path.resolve().stat()
    return str(path.resolve()), state.st_mtime_ns, state.st_size
