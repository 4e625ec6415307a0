from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.waveform import Waveform
from mynah.contracts.audio import FileOptions
from mynah.contracts.speech import OutputFormat
from services.audio_proc.conversion import convert_audio
from tests.unit.audio.signals import decode_all, silence, stereo_tone, tone


@pytest.mark.parametrize("fmt", list(OutputFormat))
def test_every_format_is_made_and_sounds_the_same(fmt: OutputFormat) -> None:
    source = tone(3.0, 24000)
    audio = convert_audio(source, FileOptions(output_format=fmt))
    assert audio.format == fmt.value
    decoded = decode_all(audio.data)
    assert decoded.duration_s == pytest.approx(3.0, abs=0.1)
    assert np.sqrt(np.mean(np.square(decoded.samples))) == pytest.approx(0.354, abs=0.02)


def test_rate_and_channels_are_those_asked_for() -> None:
    options = FileOptions(output_format=OutputFormat.WAV, sample_rate=8000, channels=2)
    decoded = decode_all(convert_audio(tone(2.0, 44100), options).data)
    assert (decoded.sample_rate, decoded.channels) == (8000, 2)
    assert decoded.duration_s == pytest.approx(2.0, abs=0.01)
    assert (decoded.samples[0] == decoded.samples[1]).all()


def test_stereo_stays_stereo_unless_mono_is_asked_for() -> None:
    source = stereo_tone(2.0, 44100)
    kept = convert_audio(source, FileOptions(output_format=OutputFormat.WAV))
    mixed = convert_audio(source, FileOptions(output_format=OutputFormat.WAV, channels=1))
    assert (kept.channels, mixed.channels) == (2, 1)


def test_more_than_two_channels_are_mixed() -> None:
    surround = Waveform(np.stack([tone(1.0).samples] * 6), 24000)
    audio = convert_audio(surround, FileOptions(output_format=OutputFormat.WAV))
    assert audio.channels == 1


def test_bitrate_is_that_asked_for() -> None:
    options = FileOptions(output_format=OutputFormat.MP3, bitrate_kbps=64)
    audio = convert_audio(tone(10.0, 44100), options)
    assert audio.bitrate_kbps == 64
    assert audio.size_bytes == pytest.approx(10 * 8000, rel=0.05)


def test_silence_can_be_converted_too() -> None:
    audio = convert_audio(silence(2.0), FileOptions(output_format=OutputFormat.MP3))
    assert decode_all(audio.data).duration_s == pytest.approx(2.0, abs=0.1)
