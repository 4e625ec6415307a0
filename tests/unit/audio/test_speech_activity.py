from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.resample import resample
from mynah.audio.speech_activity import HOP_S, find_speech, mask_runs
from mynah.audio.waveform import Waveform
from tests.unit.audio.signals import noise, silence, tone
from tests.unit.audio_proc.spoken import MAN, WOMAN, noisy, spoken


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
@pytest.mark.parametrize("voice", [MAN, WOMAN])
def test_speech_is_found_where_it_is(voice: str, sample_rate: int) -> None:
    speech, is_speech = spoken((voice,), 16000)
    found = find_speech(resample(noisy(speech, 20), sample_rate)).is_speech
    middles = ((np.arange(len(found)) + 0.5) * HOP_S * 16000).astype(int)
    truth = is_speech[np.minimum(middles, len(is_speech) - 1)]
    assert np.mean(found == truth) > 0.9


def test_the_whole_is_heard_as_its_parts_in_a_row() -> None:
    """The model's state runs over the borders of the chunks in which it is fed."""
    speech = noisy(spoken()[0], 30)
    minute = Waveform(np.tile(speech.samples, 3), speech.sample_rate)  # two chunks
    found = find_speech(minute).is_speech
    part = len(found) // 3
    assert np.mean(found[:part] == found[-part:]) > 0.97


def test_noise_tones_and_silence_are_not_speech() -> None:
    for waveform in (noise(4.0), tone(4.0), silence(4.0), silence(0.0)):
        assert find_speech(waveform).speech_s == 0.0


def test_pauses_keep_away_from_speech() -> None:
    activity = find_speech(noisy(spoken()[0], 30))
    is_pause = activity.is_pause(0.1)
    assert is_pause.any()
    for begin, end in activity.stretches():
        assert not is_pause[max(0, begin - 10) : end + 10].any()


def test_runs_begin_and_end_where_the_mask_does() -> None:
    starts, ends = mask_runs(np.array([True, False, True, True, False, False, True]))
    assert (starts.tolist(), ends.tolist()) == ([0, 2, 6], [1, 4, 7])
