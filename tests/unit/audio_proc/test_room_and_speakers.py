from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.measurements import Speakers
from mynah.audio.speech_activity import find_speech
from mynah.audio.waveform import Waveform
from services.audio_proc.reverberation import estimate_rt60
from services.audio_proc.speakers import count_speakers
from tests.unit.audio.signals import noise, silence, tone
from tests.unit.audio_proc.spoken import MAN, OTHER_MAN, WOMAN, in_room, noisy, spoken


@pytest.mark.parametrize("direct_db", [0.0, 6.0])
@pytest.mark.parametrize("voice", [MAN, WOMAN, OTHER_MAN])
def test_reverberation_is_found_within_a_quarter_and_grows_with_the_room(
    voice: str, direct_db: float
) -> None:
    speech, _ = spoken((voice,))
    found = []
    for rt60_s in (0.4, 0.6, 0.9, 1.3):
        estimate = estimate_rt60(noisy(in_room(speech, rt60_s, direct_db), 40))
        assert estimate == pytest.approx(rt60_s, rel=0.25)
        found.append(estimate)
    assert found == sorted(found)


@pytest.mark.parametrize("voice", [MAN, WOMAN, OTHER_MAN])
def test_a_dry_recording_sounds_like_a_small_room(voice: str) -> None:
    estimate = estimate_rt60(noisy(spoken((voice,))[0], 40))
    assert estimate is not None
    assert estimate < 0.5


def test_where_nothing_dies_away_no_room_is_heard() -> None:
    for waveform in (noise(3.0), tone(3.0), silence(3.0), silence(0.0)):
        assert estimate_rt60(waveform) is None


def speakers_of(waveform: Waveform) -> Speakers | None:
    return count_speakers(waveform, find_speech(waveform))


@pytest.mark.parametrize(
    "voice", [MAN, WOMAN, OTHER_MAN, "en-us+m3", "en-us+m5", "en-us+f1", "en-us+f2", "en-us+f5"]
)
def test_one_voice_is_one_speaker(voice: str) -> None:
    assert speakers_of(noisy(spoken((voice,))[0], 30)) == "1"


@pytest.mark.parametrize("voices", [(MAN, WOMAN), (OTHER_MAN, WOMAN), ("en-us+m5", "en-us+f1")])
def test_a_man_and_a_woman_are_more_than_one(voices: tuple[str, ...]) -> None:
    assert speakers_of(noisy(spoken(voices)[0], 30)) == "2 or more"


def test_too_little_speech_tells_nothing_of_the_speakers() -> None:
    speech, _ = spoken()
    short = Waveform(speech.samples[: 3 * speech.sample_rate], speech.sample_rate)
    for waveform in (short, noise(3.0), silence(3.0)):
        assert speakers_of(waveform) is None


def test_loudness_does_not_make_another_speaker() -> None:
    speech, _ = spoken()
    level = np.where(np.arange(speech.frames) < speech.frames // 2, 1.0, 0.3).astype(np.float32)
    assert speakers_of(noisy(Waveform(speech.samples * level, speech.sample_rate), 50)) == "1"
