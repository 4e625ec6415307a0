from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from mynah.audio.loudness import measure_loudness
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio, MynahError, OutputRejected, StorageUnavailable
from services.audio_proc.assembly import OutputSettings, assemble_speech
from tests.unit.audio.signals import decode_all, silence, speech_like


def segment(level: float = 1.0, duration_s: float = 2.0) -> Waveform:
    speech, _ = speech_like(duration_s, 24000)
    return Waveform(speech.samples * np.float32(level), 24000)


@pytest.mark.parametrize("fmt", ["mp3", "wav", "ogg"])
def test_segments_become_one_file_of_the_asked_loudness(fmt: str) -> None:
    speech = assemble_speech(
        [(segment(1.0), 400), (segment(0.8), 400), (segment(1.25), 0)], OutputSettings(format=fmt)
    )
    assert speech.audio.format == fmt
    assert speech.audio.channels == 1
    decoded = decode_all(speech.audio.data)
    assert decoded.duration_s == pytest.approx(speech.audio.duration_s, abs=0.03)
    assert measure_loudness(decoded) == pytest.approx(-18.0, abs=0.7)
    assert speech.measures.loudness_lufs == pytest.approx(-18.0, abs=0.7)
    assert speech.measures.clipping_share == 0.0


def test_long_segments_come_out_even() -> None:
    speech = assemble_speech(
        [(segment(level, 10.0), 500) for level in (1.0, 0.5, 2.0)], OutputSettings(format="wav")
    )
    decoded = decode_all(speech.audio.data)
    for span in speech.spans:
        start, end = round(span.start_s * 24000), round(span.end_s * 24000)
        loudness = measure_loudness(Waveform(decoded.samples[start:end], 24000))
        assert loudness == pytest.approx(-18.0, abs=2.1)


def test_spans_tell_where_each_segment_lies() -> None:
    speech = assemble_speech([(segment(), 400), (segment(), 700), (segment(), 0)])
    spans = speech.spans
    assert [round(b.start_s - a.end_s, 3) for a, b in pairwise(spans)] == [
        0.4,
        0.7,
    ]
    assert spans[-1].end_s == pytest.approx(speech.audio.duration_s)


def test_one_segment_is_in_memory_at_a_time() -> None:
    handed_out: list[weakref.ref[np.ndarray]] = []

    def load() -> Iterator[tuple[Waveform, int]]:
        for _ in range(6):
            gc.collect()
            assert sum(one() is not None for one in handed_out) <= 1
            waveform = segment()
            handed_out.append(weakref.ref(waveform.samples))
            yield waveform, 100

    assert len(assemble_speech(load()).spans) == 6


def test_silence_is_rejected() -> None:
    with pytest.raises(OutputRejected):
        assemble_speech([(silence(), 300)])
    with pytest.raises(InvalidAudio):
        assemble_speech([(silence(), 0)])
    with pytest.raises(InvalidAudio):
        assemble_speech([])


def test_a_storage_error_passes_through() -> None:
    def load() -> Iterator[tuple[Waveform, int]]:
        yield segment(), 0
        raise StorageUnavailable

    with pytest.raises(MynahError) as caught:
        assemble_speech(load())
    assert isinstance(caught.value, StorageUnavailable)
