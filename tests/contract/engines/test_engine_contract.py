"""What every engine of the catalog promises; one that cannot speak here is left out.

Chatterbox takes part where MYNAH_CHATTERBOX_DIR names real weights: random ones do not speak.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from mynah.audio.waveform import Samples, Waveform
from mynah.contracts.speech import PhonemeSpan
from mynah.engines.base import Profile, SpeechEngine, SynthesisSettings, WordEvent
from mynah.engines.catalog import BUILTIN_VOICES, load_engines, resolve_language
from mynah.engines.profile_file import dump_profile, load_profile
from mynah.engines.registry import availability, load_engine
from mynah.errors import InvalidAudio, InvalidRequest, MynahError, NotFound
from mynah.text.spoken_words import find_words

SHORT = "The lamp is lit."
LONG = "The lamp is lit, the door is closed, and everybody in the house is fast asleep by now."
SETTINGS = SynthesisSettings(similarity=1.0, seed=7)


def available_engines() -> list[str]:
    return [engine_id for engine_id in load_engines() if availability(engine_id).available]


@pytest.fixture(scope="module", params=available_engines())
def engine(request: pytest.FixtureRequest) -> Iterator[SpeechEngine]:
    loaded = load_engine(request.param)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def builtin(engine: SpeechEngine) -> Profile:
    """A voice of the engine's own; one without any is given a person, who is eSpeak."""
    voice = next((voice for voice in BUILTIN_VOICES if voice.engine == engine.info.id), None)
    if voice is not None:
        return engine.builtin_profile(voice.engine_voice, voice.language)
    person = load_engine("espeak")
    profile = person.builtin_profile("en-us", "en")
    recording = Waveform(speak(person, LONG + " " + LONG, profile), person.info.sample_rate)
    return engine.prepare_profile([recording], "en")


@pytest.fixture(scope="module")
def cloned(engine: SpeechEngine, builtin: Profile) -> Profile:
    """A profile of a person, who is the engine itself, read slowly in another pitch."""
    settings = replace(SETTINGS, pitch_semitones=5.0)
    recording = speak(engine, LONG + " " + LONG, builtin, settings)
    return engine.prepare_profile([Waveform(recording, engine.info.sample_rate)], "en")


def speak(
    engine: SpeechEngine, text: str, profile: Profile, settings: SynthesisSettings = SETTINGS
) -> Samples:
    blocks = engine.synthesize(text, profile, settings)
    return np.concatenate([block.waveform.samples for block in blocks])


def is_same(one: Samples, other: Samples) -> bool:
    """The same speech: an engine's noise may differ a little, words, voice and timing may not.

    eSpeak's phases hang on what it said before: its samples then agree by 0.92 only, its levels by
    0.996. Those of another word agree by 0.93, those of another voice by 0.95.
    """
    if one.size != other.size:
        return False
    return float(np.corrcoef(levels(one), levels(other))[0, 1]) > 0.985


def levels(samples: Samples) -> Samples:
    """Logarithmic energy in 16 bands of equal width, every 256 samples."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 512)[::256] * np.hanning(512)
    power = np.abs(np.fft.rfft(windows, axis=1))[:, :256] ** 2
    bands = power.reshape(len(power), 16, 16).sum(axis=2)
    return np.log10(bands + 1e-6).ravel().astype(np.float32)


@pytest.mark.parametrize("kind", ["builtin", "cloned"])
def test_speech_is_mono_finite_audible_and_at_the_engines_rate(
    engine: SpeechEngine, kind: str, request: pytest.FixtureRequest
) -> None:
    spoken = engine.synthesize(LONG, request.getfixturevalue(kind), SETTINGS)
    blocks = [block.waveform for block in spoken]
    assert all(block.sample_rate == engine.info.sample_rate for block in blocks)
    assert all(block.samples.ndim == 1 and block.samples.dtype == np.float32 for block in blocks)
    samples = np.concatenate([block.samples for block in blocks])
    assert np.isfinite(samples).all()
    assert 0.05 < np.abs(samples).max() <= 1.0
    assert 2.0 < samples.size / engine.info.sample_rate < 15.0


def test_longer_text_is_longer_speech(engine: SpeechEngine, builtin: Profile) -> None:
    assert speak(engine, LONG, builtin).size > 2 * speak(engine, SHORT, builtin).size


def test_a_higher_rate_shortens_speech_where_the_engine_can(
    engine: SpeechEngine, builtin: Profile
) -> None:
    if not engine.info.supports_rate:
        pytest.skip("has one pace")
    long = speak(engine, LONG, builtin).size
    assert speak(engine, LONG, builtin, replace(SETTINGS, rate=2.0)).size < 0.7 * long


def test_the_same_seed_gives_the_same_speech(engine: SpeechEngine, builtin: Profile) -> None:
    assert is_same(speak(engine, LONG, builtin), speak(engine, LONG, builtin))


def test_callers_at_the_same_time_get_their_own_speech(
    engine: SpeechEngine, builtin: Profile
) -> None:
    texts = [f"Number {number} is speaking now." for number in range(8)]
    alone = [speak(engine, text, builtin) for text in texts]
    together: list[Samples | None] = [None] * len(texts)

    def one(index: int) -> None:
        together[index] = speak(engine, texts[index], builtin)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for expected, got in zip(alone, together, strict=True):
        assert got is not None
        assert is_same(expected, got)


def test_leaving_early_frees_the_engine(engine: SpeechEngine, builtin: Profile) -> None:
    expected = speak(engine, SHORT, builtin)
    blocks = engine.synthesize(LONG, builtin, SETTINGS)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert is_same(speak(engine, SHORT, builtin), expected)


def test_a_profile_survives_its_file(engine: SpeechEngine, cloned: Profile) -> None:
    again = load_profile(dump_profile(cloned), engine.info.id)
    assert is_same(speak(engine, SHORT, again), speak(engine, SHORT, cloned))


@pytest.mark.parametrize("text", ["", "   ", "\x00", "🙂🙂🙂", "\ud800", "…"])
def test_a_text_without_words_is_spoken_or_clearly_refused(
    engine: SpeechEngine, builtin: Profile, text: str
) -> None:
    try:
        assert speak(engine, text, builtin).size
    except MynahError as error:
        assert error.status < 500


@pytest.mark.parametrize("text", ["<speak>hello</speak>", "[[h@loU]] there", "a & b < c"])
def test_text_is_text_whatever_it_looks_like(
    engine: SpeechEngine, builtin: Profile, text: str
) -> None:
    assert speak(engine, text, builtin).size > 0.3 * engine.info.sample_rate


def test_recordings_without_speech_give_no_profile(engine: SpeechEngine) -> None:
    rate = engine.info.sample_rate
    for samples in (np.zeros(5 * rate, np.float32), np.zeros(0, np.float32)):
        with pytest.raises(InvalidAudio):
            engine.prepare_profile([Waveform(samples, rate)], "en")


def test_unknown_voices_and_strange_profiles_are_refused(
    engine: SpeechEngine, builtin: Profile
) -> None:
    with pytest.raises(NotFound):
        engine.builtin_profile("no-such-voice", "en")
    with pytest.raises(InvalidRequest):
        list(engine.synthesize(SHORT, replace(builtin, engine="another"), SETTINGS))


def test_every_builtin_voice_speaks(engine: SpeechEngine) -> None:
    for voice in BUILTIN_VOICES:
        if voice.engine == engine.info.id:
            profile = engine.builtin_profile(voice.engine_voice, voice.language)
            assert np.abs(speak(engine, "1, 2, 3.", profile)).max() > 0.05, voice.slug
            assert resolve_language(engine.info, voice.language) == voice.language


@pytest.mark.parametrize("kind", ["builtin", "cloned"])
@pytest.mark.parametrize("text", [LONG, "  “Ça va?”, said 12 foxes — well… yes!", "你好世界。"])
def test_word_times_name_every_word_in_order_within_the_audio(
    engine: SpeechEngine, kind: str, text: str, request: pytest.FixtureRequest
) -> None:
    if not engine.info.gives_word_times:
        pytest.skip("gives no word times")
    given: list[WordEvent] = []
    yielded_s = 0.0
    for block in engine.synthesize(text, request.getfixturevalue(kind), SETTINGS):
        yielded_s += block.waveform.duration_s
        assert all(word.end_s <= yielded_s + 1e-6 for word in block.words)
        given += block.words
    assert [(word.text_start, word.text_end) for word in given] == [
        (word.start, word.end) for word in find_words(text)
    ]
    times = [time for word in given for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[0] >= 0


def test_phonemes_are_pronounced_where_the_engine_can(
    engine: SpeechEngine, builtin: Profile
) -> None:
    if not engine.info.supports_phonemes:
        pytest.skip("reads no phonemes")
    text = "I say xyz, and that is all."
    as_cat = replace(SETTINGS, phonemes=(PhonemeSpan(start=6, end=9, ipa="kæt"),))
    as_written = speak(engine, text, builtin)
    assert not is_same(speak(engine, text, builtin, as_cat), as_written)
    by_spelling = speak(engine, text.replace("xyz", "cat"), builtin)
    assert abs(speak(engine, text, builtin, as_cat).size - by_spelling.size) < 0.1 * as_written.size
    unknown = replace(SETTINGS, phonemes=(PhonemeSpan(start=6, end=9, ipa="k☃t"),))
    with pytest.raises(InvalidRequest, match="☃") as refused:
        speak(engine, text, builtin, unknown)
    assert refused.value.code == "unsupported_phoneme"
