"""EspeakEngine: the engine of the catalog's ``espeak`` row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mynah.audio.waveform import Samples, Waveform
from mynah.engines.base import EngineInfo, Profile, SynthesisSettings
from mynah.engines.catalog import ESPEAK, resolve_language
from mynah.engines.espeak import library
from mynah.engines.espeak.languages import LANGUAGES
from mynah.engines.espeak.profile import build_profile, is_shaped, load_shape
from mynah.engines.espeak.shaping import shape_speech
from mynah.engines.espeak.spoken_text import clean_text, nothing_to_speak
from mynah.engines.espeak.world import analyze, resynthesize
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
    ) -> Iterator[Waveform]:
        """Speak ``text`` (at most 600 characters) at 22 050 Hz.

        Raises InvalidRequest (``wrong_profile``, ``nothing_to_speak``), TextTooLong at the
        call; ``nothing_to_speak``, EngineFailed and EngineUnavailable while iterating.
        """
        if profile.engine != ESPEAK.id or profile.version != ESPEAK.version:
            raise InvalidRequest(
                f"The profile was made by {profile.engine} {profile.version}, "
                f"not by {ESPEAK.id} {ESPEAK.version}.",
                code="wrong_profile",
            )
        utterance = plan_utterance(clean_text(text, ESPEAK.max_piece_characters), profile, settings)
        if not is_shaped(profile) or settings.similarity == 0:
            return _iter_plain(utterance, settings.volume)
        return _iter_shaped(utterance, profile, settings)

    def close(self) -> None:
        """Unload the library."""
        library.release()


def plan_utterance(text: str, profile: Profile, settings: SynthesisSettings) -> library.Utterance:
    """Map the neutral settings to eSpeak's parameters.

    Lively speech has a wide pitch range: 20 at stability 1, 80 at 0; style adds up to 20.
    """
    voice, _ = LANGUAGES[profile.language]
    variant = profile.meta.get("variant")
    pitch_range = 50 + 60 * (0.5 - settings.stability) + 20 * settings.style
    return library.Utterance(
        text=text,
        voice=f"{voice}+{variant}" if variant else voice,
        rate_wpm=round(library.NORMAL_RATE_WPM * settings.rate),
        pitch=int(np.clip(round(50 + settings.pitch_semitones * 50 / 12), 0, 99)),
        pitch_range=int(np.clip(round(pitch_range), 0, 99)),
        seed=settings.seed,
    )


def _iter_plain(utterance: library.Utterance, volume: float) -> Iterator[Waveform]:
    """eSpeak's speech as it is. Silence before the first sound waits until there is one."""
    waiting: list[Waveform] = []
    has_spoken = False
    for block in library.iter_blocks(utterance):
        waveform = Waveform.from_int16(block, library.SAMPLE_RATE)
        has_spoken = has_spoken or float(np.abs(waveform.samples).max()) > _SILENCE_PEAK
        waiting.append(Waveform(_scale(waveform.samples, volume), library.SAMPLE_RATE))
        if has_spoken:
            yield from waiting
            waiting.clear()
    if not has_spoken:
        raise nothing_to_speak()


def _iter_shaped(
    utterance: library.Utterance, profile: Profile, settings: SynthesisSettings
) -> Iterator[Waveform]:
    """eSpeak's speech shaped after the profile, a stretch between pauses at a time."""
    shape = load_shape(profile)
    for stretch in _iter_stretches(_iter_plain(utterance, 1.0)):
        shaped = resynthesize(shape_speech(analyze(stretch), shape, settings.similarity))
        pitched = stretch.frames  # WORLD adds up to a frame
        samples = np.zeros(pitched, np.float32)
        usable = shaped.samples[:pitched]
        samples[: usable.size] = usable
        yield Waveform(_bend(samples * np.float32(settings.volume)), stretch.sample_rate)


def _iter_stretches(blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    """Speech cut in pauses, at least a second at a time, so that the first is ready early."""
    held: list[Samples] = []
    rate = library.SAMPLE_RATE
    for block in blocks:
        held.append(block.samples)
        length = sum(samples.size for samples in held)
        is_pause = float(np.abs(block.samples).max()) < _SILENCE_PEAK
        if is_pause and length >= rate * _MIN_STRETCH_S:
            yield Waveform(np.concatenate(held), rate)
            held.clear()
    if held:
        yield Waveform(np.concatenate(held), rate)


def _scale(samples: Samples, volume: float) -> Samples:
    """``samples`` times ``volume``, bent where that would clip."""
    return samples if volume == 1.0 else _bend(samples * np.float32(volume))


def _bend(samples: Samples) -> Samples:
    """``samples`` bent below full scale above 0.8 rather than clipped."""
    excess = np.maximum(np.abs(samples) - np.float32(0.8), 0)
    bent = np.sign(samples) * (np.float32(0.8) + np.float32(0.2) * np.tanh(excess * 5))
    return np.where(excess > 0, bent, samples).astype(np.float32)
