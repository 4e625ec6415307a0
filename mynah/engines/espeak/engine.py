"""EspeakEngine: the engine of the catalog's ``espeak`` row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mynah.audio.waveform import Waveform
from mynah.engines.base import EngineInfo, Profile, SpeechBlock, SynthesisSettings, WordEvent
from mynah.engines.catalog import ESPEAK, resolve_language
from mynah.engines.espeak import library
from mynah.engines.espeak.languages import LANGUAGES
from mynah.engines.espeak.phonemes import to_mnemonics
from mynah.engines.espeak.profile import build_profile, is_shaped, load_shape
from mynah.engines.espeak.shaping import Shape, shape_speech
from mynah.engines.espeak.spoken_text import (
    Pronunciation,
    SpokenText,
    check_spans,
    prepare_text,
)
from mynah.engines.espeak.word_timer import WordTimer
from mynah.engines.espeak.world import analyze, resynthesize
from mynah.engines.plain_text import nothing_to_speak
from mynah.engines.volume import bend_peaks
from mynah.errors import InvalidRequest, NotFound

_MIN_STRETCH_S = 1.5  # statistics of less would not be worth much
_SILENCE_PEAK = 1e-3  # -60 dBFS: a text that stays below it gave no speech


class EspeakEngine:
    """eSpeak NG, plain or shaped after a profile. Safe to call from several threads."""

    @property
    def info(self) -> EngineInfo:
        """The engine's catalog row."""
        return ESPEAK

    def builtin_profile(self, name: str, language: str) -> Profile:
        """The profile of eSpeak's voice ``name``, ``en-us`` or ``en-us+f3``.

        ``language`` is what it will read; a German voice may read English. Raises NotFound,
        InvalidRequest (``unsupported_language``).
        """
        tag, _, variant = name.partition("+")
        if tag not in LANGUAGES or (variant and variant not in library.load_variant_names()):
            raise NotFound(f"eSpeak NG has no voice {name!r}.", code="voice_not_found")
        return Profile(
            engine=ESPEAK.id,
            version=ESPEAK.version,
            language=resolve_language(ESPEAK, language),
            meta={"variant": variant},
        )

    def prepare_profile(self, samples: Sequence[Waveform], language: str) -> Profile:
        """Measure a person's recordings and learn to shape eSpeak's speech after them.

        Uses up to a minute of them. Raises InvalidAudio (``too_little_speech``),
        InvalidRequest (``unsupported_language``).
        """
        return build_profile(samples, resolve_language(ESPEAK, language))

    def synthesize(
        self, text: str, profile: Profile, settings: SynthesisSettings
    ) -> Iterator[SpeechBlock]:
        """Speak ``text`` (at most 600 characters) at 22 050 Hz, with the times of its words.

        Raises InvalidRequest (``wrong_profile``, ``nothing_to_speak``, ``invalid_phonemes``,
        ``unsupported_phoneme``), TextTooLong at the call; ``nothing_to_speak``, EngineFailed
        and EngineUnavailable while iterating.
        """
        if profile.engine != ESPEAK.id or profile.version != ESPEAK.version:
            raise InvalidRequest(
                f"The profile was made by {profile.engine} {profile.version}, "
                f"not by {ESPEAK.id} {ESPEAK.version}.",
                code="wrong_profile",
            )
        spoken = _spoken_text(text, profile, settings)
        utterance = plan_utterance(spoken, profile, settings)
        blocks = _iter_plain(utterance, WordTimer(text, spoken))
        if not is_shaped(profile) or settings.similarity == 0:
            return _iter_scaled(blocks, settings.volume)
        return _iter_shaped(blocks, load_shape(profile), settings)

    def close(self) -> None:
        """Unload the library."""
        library.release()


def plan_utterance(
    spoken: SpokenText, profile: Profile, settings: SynthesisSettings
) -> library.Utterance:
    """Map the neutral settings to eSpeak's parameters.

    Lively speech has a wide pitch range: 20 at stability 1, 80 at 0; style adds up to 20.
    """
    voice, _ = LANGUAGES[profile.language]
    variant = profile.meta.get("variant")
    pitch_range = 50 + 60 * (0.5 - settings.stability) + 20 * settings.style
    return library.Utterance(
        text=spoken.text,
        voice=f"{voice}+{variant}" if variant else voice,
        rate_wpm=round(library.NORMAL_RATE_WPM * settings.rate),
        pitch=int(np.clip(round(50 + settings.pitch_semitones * 50 / 12), 0, 99)),
        pitch_range=int(np.clip(round(pitch_range), 0, 99)),
        seed=settings.seed,
        reads_phonemes=spoken.reads_phonemes,
    )


def _spoken_text(text: str, profile: Profile, settings: SynthesisSettings) -> SpokenText:
    """What the library reads; phonemes as the profile's language has them."""
    check_spans(settings.phonemes, text)
    voice, _ = LANGUAGES[profile.language]
    pronunciations = [
        Pronunciation(span.start, span.end, to_mnemonics(span.ipa, voice))
        for span in settings.phonemes
    ]
    return prepare_text(text, ESPEAK.max_piece_characters, pronunciations)


def _iter_plain(utterance: library.Utterance, timer: WordTimer) -> Iterator[SpeechBlock]:
    """eSpeak's speech as it is.

    Silence before the first sound waits until there is one, and each block for the next: the
    last one carries the words that end with the utterance.
    """
    waiting: list[SpeechBlock] = []
    has_spoken = False
    for block in library.iter_blocks(utterance):
        waveform = Waveform.from_int16(block.samples, library.SAMPLE_RATE)
        has_spoken = has_spoken or float(np.abs(waveform.samples).max()) > _SILENCE_PEAK
        waiting.append(SpeechBlock(waveform, timer.add(block)))
        if has_spoken:
            yield from waiting[:-1]
            del waiting[:-1]
    if not has_spoken:
        raise nothing_to_speak()
    yield SpeechBlock(waiting[0].waveform, waiting[0].words + timer.finish())


def _iter_scaled(blocks: Iterator[SpeechBlock], volume: float) -> Iterator[SpeechBlock]:
    for block in blocks:
        samples = block.waveform.samples
        scaled = samples if volume == 1.0 else bend_peaks(samples * np.float32(volume))
        yield SpeechBlock(Waveform(scaled, library.SAMPLE_RATE), block.words)


def _iter_shaped(
    blocks: Iterator[SpeechBlock], shape: Shape, settings: SynthesisSettings
) -> Iterator[SpeechBlock]:
    """eSpeak's speech shaped after the profile, a stretch between pauses at a time.

    Shaping keeps the time, and with it that of the words.
    """
    for stretch in _iter_stretches(blocks):
        shaped = resynthesize(
            shape_speech(analyze(stretch.waveform), shape, settings.similarity)
        ).samples
        samples = np.zeros(stretch.waveform.frames, np.float32)
        usable = shaped[: samples.size]  # WORLD adds up to a frame
        samples[: usable.size] = usable
        bent = bend_peaks(samples * np.float32(settings.volume))
        yield SpeechBlock(Waveform(bent, library.SAMPLE_RATE), stretch.words)


def _iter_stretches(blocks: Iterator[SpeechBlock]) -> Iterator[SpeechBlock]:
    """Speech cut in pauses, at least a second at a time, so that the first is ready early."""
    held: list[SpeechBlock] = []
    length = 0
    for block in blocks:
        held.append(block)
        length += block.waveform.frames
        is_pause = float(np.abs(block.waveform.samples).max()) < _SILENCE_PEAK
        if is_pause and length >= library.SAMPLE_RATE * _MIN_STRETCH_S:
            yield _join(held)
            held.clear()
            length = 0
    if held:
        yield _join(held)


def _join(blocks: Sequence[SpeechBlock]) -> SpeechBlock:
    samples = np.concatenate([block.waveform.samples for block in blocks])
    words: list[WordEvent] = [word for block in blocks for word in block.words]
    return SpeechBlock(Waveform(samples, library.SAMPLE_RATE), tuple(words))
