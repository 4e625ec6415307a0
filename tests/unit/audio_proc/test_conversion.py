from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mynah.audio.encode import EncodedAudio
from mynah.audio.waveform import Waveform
from mynah.contracts.audio import FileOptions
from mynah.contracts.speech import OutputFormat
from services.audio_proc.conversion import convert_audio
from tests.unit.audio.signals import decode_all, silence, stereo_tone, tone

HEADERLESS = {"pcm", "ulaw", "alaw"}  # these say nothing of what they hold


def converted(waveform: Waveform, fmt: OutputFormat, **options: Any) -> EncodedAudio:
    return convert_audio(waveform, FileOptions(output_format=fmt, **options)).in_memory()


@pytest.mark.parametrize("fmt", [fmt for fmt in OutputFormat if fmt not in HEADERLESS])
def test_every_format_is_made_and_sounds_the_same(fmt: OutputFormat) -> None:
    audio = converted(tone(3.0, 24000), fmt)
    assert audio.format == fmt.value
    decoded = decode_all(audio.data)
    assert decoded.duration_s == pytest.approx(3.0, abs=0.1)
    assert np.sqrt(np.mean(np.square(decoded.samples))) == pytest.approx(0.354, abs=0.02)


@pytest.mark.parametrize(("fmt", "bytes_per_s"), [("pcm", 48_000), ("ulaw", 8000), ("alaw", 8000)])
def test_formats_without_a_header_have_the_length_of_their_samples(
    fmt: str, bytes_per_s: int
) -> None:
    audio = converted(tone(3.0, 24000), OutputFormat(fmt))
    assert audio.size_bytes == 3 * bytes_per_s


def test_rate_and_channels_are_those_asked_for() -> None:
    audio = converted(tone(2.0, 44100), OutputFormat.WAV, sample_rate=8000, channels=2)
    decoded = decode_all(audio.data)
    assert (decoded.sample_rate, decoded.channels) == (8000, 2)
    assert decoded.duration_s == pytest.approx(2.0, abs=0.01)
    assert (decoded.samples[0] == decoded.samples[1]).all()


def test_stereo_stays_stereo_unless_mono_is_asked_for() -> None:
    source = stereo_tone(2.0, 44100)
    assert converted(source, OutputFormat.WAV).layout.channels == 2
    assert converted(source, OutputFormat.WAV, channels=1).layout.channels == 1


def test_more_than_two_channels_are_mixed() -> None:
    surround = Waveform(np.stack([tone(1.0).samples] * 6), 24000)
    assert converted(surround, OutputFormat.WAV).layout.channels == 1


def test_bitrate_is_that_asked_for() -> None:
    audio = converted(tone(10.0, 44100), OutputFormat.MP3, bitrate_kbps=64)
    assert audio.bitrate_kbps == 64
    assert audio.size_bytes == pytest.approx(10 * 8000, rel=0.05)


def test_silence_can_be_converted_too() -> None:
    audio = converted(silence(2.0), OutputFormat.MP3)
    assert decode_all(audio.data).duration_s == pytest.approx(2.0, abs=0.1)
