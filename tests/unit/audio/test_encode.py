from __future__ import annotations

import io
from collections.abc import Iterator

import mutagen.mp3
import numpy as np
import pytest

from mynah.audio import encode
from mynah.audio.encode import check_output, encode_file
from mynah.audio.mp3 import Mp3FileWriter
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio, OutputRejected, StorageUnavailable, UnsupportedFormat
from tests.unit.audio.signals import decode_all, noise, silence, stereo_tone, tone


@pytest.mark.parametrize(
    ("fmt", "content_type"), [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("ogg", "audio/ogg")]
)
def test_each_format_holds_the_audio(fmt: str, content_type: str) -> None:
    audio = encode_file([tone(1.0), tone(1.5)], fmt, 64, SpeechTags(title="Abend"))
    assert (audio.format, audio.content_type) == (fmt, content_type)
    assert (audio.duration_s, audio.sample_rate, audio.channels) == (2.5, 24000, 1)
    assert audio.fallback_reason is None
    assert audio.encode_s > 0
    check_output(audio.data, fmt, 2.5)
    assert decode_all(audio.data).duration_s == pytest.approx(2.5, abs=0.03)


@pytest.mark.parametrize("bitrate", [64, 96, 128, 160, 320])
def test_an_mp3_has_the_asked_bitrate_and_is_small(bitrate: int) -> None:
    audio = encode_file([noise(5.0)], "mp3", bitrate)
    assert audio.bitrate_kbps == bitrate
    assert mutagen.mp3.MP3(io.BytesIO(audio.data)).info.bitrate == bitrate * 1000
    assert audio.size_bytes * 8 / 5 / 1000 == pytest.approx(bitrate, rel=0.05)
    assert audio.saved_share == pytest.approx(1 - bitrate / 1411.2, abs=0.02)


def test_a_variable_bitrate_reports_its_mean() -> None:
    audio = encode_file([tone(3.0)], "mp3", vbr_quality=4)
    assert 8 <= audio.bitrate_kbps <= 64
    assert audio.bitrate_kbps == round(audio.size_bytes * 8 / 3 / 1000)


@pytest.mark.parametrize("step", ["__init__", "add", "finish"])
def test_a_failing_mp3_encoder_falls_back_to_wav(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("LAME is unwell")

    monkeypatch.setattr(Mp3FileWriter, step, fail)
    blocks = [tone(1.0), noise(1.0)]
    audio = encode_file(blocks, "mp3", 96)
    assert (audio.format, audio.content_type) == ("wav", "audio/wav")
    assert audio.fallback_reason == "mp3 encoding failed (RuntimeError: LAME is unwell)"
    assert audio.bitrate_kbps == 384
    decoded = decode_all(audio.data)
    expected = np.concatenate([block.samples for block in blocks])
    assert np.abs(decoded.samples - np.clip(expected, -1, 1)).max() < 1e-4


def test_an_mp3_encoder_that_fails_midway_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole_add = Mp3FileWriter.add
    calls = 0

    def fail_later(self: Mp3FileWriter, block: Waveform) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise MemoryError
        whole_add(self, block)

    monkeypatch.setattr(Mp3FileWriter, "add", fail_later)
    audio = encode_file([tone(0.5)] * 5, "mp3", 96)
    assert (audio.format, audio.duration_s, calls) == ("wav", 2.5, 3)
    check_output(audio.data, "wav", 2.5)


def test_errors_of_the_blocks_pass_through() -> None:
    def blocks() -> Iterator[Waveform]:
        yield tone()
        raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        encode_file(blocks(), "mp3")


def test_mistakes_of_the_caller_do_not_become_a_wav() -> None:
    with pytest.raises(UnsupportedFormat):
        encode_file([tone()], "aiff")
    with pytest.raises(UnsupportedFormat):
        encode_file([tone()], "mp3", 100)
    with pytest.raises(ValueError, match="one sample rate"):
        encode_file([tone(), tone(1.0, 16000)], "mp3")
    for nothing in ([], [Waveform(np.zeros(0, np.float32), 24000)]):
        for fmt in encode.CONTENT_TYPES:
            with pytest.raises(InvalidAudio):
                encode_file(nothing, fmt)


def test_many_channels_become_one() -> None:
    surround = Waveform(np.stack([tone().samples] * 6), 24000)
    for fmt in encode.CONTENT_TYPES:
        assert encode_file([surround], fmt).channels == 1
        assert encode_file([stereo_tone()], fmt).channels == 2


@pytest.mark.parametrize("fmt", ["mp3", "wav", "ogg"])
def test_an_output_that_is_wrong_is_rejected(fmt: str) -> None:
    good = encode_file([noise(5.0)], fmt)
    check_output(good.data, fmt, 5.05)
    with pytest.raises(OutputRejected, match="lasts"):
        check_output(good.data, fmt, 6.0)
    with pytest.raises(OutputRejected, match="lasts"):
        check_output(good.data[: len(good.data) // 2], fmt, 5.0)
    with pytest.raises(OutputRejected, match="silent"):
        check_output(encode_file([silence(5.0)], fmt).data, fmt, 5.0)
    for garbage in (b"", b"not audio at all" * 100):
        with pytest.raises(OutputRejected, match="does not decode"):
            check_output(garbage, fmt, 5.0)


def test_an_mp3_with_a_damaged_middle_is_rejected() -> None:
    data = bytearray(encode_file([noise(5.0)], "mp3").data)
    middle = len(data) // 2
    data[middle : middle + 20_000] = np.random.default_rng(0).bytes(20_000)
    with pytest.raises(OutputRejected):
        check_output(bytes(data), "mp3", 5.0)


def test_length_is_judged_relative_to_long_audio() -> None:
    audio = encode_file([tone(30.0, 8000)], "wav")
    check_output(audio.data, "wav", 30.25)
    with pytest.raises(OutputRejected):
        check_output(audio.data, "wav", 31.0)
