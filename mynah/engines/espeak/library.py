"""The binding to libespeak-ng: one utterance in, blocks of int16 samples out.

The library keeps its state in globals: one utterance at a time, and the phase of its pitch
flutter survives from one to the next, so that the same text never sounds the same twice. Every
utterance therefore gets a library loaded afresh (0.4 ms, made ready after the one before), which
also leaves nothing behind when an utterance is broken off.
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import espeakng_loader
import numpy as np
import numpy.typing as npt

from mynah.errors import EngineFailed, EngineUnavailable

SAMPLE_RATE: Final = 22050  # Hz, of every voice without MBROLA
NORMAL_RATE_WPM: Final = 175

Int16Samples = npt.NDArray[np.int16]

# From speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 1 << 15
_POSITION_IN_CHARACTERS = 1
_CHARS_UTF8 = 1  # and neither SSML (0x10) nor [[phonemes]] (0x100): text is text
_RATE, _PITCH, _RANGE = 1, 3, 4
_BLOCK_MS = 40
_MAX_PATH_BYTES = 140  # path_home in the library holds 160, with the file's name

_SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What to say and how.

    ``voice`` is a voice file with an optional variant, ``gmw/de+f3``. ``pitch`` and
    ``pitch_range`` 0–99 with 50 as the voice's own; an octave is 50 steps of ``pitch``.
    ``seed`` feeds the noise of the voices that have any.
    """

    text: str
    voice: str
    rate_wpm: int = NORMAL_RATE_WPM
    pitch: int = 50
    pitch_range: int = 50
    seed: int = 0


class _Library:
    """A freshly loaded libespeak-ng, good for one utterance."""

    def __init__(self) -> None:
        data_path = os.fsencode(espeakng_loader.get_data_path())
        if len(data_path) > _MAX_PATH_BYTES:
            raise EngineUnavailable(f"eSpeak NG is installed under too long a path: {data_path!r}")
        self._functions = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = self._functions.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _BLOCK_MS, data_path, _DONT_EXIT
        )
        if rate != SAMPLE_RATE:
            raise EngineUnavailable(f"eSpeak NG did not start (answer {rate})")
        # The first look-up of a voice by a mixed-case name reads the whole data folder (4 ms).
        self._functions.espeak_SetVoiceByName(b"gmw/en-US")

    def speak(self, utterance: Utterance, on_block: Callable[[Int16Samples], bool]) -> None:
        """Speak until the end or until ``on_block`` answers False."""

        def on_samples(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
            if not samples or count <= 0:
                return 0
            return 0 if on_block(np.ctypeslib.as_array(samples, (count,)).copy()) else 1

        callback = _SYNTH_CALLBACK(on_samples)  # held until the call below is over
        functions = self._functions
        functions.espeak_SetSynthCallback(callback)
        if functions.espeak_SetVoiceByName(utterance.voice.encode()) != 0:
            raise EngineFailed(f"eSpeak NG has no voice {utterance.voice!r}")
        functions.espeak_SetParameter(_RATE, utterance.rate_wpm, 0)
        functions.espeak_SetParameter(_PITCH, utterance.pitch, 0)
        functions.espeak_SetParameter(_RANGE, utterance.pitch_range, 0)
        ctypes.CDLL(None).srand(ctypes.c_uint(utterance.seed))
        text = utterance.text.encode()
        answer = functions.espeak_Synth(
            text, len(text) + 1, 0, _POSITION_IN_CHARACTERS, 0, _CHARS_UTF8, None, None
        )
        if answer != 0:
            raise EngineFailed(f"eSpeak NG could not speak this (answer {answer})")

    def unload(self) -> None:
        self._functions.espeak_Terminate()
        _ctypes.dlclose(self._functions._handle)


class _Turn:
    """Whose turn it is in this process, and the library made ready for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: _Library | None = None

    def speak(
        self,
        utterance: Utterance,
        on_block: Callable[[Int16Samples], bool],
        on_end: Callable[[Exception | None], None],
    ) -> None:
        """Speak, report the end, then make the next library ready."""
        with self._lock:
            failure: Exception | None = None
            try:
                library = self._ready or _Library()
                try:
                    library.speak(utterance, on_block)
                finally:
                    self._ready = None
                    library.unload()
            except Exception as error:  # handed to the thread that reads the blocks
                failure = error
            on_end(failure)
            if failure is None:
                self._ready = _Library()

    def release(self) -> None:
        """Unload the library that is ready."""
        with self._lock:
            if self._ready is not None:
                self._ready.unload()
                self._ready = None


_turn = _Turn()


def _start_anew() -> None:
    """In a forked child the lock may be held by a thread that only the parent has."""
    global _turn  # noqa: PLW0603
    _turn = _Turn()


os.register_at_fork(after_in_child=_start_anew)


def iter_blocks(utterance: Utterance) -> Iterator[Int16Samples]:
    """Speak; yields blocks of about 60 ms, shape ``(samples,)``, as they are made.

    The library runs in a thread of its own and never waits for the reader: a slow reader must
    not keep it from others, and the blocks of one piece are small. Closing the iterator ends it
    at its next block. Raises EngineFailed, EngineUnavailable.
    """
    blocks: queue.SimpleQueue[Int16Samples | Exception | None] = queue.SimpleQueue()
    is_wanted = True

    def on_block(block: Int16Samples) -> bool:
        if is_wanted:
            blocks.put(block)
        return is_wanted

    threading.Thread(
        target=_turn.speak, args=(utterance, on_block, blocks.put), name="espeak"
    ).start()
    try:
        while (block := blocks.get()) is not None:
            if isinstance(block, Exception):
                raise block
            yield block
    finally:
        is_wanted = False


def release() -> None:
    """Unload the library; the next utterance loads it again."""
    _turn.release()


def load_variant_names() -> frozenset[str]:
    """The names of the voice variants, as in ``en-us+NAME``."""
    folder = Path(espeakng_loader.get_data_path(), "voices", "!v")
    return frozenset(path.name for path in folder.iterdir())
