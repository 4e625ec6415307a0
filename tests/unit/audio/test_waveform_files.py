"""WAV, FLAC and OGG."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

import mutagen.oggvorbis
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mynah.audio.encode import encode_file
from mynah.audio.flac import decode_flac, encode_flac
from mynah.audio.formats import OutputSpec
from mynah.audio.sndfile import vorbis_level
from mynah.audio.tags import SpeechTags
from mynah.audio.wav import decode_wav, encode_wav, wav_header
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from mynah.errors import InvalidAudio
from tests.unit.audio.signals import noise, speech_like, stereo_tone, tone

PCM = hnp.arrays(np.int16, st.integers(1, 3000))


@settings(max_examples=40, deadline=None)
@given(PCM, st.sampled_from([8000, 22050, 24000, 48000]))
def test_sixteen_bits_survive_every_lossless_file(pcm: np.ndarray, rate: int) -> None:
    waveform = Waveform.from_int16(pcm, rate)
    assert (waveform.to_int16() == pcm).all()
    for decoded in (decode_wav(encode_wav(waveform)), decode_flac(encode_flac(waveform))):
        assert decoded.sample_rate == rate
        assert (decoded.to_int16() == pcm).all()


def test_stereo_keeps_its_channels() -> None:
    original = stereo_tone()
    for decoded in (decode_wav(encode_wav(original)), decode_flac(encode_flac(original))):
        assert decoded.samples.shape == original.samples.shape
        assert np.abs(decoded.samples - original.samples).max() < 1e-4


def test_what_exceeds_full_scale_is_clipped_not_wrapped() -> None:
    loud = Waveform(np.array([1.5, -1.5, 1.0, -1.0], np.float32), 8000)
    assert loud.to_int16().tolist() == [32767, -32768, 32767, -32768]


def test_others_read_our_wav() -> None:
    samples, rate = soundfile.read(io.BytesIO(encode_wav(stereo_tone(0.5, 22050))))
    assert (samples.shape, rate) == ((11025, 2), 22050)


def test_a_wav_with_foreign_chunks_is_read() -> None:
    plain = encode_wav(tone(0.1))
    chunk = struct.pack("<4sI", b"LIST", 5) + b"INFOx\0"
    decoded = decode_wav(plain[:36] + chunk + plain[36:])
    assert decoded.frames == 2400


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_audio"),
        (b"RIFF", "not_audio"),
        (b"fLaC" + bytes(100), "not_audio"),
        (encode_wav(tone(0.1))[:30], "corrupt_audio"),
        (encode_wav(tone(0.1))[:40], "corrupt_audio"),
        (encode_wav(tone(0.1))[:20] + b"\3" + encode_wav(tone(0.1))[21:], "unsupported_format"),
    ],
)
def test_what_is_no_wav_of_ours_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InvalidAudio) as caught:
        decode_wav(data)
    assert caught.value.code == code


def test_the_header_of_a_stream_claims_the_longest_file() -> None:
    header = wav_header(24000, 1, None)
    assert len(header) == 44
    pcm = tone(0.5).to_pcm16()
    samples, _ = soundfile.read(io.BytesIO(header + pcm))
    assert len(samples) == 12000
    with pytest.raises(InvalidAudio):
        wav_header(24000, 1, 2**32)


def test_damaged_flac_is_refused() -> None:
    with pytest.raises(InvalidAudio):
        decode_flac(b"fLaC" + bytes(100))


def ogg(audio: Iterable[Waveform], kbps: int, tags: SpeechTags | None = None) -> bytes:
    with encode_file(audio, OutputSpec(OutputFormat.OGG, kbps), tags) as encoded:
        assert encoded.fallback_reason is None
        return encoded.data


def test_ogg_keeps_length_and_comments() -> None:
    tags = SpeechTags(title="Gute Nacht, 月", artist="Oma", language="de")
    data = ogg([noise(1.0, rms=0.05)] * 5, 64, tags)
    samples, rate = soundfile.read(io.BytesIO(data))
    assert (len(samples), rate) == (120_000, 24000)
    comments = mutagen.oggvorbis.OggVorbis(io.BytesIO(data))
    assert (comments["title"], comments["language"]) == (["Gute Nacht, 月"], ["de"])


def test_a_long_ogg_write_does_not_overflow_the_stack() -> None:
    assert len(ogg([noise(300.0, 8000, rms=0.01)], 32)) > 100_000


@pytest.mark.parametrize("kbps", [32, 64])
def test_ogg_comes_near_the_asked_bitrate(kbps: int) -> None:
    data = ogg([speech_like(10.0, 24000)[0]], kbps)
    assert len(data) * 8 / 10 / 1000 == pytest.approx(kbps, rel=0.35)


def test_more_bitrate_is_never_a_worse_level() -> None:
    for rate in (8000, 24000, 48000):
        levels = [vorbis_level(rate, kbps) for kbps in (8, 16, 32, 64, 96, 128, 320)]
        assert levels == sorted(levels, reverse=True)
