"""Profiles against ``prepare_conditionals`` of chatterbox-tts 0.1.7 on the same arrays."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("chatterbox")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    from chatterbox.models.voice_encoder import VoiceEncoder
    from chatterbox.tts import ChatterboxTTS

from mynah.audio.waveform import Waveform  # noqa: E402
from mynah.engines.chatterbox.conditionals import read_conditionals, read_voice_file  # noqa: E402
from mynah.engines.chatterbox.profile import ProfileNetworks, prepare_profile  # noqa: E402
from mynah.engines.chatterbox.profile_layout import (  # noqa: E402
    MEL,
    SPEAKER,
    T3_TOKENS,
    TOKENS,
    X_VECTOR,
    ProfileKind,
    check_profile,
)
from mynah.engines.chatterbox.s3gen.decoder import SpeechDecoder  # noqa: E402
from mynah.engines.profile_file import dump_profile, load_profile  # noqa: E402
from mynah.engines.torch_file import load_torch_file  # noqa: E402
from mynah.errors import InvalidAudio, InvalidRequest  # noqa: E402
from tests.unit.engines.chatterbox.s3gen_parts import small_s3gen  # noqa: E402

ENGLISH = ProfileKind("english", 150)
TURBO = ProfileKind("turbo", 375, is_turbo=True)
RATE = 24_000


@pytest.fixture(scope="module")
def s3gen():
    s3gen = small_s3gen()
    with torch.no_grad():  # random weights stay in the middle of the codebook otherwise
        s3gen.tokenizer.quantizer._codebook.project_down.weight.mul_(30)
    return s3gen


@pytest.fixture(scope="module")
def voice_encoder():
    torch.manual_seed(2)
    return VoiceEncoder().eval()


@pytest.fixture(scope="module")
def networks(s3gen, voice_encoder):
    return ProfileNetworks(s3gen.tokenizer, s3gen.speaker_encoder, voice_encoder)


def babble(seconds, rate=RATE):
    """A hum whose pitch and level move."""
    at = np.arange(int(seconds * rate)) / rate
    pitch = 150 * at + 15 * np.sin(3 * at)
    level = 0.2 * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * at))
    hiss = np.random.default_rng(0).normal(0, 0.02, len(at))
    return Waveform((level * np.sin(2 * np.pi * pitch) + hiss).astype(np.float32), rate)


def library_conditionals(s3gen, voice_encoder, recording, monkeypatch):
    tts = ChatterboxTTS.__new__(ChatterboxTTS)
    tts.s3gen, tts.ve, tts.device = s3gen, voice_encoder, "cpu"
    tts.t3 = SimpleNamespace(hp=SimpleNamespace(speech_cond_prompt_len=150))
    monkeypatch.setattr("librosa.load", lambda path, sr: (recording.samples, sr))
    with torch.no_grad():
        tts.prepare_conditionals("unused")
    return tts.conds


def test_a_profile_is_what_the_library_prepares(networks, s3gen, voice_encoder, monkeypatch):
    recording = babble(11)
    expected = library_conditionals(s3gen, voice_encoder, recording, monkeypatch)
    arrays = prepare_profile([recording], "en", networks, ENGLISH).arrays
    np.testing.assert_array_equal(arrays[T3_TOKENS], expected.t3.cond_prompt_speech_tokens[0])
    np.testing.assert_array_equal(arrays[TOKENS], expected.gen["prompt_token"][0])
    assert len(set(arrays[TOKENS].tolist())) > 5
    np.testing.assert_allclose(arrays[MEL], expected.gen["prompt_feat"][0], atol=1e-5)
    np.testing.assert_allclose(arrays[X_VECTOR], expected.gen["embedding"][0], atol=1e-5)
    np.testing.assert_allclose(arrays[SPEAKER], expected.t3.speaker_emb[0], atol=1e-5)


def test_the_librarys_file_gives_the_same_profile(networks, s3gen, voice_encoder, monkeypatch):
    recording = babble(11)
    conditionals = library_conditionals(s3gen, voice_encoder, recording, monkeypatch)
    stored = io.BytesIO()
    conditionals.save(stored)
    read = read_conditionals(stored.getvalue(), "en", "english")
    prepared = prepare_profile([recording], "en", networks, ENGLISH)
    assert read.meta == prepared.meta == {"model": "english"}
    for name, array in prepared.arrays.items():
        assert read.arrays[name].dtype == array.dtype
        np.testing.assert_allclose(read.arrays[name], array, atol=1e-5)


def test_a_profile_survives_its_file(networks):
    profile = prepare_profile([babble(2)], "de", networks, ENGLISH)
    loaded = load_profile(dump_profile(profile), "chatterbox")
    assert (loaded.version, loaded.language, loaded.meta) == ("1", "de", {"model": "english"})
    for name, array in profile.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)


def test_each_network_runs_once_and_only_over_what_is_used(networks):
    runs = []

    def counted(name, call):
        def run(*arguments, **options):
            runs.append((name, max(getattr(a, "shape", [0])[-1] for a in arguments)))
            return call(*arguments, **options)

        return run

    tokenizer, speaker, voice = networks.tokenizer, networks.speaker_encoder, networks.voice_encoder
    watched = ProfileNetworks(
        SimpleNamespace(
            device=tokenizer.device,
            log_mel_spectrogram=tokenizer.log_mel_spectrogram,
            quantize=counted("tokenizer", tokenizer.quantize),
        ),
        SimpleNamespace(inference=counted("speaker", speaker.inference)),
        SimpleNamespace(embeds_from_wavs=counted("voice", voice.embeds_from_wavs)),
    )
    prepare_profile([babble(40)] * 3, "en", watched, ENGLISH)
    assert sorted(name for name, _ in runs) == ["speaker", "tokenizer", "voice"]
    assert dict(runs)["tokenizer"] == 1000  # mel frames of 10 s
    assert dict(runs)["speaker"] == 160_000


def test_samples_of_other_rates_and_channels_are_joined(networks):
    at_48k = babble(2, 48_000)
    stereo = Waveform(np.stack([at_48k.samples] * 2), 48_000)
    profile = prepare_profile([babble(2), stereo], "en", networks, ENGLISH)
    assert len(profile.arrays[TOKENS]) == 100


def test_a_profile_is_the_same_every_time(networks):
    first, second = (prepare_profile([babble(3)], "en", networks, ENGLISH) for _ in range(2))
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array)


def test_turbo_levels_the_reference(networks):
    loud = babble(6)
    quiet = replace(loud, samples=loud.samples * np.float32(0.1))
    arrays = [prepare_profile([one], "en", networks, TURBO).arrays for one in (loud, quiet)]
    np.testing.assert_allclose(arrays[0][MEL], arrays[1][MEL], atol=1e-3)


@pytest.mark.parametrize(
    ("recording", "kind", "code"),
    [
        (babble(0.2), ENGLISH, "too_little_speech"),
        (babble(3), TURBO, "too_little_speech"),
        (Waveform(np.zeros(5 * RATE, np.float32), RATE), ENGLISH, "too_little_speech"),
        (Waveform(np.full(5 * RATE, np.nan, np.float32), RATE), ENGLISH, "invalid_samples"),
        (Waveform(np.zeros(0, np.float32), RATE), ENGLISH, "empty_audio"),
    ],
    ids=["short", "short for turbo", "silent", "not numbers", "empty"],
)
def test_recordings_that_say_nothing_are_refused(networks, recording, kind, code):
    with pytest.raises(InvalidAudio) as raised:
        prepare_profile([recording], "en", networks, kind)
    assert raised.value.code == code


@pytest.mark.parametrize(
    "changes", [{"engine": "espeak"}, {"version": "0"}, {"meta": {"model": "turbo"}}, {"meta": {}}]
)
def test_a_profile_of_another_model_is_refused(changes):
    profile = read_conditionals(stored(), "en", "english")
    check_profile(profile, ENGLISH)
    with pytest.raises(InvalidRequest):
        check_profile(replace(profile, **changes), ENGLISH)


def stored(**changes):
    """A ``conds.pt`` with something changed."""
    parts = {
        "t3": {
            "speaker_emb": torch.rand(1, 256),
            "cond_prompt_speech_tokens": torch.arange(150)[None],
            "emotion_adv": torch.full((1, 1, 1), 0.5),
        },
        "gen": {
            "prompt_token": torch.arange(250)[None],
            "prompt_token_len": torch.tensor([250]),
            "prompt_feat": torch.rand(1, 500, 80),
            "prompt_feat_len": None,
            "embedding": torch.rand(1, 192),
        },
    }
    for name, value in changes.items():
        part, _, entry = name.partition("__")
        parts[part][entry] = value
    data = io.BytesIO()
    torch.save(parts, data)
    return data.getvalue()


def test_good_conditionals_are_read():
    arrays = read_conditionals(stored(), "en", "english").arrays
    assert arrays[MEL].shape == (500, 80)
    assert arrays[T3_TOKENS].tolist() == list(range(150))


@pytest.mark.parametrize(
    "changes",
    [
        {"gen__prompt_token": torch.arange(250.0)[None]},
        {"gen__prompt_token": torch.full((1, 250), 6561)},
        {"gen__prompt_feat": torch.rand(1, 500, 40)},
        {"gen__embedding": torch.full((1, 192), float("nan"))},
        {"t3__speaker_emb": None},
        {"t3__speaker_emb": torch.rand(2, 256)},
    ],
)
def test_conditionals_that_do_not_fit_are_refused(changes):
    with pytest.raises(InvalidRequest) as raised:
        read_conditionals(stored(**changes), "en", "english")
    assert raised.value.code == "invalid_profile"


def test_a_voice_file_is_known_by_its_parts_and_cut_to_what_the_model_takes():
    document = load_torch_file(stored(t3__cond_prompt_speech_tokens=torch.arange(375)[None]))
    for engine_id, most in (("chatterbox", 150), ("chatterbox-turbo", 375)):
        profile = read_voice_file(document, engine_id, "en")
        assert profile.engine == engine_id
        assert len(profile.arrays[T3_TOKENS]) == most
    for strange in ({}, {"t3": {}}, [], None, {"audio": np.zeros(3)}):
        assert read_voice_file(strange, "chatterbox", "en") is None


def test_a_prompt_that_would_slow_every_text_is_refused(s3gen):
    decoder = SpeechDecoder(s3gen)
    profile = read_conditionals(stored(), "en", "english")
    tokens, mel = np.zeros(20_000, np.int64), np.zeros((40_000, 80), np.float32)
    endless = replace(profile, arrays={**profile.arrays, TOKENS: tokens, MEL: mel})
    with pytest.raises(InvalidRequest) as raised:
        decoder.prompt(endless)
    assert raised.value.code == "invalid_profile"
