"""An MP3 stream whose bitrate changes: every sample once, no click, frames that stand alone."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest

from mynah.audio.conversions import decode_blocks
from mynah.audio.mp3 import Mp3Encoder
from mynah.audio.mp3_format import iter_frames
from mynah.audio.mp3_frames import FrameSplitter, Mp3Frame
from mynah.audio.mp3_switching import HELD_FRAMES, RUN_UP_FRAMES, SwitchingMp3Encoder
from mynah.audio.waveform import Samples, Waveform
from tests.unit.audio.signals import noise, speech_like, tone

LADDER = (128, 96, 64, 48)
DOWN_AND_UP = (96, 64, 48, 64, 96, 128)


def encode(sound: Waveform, bitrates: tuple[int, ...]) -> bytes:
    """Change to the next bitrate every half second, in blocks of 50 ms."""
    encoder = SwitchingMp3Encoder(sound.sample_rate, LADDER[0], 1.0)
    wanted, data = iter(bitrates), b""
    step = sound.sample_rate // 20
    for number, start in enumerate(range(0, sound.frames, step)):
        if number % 10 == 9:
            encoder.switch(next(wanted, encoder.bitrate_kbps))
        data += encoder.encode(Waveform(sound.samples[start : start + step], sound.sample_rate))
    return data + encoder.flush()


def decode(mp3: bytes) -> Samples:
    return np.concatenate([block.to_mono().samples for block in decode_blocks(io.BytesIO(mp3))])


def bitrates_of(mp3: bytes) -> list[int]:
    return [header.bitrate_kbps for _, header in iter_frames(mp3)]


@pytest.mark.parametrize("sample_rate", [16000, 22050, 24000, 44100])
def test_a_stream_that_changes_has_the_samples_of_one_that_does_not(sample_rate: int) -> None:
    sound, _ = speech_like(4.0, sample_rate)
    steady, changing = encode(sound, ()), encode(sound, DOWN_AND_UP)
    plain = Mp3Encoder(sample_rate, bitrate_kbps=LADDER[0], headroom_db=1.0)
    assert steady == plain.encode(sound) + plain.flush(), "without a change it is LAME's stream"
    found = [rate for rate in bitrates_of(changing) if rate in LADDER]
    runs = [before for before, after in pairwise([*found, 0]) if before != after]
    assert set(runs) == set(LADDER)
    expected, got = decode(steady), decode(changing)
    assert len(got) == len(expected)
    assert np.corrcoef(expected, got)[0, 1] > 0.99


@pytest.mark.parametrize("sample_rate", [16000, 24000, 48000])
def test_no_click_is_heard_where_the_bitrate_changes(sample_rate: int) -> None:
    sound = tone(4.0, sample_rate, level=0.5)
    steady, changing = encode(sound, ()), encode(sound, DOWN_AND_UP)
    assert set(bitrates_of(changing)) >= set(LADDER)
    expected, got = decode(steady), decode(changing)
    assert np.abs(expected - got).max() < 0.005


def test_the_first_frame_after_a_change_needs_nothing_of_those_before() -> None:
    sound = noise(2.0, 24000, rms=0.2)  # fills the reservoir and the frames
    before = FrameSplitter().split(encode(sound, ()))
    changed = FrameSplitter().split(encode(sound, (48,)))
    assert len(before) == len(changed)
    at = next(n for n, (a, b) in enumerate(zip(before, changed, strict=True)) if a != b)
    frames = [Mp3Frame.parse(data) for data in changed[at:]]
    assert frames[0].main_data_begin == 0
    assert {frame.header.bitrate_kbps for frame in frames[3:]} == {48}


def test_frames_come_late_by_no_more_than_a_change_may_make_them() -> None:
    sound, _ = speech_like(3.0, 24000)
    encoder, frames, step = SwitchingMp3Encoder(24000, 128, 1.0), 0, 1200
    latest = 0
    for number, start in enumerate(range(0, sound.frames, step)):
        if number == 20:
            encoder.switch(48)
        data = encoder.encode(Waveform(sound.samples[start : start + step], 24000))
        frames += len(FrameSplitter().split(data))
        latest = max(latest, start + step - frames * 576)
    assert latest < (HELD_FRAMES + RUN_UP_FRAMES) * 576


def test_a_change_before_the_first_sample_is_one_bitrate_from_the_start() -> None:
    sound = tone(1.0, 24000)
    encoder = SwitchingMp3Encoder(24000, 128, 1.0)
    encoder.switch(64)
    data = encoder.encode(sound) + encoder.flush()
    assert set(bitrates_of(data)[3:]) == {64}
    assert len(decode(data)) == len(decode(encode(sound, ())))
