"""The binding to libespeak-ng: one utterance in, blocks of int16 samples and word marks out.

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
from collections.abc import Callable, Iterator, Sequence
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
_CHARS_UTF8 = 1  # never with SSML (0x10): text is text
_PHONEMES = 0x100  # [[mnemonics]] in the text are pronounced, not read
_SEPARATOR = "_"
_SEPARATED_IPA = 2 | ord(_SEPARATOR) << 8
_EVENT_END, _EVENT_WORD = 0, 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_BLOCK_MS = 40
_MAX_PATH_BYTES = 140  # path_home in the library holds 160, with the file's name


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT. ``sample`` is exact where ``audio_position`` is cut to milliseconds."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # of the first character, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What to say and how.

    ``voice`` is a voice file with an optional variant, ``gmw/de+f3``. ``pitch`` and
    ``pitch_range`` 0–99 with 50 as the voice's own; an octave is 50 steps of ``pitch``.
    ``seed`` feeds the noise of the voices that have any. With ``reads_phonemes``, what stands
    in ``[[…]]`` is eSpeak's phoneme mnemonics.
    """

    text: str
    voice: str
    rate_wpm: int = NORMAL_RATE_WPM
    pitch: int = 50
    pitch_range: int = 50
    seed: int = 0
    reads_phonemes: bool = False


@dataclass(frozen=True, slots=True)
class WordMark:
    """A word begins: ``sample`` of the utterance, ``position`` of its first character.

    eSpeak marks what it speaks as a word, which need not be one of the text: a number is
    several, "of the" is one; and a position may lie on the space before.
    """

    sample: int
    position: int


@dataclass(frozen=True, slots=True)
class SpokenBlock:
    """Samples, shape ``(samples,)``, and the marks of the words that begin in them."""

    samples: Int16Samples
    marks: tuple[WordMark, ...] = ()


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

    def speak(self, utterance: Utterance, on_block: Callable[[SpokenBlock], bool]) -> None:
        """Speak until the end or until ``on_block`` answers False."""

        def on_samples(
            samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]
        ) -> int:
            if not samples or count <= 0:
                return 0
            copied = np.ctypeslib.as_array(samples, (count,)).copy()
            return 0 if on_block(SpokenBlock(copied, _word_marks(events))) else 1

        callback = _SYNTH_CALLBACK(on_samples)  # held until the call below is over
        functions = self._functions
        functions.espeak_SetSynthCallback(callback)
        self._set_voice(utterance.voice)
        functions.espeak_SetParameter(_RATE, utterance.rate_wpm, 0)
        functions.espeak_SetParameter(_PITCH, utterance.pitch, 0)
        functions.espeak_SetParameter(_RANGE, utterance.pitch_range, 0)
        ctypes.CDLL(None).srand(ctypes.c_uint(utterance.seed))
        self._synthesize(utterance.text, _PHONEMES if utterance.reads_phonemes else 0)

    def to_ipa(self, voice: str, mnemonics: Sequence[str]) -> list[list[str]]:
        """As the function of this name."""
        self._set_voice(voice)
        self._synthesize(" ", _PHONEMES)  # what follows keeps this call's reading of [[…]]
        self._functions.espeak_TextToPhonemes.restype = ctypes.c_char_p
        return [self._transcribe(f"[[{one}]]".encode()) for one in mnemonics]

    def _transcribe(self, text: bytes) -> list[str]:
        buffer = ctypes.create_string_buffer(text)
        rest = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses: list[bytes] = []
        while rest.value:
            clauses.append(
                self._functions.espeak_TextToPhonemes(
                    ctypes.byref(rest), _CHARS_UTF8, _SEPARATED_IPA
                )
            )
        return b"".join(clauses).decode(errors="replace").split(_SEPARATOR)

    def _set_voice(self, voice: str) -> None:
        if self._functions.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EngineFailed(f"eSpeak NG has no voice {voice!r}")

    def _synthesize(self, text: str, flags: int) -> None:
        data = text.encode()
        answer = self._functions.espeak_Synth(
            data, len(data) + 1, 0, _POSITION_IN_CHARACTERS, 0, _CHARS_UTF8 | flags, None, None
        )
        if answer != 0:
            raise EngineFailed(f"eSpeak NG could not speak this (answer {answer})")

    def unload(self) -> None:
        self._functions.espeak_Terminate()
        _ctypes.dlclose(self._functions._handle)


def _word_marks(events: ctypes._Pointer[_Event]) -> tuple[WordMark, ...]:
    marks: list[WordMark] = []
    index = 0
    while events and events[index].type != _EVENT_END:
        event = events[index]
        if event.type == _EVENT_WORD:
            marks.append(WordMark(event.sample, event.text_position - 1))
        index += 1
    return tuple(marks)


class _Turn:
    """Whose turn it is in this process, and the library made ready for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: _Library | None = None

    def speak(
        self,
        utterance: Utterance,
        on_block: Callable[[SpokenBlock], bool],
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

    def to_ipa(self, voice: str, mnemonics: Sequence[str]) -> list[list[str]]:
        """As ``_Library.to_ipa``; the library that was ready is used up, as by an utterance."""
        with self._lock:
            library = self._ready or _Library()
            self._ready = None
            try:
                return library.to_ipa(voice, mnemonics)
            finally:
                library.unload()

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


def iter_blocks(utterance: Utterance) -> Iterator[SpokenBlock]:
    """Speak; yields blocks of about 60 ms as they are made.

    The library runs in a thread of its own and never waits for the reader: a slow reader must
    not keep it from others, and the blocks of one piece are small. Closing the iterator ends it
    at its next block. Raises EngineFailed, EngineUnavailable.
    """
    blocks: queue.SimpleQueue[SpokenBlock | Exception | None] = queue.SimpleQueue()
    is_wanted = True

    def on_block(block: SpokenBlock) -> bool:
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


def to_ipa(voice: str, mnemonics: Sequence[str]) -> list[list[str]]:
    """The phonemes, in IPA, of each string of mnemonics as a voice file pronounces it.

    Raises EngineFailed, EngineUnavailable.
    """
    return _turn.to_ipa(voice, mnemonics)


def release() -> None:
    """Unload the library; the next utterance loads it again."""
    _turn.release()


def load_variant_names() -> frozenset[str]:
    """The names of the voice variants, as in ``en-us+NAME``."""
    folder = Path(espeakng_loader.get_data_path(), "voices", "!v")
    return frozenset(path.name for path in folder.iterdir())
