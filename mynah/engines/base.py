"""The protocols that every speech engine implements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from mynah.audio.waveform import Waveform
from mynah.contracts.speech import PhonemeSpan


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is and can do; plain data, readable without importing the engine."""

    id: str
    name: str
    description: str
    factory: str  # "module:Class" or another callable, imported only by a worker
    version: str
    sample_rate: int  # Hz of the waveforms it yields
    languages: tuple[str, ...]  # lower-case BCP-47 tags, the engine's own spelling
    max_piece_characters: int
    supports_cloning: bool
    supports_training: bool
    supports_streaming: bool
    gives_word_times: bool = False  # its blocks carry WordEvents
    supports_phonemes: bool = False  # it reads SynthesisSettings.phonemes
    supports_rate: bool = True  # it heeds SynthesisSettings.rate
    is_seeded: bool = False  # another seed gives another reading, so that a new try can help
    requires: tuple[str, ...] = ()  # importable modules that must be there
    # "module:function" that is given the id and returns why the engine cannot speak here, or None:
    # a quick look, taken once what it requires is there
    check: str | None = None
    # "module:function" that is given the id and returns about how many bytes the engine takes once
    # loaded; without it, it counts as nothing
    memory: str | None = None
    # "module:function" that is given what ``load_torch_file`` found, the id and the engine's tag of
    # a language, and returns the profile in another program's voice file, or None; without torch
    voice_file: str | None = None
    # "module:function" that is given the id and returns the BuiltinVoices beside its weights
    own_voices: str | None = None
    cost_per_1k_characters: float = 0.0  # credits
    characters_per_second: float = 14.0  # of speech at normal rate, for estimates

    def pace(self, rate: float) -> float:
        """Characters per second of speech at ``rate``, which not every engine heeds."""
        return self.characters_per_second * (rate if self.supports_rate else 1.0)

    def cost_of(self, characters: int) -> float:
        """The price of speaking so many characters, in credits."""
        return round(self.cost_per_1k_characters * characters / 1000, 6)


@dataclass(frozen=True, slots=True)
class SynthesisSettings:
    """How to speak, engine-neutral. Every engine maps what it can.

    ``rate`` 0.5–2.0 (1 = normal) · ``pitch_semitones`` -12–12 · ``stability`` 0–1
    (1 = even, 0 = lively; the inverse of expressiveness) · ``similarity`` 0–1 (how strongly to
    follow the profile) · ``style`` 0–1 (exaggeration) · ``volume`` 0–2 (1 = as is) ·
    ``seed`` explicit, never drawn inside an engine · ``phonemes``: how stretches of the text are
    pronounced, in order and apart; an engine that does not support them reads the text as it is ·
    ``is_live``: a listener waits; an engine that serves many at a time serves this one first.
    """

    rate: float = 1.0
    pitch_semitones: float = 0.0
    stability: float = 0.5
    similarity: float = 0.75
    style: float = 0.0
    volume: float = 1.0
    seed: int = 0
    phonemes: tuple[PhonemeSpan, ...] = ()
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class WordEvent:
    """A spoken word: ``start_s``, ``end_s`` from the utterance's first sample, and its
    characters ``text_start``, ``text_end`` in the text that the engine was given."""

    start_s: float
    end_s: float
    text_start: int
    text_end: int


@dataclass(frozen=True, slots=True)
class SpeechBlock:
    """The next stretch of an utterance, and the words whose end is known with it.

    Words come in the order of the text and do not overlap. A word may come some blocks after
    its audio, never before it.
    """

    waveform: Waveform
    words: tuple[WordEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What an engine derives from a voice's samples.

    ``arrays`` holds numeric arrays only, so that it can be stored as safetensors; ``meta``
    strings. ``engine`` and ``version`` say who made it; an engine refuses another's.
    """

    engine: str
    version: str
    language: str
    arrays: dict[str, Any] = field(default_factory=dict)  # name -> numpy array
    meta: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What a loaded engine does, for metrics.

    ``requests``, ``tokens``, ``steps`` and ``queue_wait_s`` (a sum over the requests) count since
    it was loaded; ``tokens_per_second`` and ``batch_size`` (requests per step) are those of the
    last seconds. ``device_bytes``: what this process holds on ``device``.
    """

    device: str
    device_bytes: int
    requests: int
    tokens: int
    steps: int
    queue_wait_s: float
    waiting: int
    running: int
    tokens_per_second: float
    batch_size: float


@runtime_checkable
class MeasuredEngine(Protocol):
    """An engine that can tell its load."""

    def measure(self) -> EngineLoad:
        """The figures now. Any thread may ask."""
        ...


class SpeechEngine(Protocol):
    """One engine. No state of a request lives on it; arrays in, arrays out."""

    @property
    def info(self) -> EngineInfo:
        """The engine's catalog row."""
        ...

    def prepare_profile(self, samples: Sequence[Waveform], language: str) -> Profile:
        """Derive a profile from a voice's samples. Deterministic.

        Raises InvalidAudio when the samples hold too little speech.
        """
        ...

    def builtin_profile(self, name: str, language: str) -> Profile:
        """The profile of one of the engine's own voices. Raises NotFound."""
        ...

    def synthesize(
        self, text: str, profile: Profile, settings: SynthesisSettings
    ) -> Iterator[SpeechBlock]:
        """Speak ``text``; yields mono blocks at ``info.sample_rate`` as they become ready.

        The blocks carry word times when ``info.gives_word_times``. Closing the iterator stops
        the engine. Raises EngineFailed, InvalidRequest (``unsupported_phoneme``).
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...
