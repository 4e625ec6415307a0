"""The flow and the vocoder against chatterbox-tts 0.1.7 on the same weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("chatterbox")

from mynah.engines.base import Profile  # noqa: E402
from mynah.engines.chatterbox.profile_layout import MEL, TOKENS  # noqa: E402
from mynah.engines.chatterbox.s3gen.decoder import (  # noqa: E402
    DecodeRequest,
    DecoderOptions,
    SpeechDecoder,
    speech_tokens,
)
from mynah.engines.chatterbox.s3gen.flow import group_by_length  # noqa: E402
from mynah.errors import EngineFailed, InvalidRequest  # noqa: E402
from tests.unit.engines.chatterbox.s3gen_parts import (  # noqa: E402
    library_prompt,
    make_profile,
    make_tokens,
    small_s3gen,
    snr_db,
)


@pytest.fixture(scope="module", params=[False, True], ids=["guided", "meanflow"])
def s3gen(request):
    return small_s3gen(meanflow=request.param)


@pytest.fixture(scope="module")
def decoder(s3gen):
    return SpeechDecoder(s3gen)


def begin(decoder, tokens, profile, seed=7):
    prompt = decoder.prompt(profile)
    return decoder.begin(prompt, decoder.encode(prompt, tokens, is_final=True), seed)


def library_mel(s3gen, tokens, profile, noise, monkeypatch):
    """The library's mel (frames, 80) from the same noise."""
    monkeypatch.setattr(torch, "randn_like", lambda mu: noise.T[None].clone())
    monkeypatch.setattr("chatterbox.models.s3gen.flow_matching.tqdm", lambda steps, **_: steps)
    mel, _ = s3gen.flow.inference(
        token=torch.from_numpy(tokens)[None],
        token_len=torch.tensor([len(tokens)]),
        finalize=True,
        n_timesteps=2 if s3gen.meanflow else 10,
        meanflow=s3gen.meanflow,
        **library_prompt(profile),
    )
    monkeypatch.undo()
    return mel[0].T


def test_the_mel_is_the_librarys(s3gen, decoder, monkeypatch):
    tokens, profile = make_tokens(15), make_profile()
    state = begin(decoder, tokens, profile)
    expected = library_mel(s3gen, tokens, profile, state.mel, monkeypatch)
    decoder.solver.solve([state])
    torch.testing.assert_close(state.speech, expected, rtol=0, atol=2e-5)


def test_without_the_end_the_last_tokens_are_only_looked_at(s3gen, decoder):
    """The library's flow cannot be asked: its mask is longer than its frames there."""
    tokens, prompt = make_tokens(15), decoder.prompt(make_profile())
    with torch.inference_mode():
        embedded = s3gen.flow.input_embedding(
            torch.cat([prompt.tokens, torch.from_numpy(tokens)])[None]
        )
        hidden, _ = s3gen.flow.encoder(embedded, torch.tensor([embedded.shape[1]]))
        expected = s3gen.flow.encoder_proj(hidden)[0, :-6]
    found = decoder.encode(prompt, tokens, is_final=False)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_rows_of_other_lengths_and_steps_change_nothing(decoder):
    lengths = [(9, 12), (21, 20), (4, 20)]
    requests = [(make_tokens(n, n), make_profile(p, n)) for n, p in lengths]
    alone = [begin(decoder, *request) for request in requests]
    for state in alone:
        decoder.solver.solve([state])
    together = [begin(decoder, *request) for request in requests]
    decoder.solver.advance(together[:1])  # the others join a step later
    decoder.solver.solve(together)
    for one, row in zip(alone, together, strict=True):
        torch.testing.assert_close(row.mel, one.mel, rtol=0, atol=2e-5)


def test_a_batch_speaks_as_each_request_alone(decoder):
    requests = [
        DecodeRequest(make_tokens(count, seed), make_profile(20, seed), seed)
        for count, seed in ((8, 1), (14, 2), (8, 3))
    ]
    for request, spoken in zip(requests, decoder.decode_batch(requests), strict=True):
        alone = decoder.decode(request.tokens, request.profile, request.seed)
        np.testing.assert_allclose(spoken.samples, alone.samples, atol=2e-5)


def test_a_token_is_forty_milliseconds_and_the_start_is_silent(decoder):
    spoken = decoder.decode(make_tokens(12), make_profile(), 1)
    extra = 3 if decoder.is_meanflow else 0
    assert spoken.duration_s == pytest.approx((12 + extra) * 0.04)
    assert not spoken.samples[:480].any()
    assert spoken.samples[960:].any()


def test_the_seed_decides(decoder):
    tokens, profile = make_tokens(6), make_profile()
    first = decoder.decode(tokens, profile, 1).samples
    np.testing.assert_array_equal(decoder.decode(tokens, profile, 1).samples, first)
    assert np.abs(decoder.decode(tokens, profile, 2).samples - first).max() > 1e-4


def test_decoding_changes_neither_the_profile_nor_the_weights(s3gen, decoder):
    profile = make_profile()
    before = {name: array.copy() for name, array in profile.arrays.items()}
    weights = {name: tensor.clone() for name, tensor in s3gen.state_dict().items()}
    decoder.decode(make_tokens(6), profile, 1)
    SpeechDecoder(s3gen, DecoderOptions(torch.bfloat16, torch.float16))
    for name, array in profile.arrays.items():
        np.testing.assert_array_equal(array, before[name])
    for name, tensor in s3gen.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_bfloat16_stays_near_float32(s3gen, decoder):
    half = SpeechDecoder(s3gen, DecoderOptions(flow_dtype=torch.bfloat16))
    exact, near = (begin(one, make_tokens(15), make_profile()) for one in (decoder, half))
    decoder.solver.solve([exact])
    half.solver.solve([near])
    assert snr_db(exact.speech, near.speech) > 30


def test_a_capped_prompt_keeps_its_end(s3gen):
    capped = SpeechDecoder(s3gen, DecoderOptions(prompt_s=0.4))
    profile = make_profile(20)
    prompt = capped.prompt(profile)
    np.testing.assert_array_equal(prompt.tokens.numpy(), profile.arrays[TOKENS][-10:])
    np.testing.assert_array_equal(prompt.mel.numpy(), profile.arrays[MEL][-20:])


def test_marks_of_t3_are_not_spoken():
    assert speech_tokens(np.array([5, 6561, 7, 6562])).tolist() == [5, 7]


def test_tokens_that_were_cast_are_refused():
    with pytest.raises(TypeError):
        speech_tokens(np.array([5.0, 6.0]))


def test_no_tokens_are_an_error_of_the_request(decoder):
    with pytest.raises(EngineFailed):
        decoder.decode(np.array([6562]), make_profile(), 1)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        (TOKENS, np.array([6561] * 20)),
        (TOKENS, np.zeros(20, np.float32)),
        (TOKENS, np.zeros((2, 10), np.int64)),
        (MEL, np.zeros((39, 80), np.float32)),
        (MEL, None),
    ],
)
def test_a_profile_that_does_not_fit_is_refused(decoder, name, array):
    good = make_profile()
    profile = Profile("chatterbox", "1", "en", {**good.arrays, name: array})
    with pytest.raises(InvalidRequest) as raised:
        decoder.prompt(profile)
    assert raised.value.code == "invalid_profile"


def test_a_voice_is_prepared_once(decoder):
    assert decoder.prompt(make_profile(10, 5)) is decoder.prompt(make_profile(10, 5))
    assert decoder.prompt(make_profile(10, 5)) is not decoder.prompt(make_profile(10, 6))


def test_only_so_many_voices_are_kept(s3gen):
    decoder = SpeechDecoder(s3gen, DecoderOptions(cached_voices=2))
    first = decoder.prompt(make_profile(10, 1))
    for seed in (2, 3):
        decoder.prompt(make_profile(10, seed))
    assert decoder.prompt(make_profile(10, 1)) is not first


def test_rows_of_like_length_are_grouped(decoder):
    states = [begin(decoder, make_tokens(count), make_profile()) for count in (5, 60, 6, 62)]
    groups = group_by_length(states)
    assert [[state.frames for state in group] for group in groups] == [[50, 52], [160, 164]]


def random_parts(vocoder, frames, seed=3):
    torch.manual_seed(seed)
    phase = torch.empty(1, vocoder.harmonics).uniform_(-math.pi, math.pi)
    phase[:, 0] = 0
    return phase, torch.randn(1, vocoder.harmonics, frames * 480)


def test_the_waveform_is_the_librarys(s3gen, decoder, monkeypatch):
    vocoder = decoder.vocoder
    mel = torch.randn(1, 80, 20, generator=torch.Generator().manual_seed(4)) - 4
    phase, noise = random_parts(vocoder, 20)
    sampled = monkeypatch.setattr
    sampled(
        "chatterbox.models.s3gen.hifigan.Uniform.sample",
        lambda self, sample_shape: phase[..., None],
    )
    sampled(torch, "randn_like", lambda x: noise if x.shape == noise.shape else torch.zeros_like(x))
    expected, source = s3gen.mel2wav.inference(mel)
    monkeypatch.undo()
    f0 = vocoder.pitch(mel)
    assert float(f0.min()) > 10  # voiced: the phase is under test
    excitation = vocoder.excite(f0, phase, noise, decoder.no_cycles(1))
    torch.testing.assert_close(excitation.samples, source, rtol=0, atol=1e-4)
    found = vocoder.render(mel, excitation.samples)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)


def test_an_excitation_goes_on_where_it_stopped(decoder):
    vocoder = decoder.vocoder
    f0 = torch.linspace(90, 300, 30)[None]
    phase, noise = random_parts(vocoder, 30)
    whole = vocoder.excite(f0, phase, noise, decoder.no_cycles(1))
    first = vocoder.excite(f0[:, :11], phase, noise[..., : 11 * 480], decoder.no_cycles(1))
    rest = vocoder.excite(f0[:, 11:], phase, noise[..., 11 * 480 :], first.cycles[:, 11])
    joined = torch.cat([first.samples, rest.samples], dim=2)
    torch.testing.assert_close(joined, whole.samples, rtol=0, atol=1e-5)


def test_half_precision_survives_tiny_alphas(s3gen):
    block = s3gen.mel2wav.resblocks[0]
    kept = block.activations1[0].alpha.detach().clone()
    with torch.no_grad():
        block.activations1[0].alpha[0] = 1e-7
    half = SpeechDecoder(s3gen, DecoderOptions(vocoder_dtype=torch.float16))
    with torch.no_grad():
        block.activations1[0].alpha.copy_(kept)
    samples = half.decode(make_tokens(6), make_profile(), 1).samples
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 0.9
