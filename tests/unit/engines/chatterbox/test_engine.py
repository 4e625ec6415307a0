"""The engine as a worker uses it, on small checkpoints of random weights."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mynah.audio.waveform import Samples, Waveform
from mynah.engines import registry
from mynah.engines.base import Profile, SynthesisSettings
from mynah.engines.chatterbox import engine, memory, own_voice, readiness
from mynah.engines.chatterbox.engine import ChatterboxEngine
from mynah.engines.chatterbox.rows import MODEL_IDS, ROWS
from mynah.engines.profile_file import dump_profile, load_profile
from mynah.errors import (
    EngineFailed,
    EngineUnavailable,
    InvalidAudio,
    InvalidRequest,
    NotFound,
    TextTooLong,
)
from mynah.settings import Settings
from tests.parts import wait_for
from tests.unit.engines.chatterbox.library_generate import library_tokens
from tests.unit.engines.chatterbox.small_models import (
    load_at_test_size,
    write_conditionals,
    write_small_models,
)

RATE = 24_000
TEXT = "The lamp is lit."
SETTINGS = SynthesisSettings(seed=7)
MOST_TOKENS = 40  # random weights seldom end by themselves


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three models, small, with voiced speech."""
    root = tmp_path_factory.mktemp("models")
    write_small_models(root)
    return root


@pytest.fixture(scope="module")
def small(root: Path) -> Iterator[Settings]:
    """Settings by which the small models are loaded, and quickly spoken."""
    settings = Settings(chatterbox_dir=root, chatterbox_device="cpu", chatterbox_rows=16)
    with pytest.MonkeyPatch.context() as patch:
        load_at_test_size(patch, lambda _: MOST_TOKENS)
        yield settings


@pytest.fixture(scope="module", params=[row.id for row in ROWS])
def speaking(request: pytest.FixtureRequest, small: Settings) -> Iterator[ChatterboxEngine]:
    row = next(row for row in ROWS if row.id == request.param)
    loaded = ChatterboxEngine(row, small)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def english(small: Settings) -> Iterator[ChatterboxEngine]:
    loaded = ChatterboxEngine(ROWS[0], small)
    yield loaded
    loaded.close()


def recording(pitch_hz: float, seconds: float = 6.0) -> Waveform:
    """A hum whose level moves."""
    at = np.arange(int(seconds * RATE)) / RATE
    level = 0.2 + 0.1 * np.sin(2 * np.pi * 3 * at)
    hiss = np.random.default_rng(int(pitch_hz)).normal(0, 0.02, len(at))
    return Waveform((level * np.sin(2 * np.pi * pitch_hz * at) + hiss).astype(np.float32), RATE)


def make_profile(loaded: ChatterboxEngine, pitch_hz: float = 140.0) -> Profile:
    return loaded.prepare_profile([recording(pitch_hz)], "en")


def speak(
    loaded: ChatterboxEngine,
    profile: Profile,
    settings: SynthesisSettings = SETTINGS,
    text: str = TEXT,
) -> Samples:
    blocks = loaded.synthesize(text, profile, settings)
    return np.concatenate([block.waveform.samples for block in blocks])


def is_idle(loaded: ChatterboxEngine) -> bool:
    statistics = loaded._model.t3.statistics()
    return statistics.running == statistics.waiting == 0


def test_each_model_speaks_in_blocks_and_its_watermark_is_found(
    speaking: ChatterboxEngine,
) -> None:
    blocks = [b.waveform for b in speaking.synthesize(TEXT, make_profile(speaking), SETTINGS)]
    assert len(blocks) > 1
    assert all(b.sample_rate == RATE and b.samples.dtype == np.float32 for b in blocks)
    samples = np.concatenate([block.samples for block in blocks])
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 1.0
    marked = speaking._model.watermarker.confidence(Waveform(samples, RATE))
    assert marked > 0.5


def test_a_seed_gives_the_same_speech_and_another_seed_another(
    speaking: ChatterboxEngine,
) -> None:
    profile = make_profile(speaking)
    first, again = speak(speaking, profile), speak(speaking, profile)
    np.testing.assert_allclose(first, again, atol=1e-4)
    other = speak(speaking, profile, replace(SETTINGS, seed=8))
    assert other.size != first.size or np.abs(other - first).max() > 0.01


def test_the_joined_stream_is_near_to_the_whole_decoded_at_once(
    english: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, heard = make_profile(english), []
    iter_decoded = engine._iter_decoded

    def listening(stream: Any, decoding: Any) -> Iterator[Waveform]:
        return iter_decoded((heard.append(tokens) or tokens for tokens in stream), decoding)

    monkeypatch.setattr(engine, "_iter_decoded", listening)
    monkeypatch.setattr(engine, "release_speech", lambda blocks, _: blocks)
    streamed = speak(english, profile)
    whole = english._model.decoder.decode(np.concatenate(heard), profile, SETTINGS.seed).samples
    assert streamed.size == whole.size
    assert float(np.corrcoef(streamed, whole)[0, 1]) > 0.9


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_speech_tokens_are_those_of_the_librarys_generate(
    speaking: ChatterboxEngine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, heard = make_profile(speaking), []
    iter_decoded = engine._iter_decoded

    def listening(stream: Any, decoding: Any) -> Iterator[Waveform]:
        return iter_decoded((heard.append(tokens) or tokens for tokens in stream), decoding)

    monkeypatch.setattr(engine, "_iter_decoded", listening)
    speak(speaking, profile)
    spoken = [token for tokens in heard for token in tokens if token < 6561]
    assert spoken == library_tokens(
        MODEL_IDS[speaking.info.id], root, profile, TEXT, SETTINGS.seed, MOST_TOKENS
    )
    assert len(spoken) > 5


def test_callers_at_the_same_time_each_get_what_they_get_alone(
    english: ChatterboxEngine,
) -> None:
    voices = [make_profile(english, pitch) for pitch in (110.0, 220.0)]
    wanted = [(voices[i % 2], replace(SETTINGS, seed=100 + i)) for i in range(6)]
    alone = [speak(english, profile, settings) for profile, settings in wanted]
    together: list[Samples | None] = [None] * len(wanted)

    def one(index: int) -> None:
        together[index] = speak(english, *wanted[index])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(wanted))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for mine, got in zip(alone, together, strict=True):
        assert got is not None
        np.testing.assert_allclose(got, mine, atol=1e-3)
    assert not any(
        one.size == other.size and np.allclose(one, other, atol=1e-2)
        for index, one in enumerate(alone)
        for other in alone[:index]
    )
    assert is_idle(english)


def test_leaving_in_the_middle_frees_the_row(
    english: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = make_profile(english)
    request = engine.TokenRequest
    monkeypatch.setattr(engine, "TokenRequest", lambda **o: replace(request(**o), max_tokens=900))
    blocks = english.synthesize(TEXT * 10, profile, SETTINGS)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    wait_for(lambda: is_idle(english), 5, "the row is free")
    monkeypatch.undo()
    assert speak(english, profile).size


def test_a_speaker_who_is_never_listened_to_takes_no_row(english: ChatterboxEngine) -> None:
    before = english._model.t3.statistics().requests
    english.synthesize(TEXT, make_profile(english), SETTINGS)
    assert is_idle(english)
    assert english._model.t3.statistics().requests == before


def test_a_failure_of_one_caller_is_its_own(english: ChatterboxEngine) -> None:
    profile = make_profile(english)
    name = engine.SPEAKER
    poisoned = replace(profile, arrays={**profile.arrays, name: np.full(256, np.float32(np.nan))})
    expected = speak(english, profile)
    going = english.synthesize(TEXT, profile, SETTINGS)
    first = next(going).waveform.samples
    with pytest.raises((InvalidRequest, EngineFailed)):
        speak(english, poisoned)
    rest = [block.waveform.samples for block in going]
    np.testing.assert_allclose(np.concatenate([first, *rest]), expected, atol=1e-3)


def test_a_profile_survives_its_file_and_another_engines_is_refused(
    speaking: ChatterboxEngine,
) -> None:
    profile = make_profile(speaking)
    assert profile.engine == speaking.info.id
    again = load_profile(dump_profile(profile), speaking.info.id)
    np.testing.assert_allclose(speak(speaking, again), speak(speaking, profile), atol=1e-4)
    for strange in (replace(profile, engine="espeak"), replace(profile, arrays={})):
        with pytest.raises(InvalidRequest) as refused:
            speaking.synthesize(TEXT, strange, SETTINGS)
        assert refused.value.code == "invalid_profile"


@pytest.mark.parametrize("text", ["", "  ", "🙂🙂", "…", "\x00"])
def test_a_text_without_words_is_refused_at_once(speaking: ChatterboxEngine, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        speaking.synthesize(text, make_profile(speaking), SETTINGS)
    assert refused.value.code == "nothing_to_speak"


def test_one_character_is_spoken_and_ten_thousand_are_refused(
    speaking: ChatterboxEngine,
) -> None:
    profile = make_profile(speaking)
    assert speak(speaking, profile, text="a").size
    with pytest.raises(TextTooLong):
        speaking.synthesize("a" * 10_000, profile, SETTINGS)


def test_recordings_without_speech_and_unknown_voices_are_refused(
    speaking: ChatterboxEngine,
) -> None:
    for samples in (np.zeros(5 * RATE, np.float32), np.zeros(0, np.float32)):
        with pytest.raises(InvalidAudio):
            speaking.prepare_profile([Waveform(samples, RATE)], "en")
    with pytest.raises(NotFound):
        speaking.builtin_profile("any", "en")


def test_the_voice_beside_the_weights_is_the_engines_own(
    small: Settings, root: Path, tmp_path: Path
) -> None:
    assert own_voice.own_voices("chatterbox", small) == ()
    shutil.copytree(root / "chatterbox", tmp_path / "chatterbox")
    write_conditionals(tmp_path / "chatterbox" / "conds.pt")
    settings = small.model_copy(update={"chatterbox_dir": tmp_path})
    [voice] = own_voice.own_voices("chatterbox-multilingual", settings)
    loaded = ChatterboxEngine(ROWS[1], settings)
    try:
        profile = loaded.builtin_profile(voice.engine_voice, "de-DE")
        assert (profile.engine, profile.language) == ("chatterbox-multilingual", "de")
        assert speak(loaded, profile).size
        with pytest.raises(NotFound):
            loaded.builtin_profile("another", "de")
    finally:
        loaded.close()


def test_models_with_the_same_sound_hold_it_once_and_the_last_one_ends_it(
    small: Settings, root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root / "chatterbox", tmp_path / "chatterbox")
    own = small.model_copy(update={"chatterbox_dir": tmp_path})
    first, second = (ChatterboxEngine(row, own) for row in ROWS[:2])
    assert first._model.decoder is second._model.decoder
    first.close()
    first.close()  # again does nothing
    assert speak(second, make_profile(second)).size
    second.close()
    again = ChatterboxEngine(ROWS[0], own)
    assert again._model.decoder is not second._model.decoder
    again.close()


def test_the_memory_that_a_model_needs_follows_its_files_and_format(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches = 2 * 2**20

    def needed(**changes: object) -> int:
        plain = {"chatterbox_cache_mib": 1, "chatterbox_prefix_mib": 1}
        settings = small.model_copy(update={**plain, **changes})
        monkeypatch.setattr(memory, "load_settings", lambda: settings)
        return registry.needed_memory("chatterbox")

    exact = needed() - caches
    folder = Path(str(small.chatterbox_dir)) / "chatterbox"
    files = ("t3_cfg.safetensors", "s3gen.safetensors", "ve.safetensors")
    assert exact == pytest.approx(sum((folder / f).stat().st_size for f in files), rel=0.05)
    bf16, int8 = (needed(chatterbox_precision=name) - caches for name in ("bf16", "int8"))
    assert exact > bf16 > int8 > exact / 4
    assert needed(chatterbox_dir=folder / "nowhere") == 0


def test_volume_is_applied_and_stays_within_full_scale(english: ChatterboxEngine) -> None:
    profile = make_profile(english)
    plain = speak(english, profile)
    quiet = speak(english, profile, replace(SETTINGS, volume=0.5))
    loud = speak(english, profile, replace(SETTINGS, volume=2.0))
    assert np.abs(quiet).max() == pytest.approx(0.5 * np.abs(plain).max(), rel=0.2)
    assert np.abs(loud).max() <= 1.0


def test_settings_move_around_the_librarys_defaults() -> None:
    plain = engine.sampling_settings("english", SynthesisSettings())
    assert (plain.temperature, plain.guidance) == (0.8, 0.5)
    assert engine.exaggeration(SynthesisSettings()) == 0.5
    even = engine.sampling_settings("english", SynthesisSettings(stability=1.0))
    lively = engine.sampling_settings("multilingual", SynthesisSettings(stability=0.0, style=1.0))
    assert even.temperature == pytest.approx(0.5)
    assert (lively.temperature, lively.guidance) == pytest.approx((1.1, 0.3))
    assert engine.sampling_settings("turbo", SynthesisSettings(style=1.0)).guidance == 0.0
    assert engine.exaggeration(SynthesisSettings(style=1.0)) == 1.0


def test_the_catalog_shows_why_a_checkpoint_cannot_be_used(
    small: Settings, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> registry.Availability:
        return registry.availability("chatterbox")

    folder = tmp_path / "chatterbox"
    monkeypatch.setattr(readiness, "load_settings", lambda: settings)
    settings = small.model_copy(update={"chatterbox_dir": tmp_path})
    assert "t3_cfg.safetensors" in str(found().reason)
    shutil.copytree(root / "chatterbox", folder)
    assert found() == registry.Availability(True)
    t3, s3gen = folder / "t3_cfg.safetensors", folder / "s3gen.safetensors"
    s3gen.write_bytes(s3gen.read_bytes()[:-100])
    assert not found().available
    assert str(s3gen) in str(found().reason)
    shutil.copy(root / "chatterbox" / s3gen.name, s3gen)
    shutil.copy(root / "chatterbox" / "t3_mtl23ls_v2.safetensors", t3)
    assert str(t3) in str(found().reason)
    t3.write_bytes(b"no safetensors")
    assert str(t3) in str(found().reason)


def test_without_a_checkpoint_the_reason_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for engine_id in MODEL_IDS:
        reason = readiness.check_readiness(engine_id, Settings())
        assert "MYNAH_CHATTERBOX_DIR" in str(reason)
        assert readiness.check_readiness(engine_id, Settings(chatterbox_download=True)) is None


def test_a_damaged_checkpoint_is_named_when_it_is_loaded(
    small: Settings, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "chatterbox", tmp_path / "chatterbox")
    path = tmp_path / "chatterbox" / "ve.safetensors"
    shutil.copy(path.with_name("s3gen.safetensors"), path)  # whole, but not the voice encoder's
    settings = small.model_copy(update={"chatterbox_dir": tmp_path})
    for module in (engine, readiness):
        monkeypatch.setattr(module, "load_settings", lambda: settings)
    with pytest.raises(EngineUnavailable) as refused:
        registry.load_engine("chatterbox-multilingual")
    assert str(path) in refused.value.message


def test_a_closed_engine_refuses(small: Settings) -> None:
    loaded = ChatterboxEngine(ROWS[0], small)
    profile = make_profile(loaded)
    loaded.close()
    with pytest.raises(EngineUnavailable):
        speak(loaded, profile)
