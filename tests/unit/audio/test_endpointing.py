from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.endpointing import Endpoint, Endpointer, EndpointKind, EndpointRules
from mynah.audio.speech_activity import SPEECH_RATE, SPEECH_WINDOW, SpeechStream
from mynah.audio.waveform import Samples, Waveform
from tests.unit.audio.signals import noise
from tests.unit.audio_proc.spoken import MAN, SENTENCES, WOMAN, noisy, sentence, spoken

STARTED, PAUSE, TOO_LONG, SILENCE = EndpointKind


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SPEECH_RATE), np.float32)


def feed(
    endpointer: Endpointer, samples: Samples, block: int = 320
) -> list[tuple[float, Endpoint]]:
    """What is found, with the time up to which sound had come."""
    found = []
    for start in range(0, len(samples), block):
        part = Waveform(samples[start : start + block], SPEECH_RATE)
        found += [((start + part.frames) / SPEECH_RATE, each) for each in endpointer.push(part)]
    return found


@pytest.mark.parametrize("block", [1, 160, 511, 4096])
def test_a_stream_is_heard_as_its_whole_is(block: int) -> None:
    samples = noisy(spoken()[0], 30).samples[: SPEECH_RATE * 2 + 7]
    whole, stream = SpeechStream(), SpeechStream()
    expected = np.concatenate([whole.push(samples), whole.flush()])
    parts = [stream.push(samples[at : at + block]) for at in range(0, len(samples), block)]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()]), expected)
    assert len(expected) == -(-len(samples) // SPEECH_WINDOW)


@pytest.mark.parametrize("voice", [MAN, WOMAN])
def test_speech_begins_soon_and_ends_with_the_pause(voice: str) -> None:
    said = sentence(SENTENCES[2], voice, SPEECH_RATE)
    samples = np.concatenate([silence(1.0), said, silence(1.5)])
    found = feed(Endpointer(EndpointRules(pause_s=0.7)), samples)
    assert [each.kind for _, each in found] == [STARTED, PAUSE]
    (began_s, _), (ended_s, end) = found
    end_of_speech_s = 1.0 + len(said) / SPEECH_RATE
    assert 1.0 < began_s < 1.3
    assert 0.6 < ended_s - end_of_speech_s < 1.1
    kept = np.frombuffer(end.pcm, "<i2") / 32768
    whole = np.dot(said, said)
    assert np.dot(kept, kept) == pytest.approx(whole, rel=0.01), (
        "a part of what was said is missing"
    )
    assert len(kept) / SPEECH_RATE < end_of_speech_s - 1.0 + 1.5, "the silence before is kept"


def test_a_short_pause_ends_nothing_and_a_client_may_end_at_any_time() -> None:
    said = sentence(SENTENCES[2], MAN, SPEECH_RATE)
    endpointer = Endpointer(EndpointRules(pause_s=1.0))
    found = feed(endpointer, np.concatenate([said, silence(0.5), said]))
    assert [each.kind for _, each in found] == [STARTED]
    end = endpointer.finish()
    assert end.kind is PAUSE
    assert len(end.pcm) / 2 / SPEECH_RATE > 2 * len(said) / SPEECH_RATE
    assert endpointer.finish() == Endpoint(SILENCE)


def test_silence_noise_and_clicks_are_told_once_as_silence() -> None:
    samples = np.concatenate(
        [silence(2.0), noise(2.0, sample_rate=SPEECH_RATE).samples, silence(3.0)]
    )
    samples[5000:5020] = 0.9
    found = feed(Endpointer(EndpointRules(silence_s=3.0)), samples)
    assert [each.kind for _, each in found] == [SILENCE]


def test_an_endless_speech_is_cut_once_and_its_rest_is_no_speech_of_its_own() -> None:
    said = np.concatenate([sentence(text, MAN, SPEECH_RATE) for text in SENTENCES[:2]])
    endpointer = Endpointer(EndpointRules(longest_s=2.0))
    found = feed(endpointer, said)
    kinds = [each.kind for _, each in found]
    assert kinds[:2] == [STARTED, TOO_LONG]
    assert len(found[1][1].pcm) / 2 / SPEECH_RATE == pytest.approx(2.0, abs=0.05)
    again = feed(endpointer, np.concatenate([silence(1.5), said[: SPEECH_RATE // 2], silence(1.5)]))
    assert [each.kind for _, each in again][-2:] == [STARTED, PAUSE]
