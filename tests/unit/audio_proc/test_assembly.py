from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest

from mynah.audio.assembly import SpeechAssembler
from mynah.audio.finished import iter_file_blocks
from mynah.audio.formats import OutputSpec
from mynah.audio.loudness import measure_loudness
from mynah.audio.mp3 import Mp3FileWriter
from mynah.audio.tags import Chapter, SpeechTags
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from mynah.errors import InvalidAudio, MynahError, OutputRejected, StorageUnavailable
from services.audio_proc.assembly import AssembledSpeech, OutputSettings, assemble_speech
from tests.unit.audio.signals import decode_all, silence, speech_like


def segment(level: float = 1.0, duration_s: float = 2.0) -> Waveform:
    speech, _ = speech_like(duration_s, 24000)
    return Waveform(speech.samples * np.float32(level), 24000)


def settings(fmt: str = "mp3", **options: Any) -> OutputSettings:
    return OutputSettings(OutputSpec.by_name(fmt), **options)


@pytest.fixture
def assemble() -> Iterator[Callable[..., AssembledSpeech]]:
    """Assembles, and closes the files in the end."""
    with ExitStack() as files:
        yield lambda *args: files.enter_context(assemble_speech(*args))


@pytest.mark.parametrize("fmt", ["mp3", "wav", "ogg", "flac", "opus", "m4a", "pcm"])
def test_segments_become_one_file_of_the_asked_loudness(assemble: Any, fmt: str) -> None:
    speech = assemble([(segment(1.0), 400), (segment(0.3), 400), (segment(2.5), 0)], settings(fmt))
    assert speech.audio.format == fmt
    assert speech.audio.layout.channels == 1
    blocks = list(iter_file_blocks(speech.audio.file, speech.audio.layout))
    decoded = Waveform(np.concatenate([one.samples for one in blocks]), blocks[0].sample_rate)
    assert decoded.duration_s == pytest.approx(speech.audio.duration_s, abs=0.001)
    assert measure_loudness(decoded) == pytest.approx(-18.0, abs=0.4)
    assert speech.measures.loudness_lufs == pytest.approx(-18.0, abs=0.4)
    assert speech.measures.clipping_share == 0.0
    assert speech.true_peak_dbtp <= -1.0


@pytest.mark.parametrize(("fmt", "lufs"), [("mp3", -18.0), ("mp3", -24.0), ("opus", -14.0)])
def test_the_story_and_all_its_segments_lie_within_a_unit_of_the_target(
    assemble: Any, fmt: str, lufs: float
) -> None:
    parts = [(1.0, 4.0), (0.2, 6.0), (3.0, 0.4), (0.5, 2.0), (0.1, 0.3), (1.5, 1.1), (0.7, 5.0)]
    story = [(segment(level, duration_s), 350) for level, duration_s in parts]
    speech = assemble(story, settings(fmt, loudness_lufs=lufs))
    (decoded,) = [
        Waveform(np.concatenate([one.samples for one in blocks]), blocks[0].sample_rate)
        for blocks in [list(iter_file_blocks(speech.audio.file, speech.audio.layout))]
    ]
    assert measure_loudness(decoded) == pytest.approx(lufs, abs=1.0)
    found = []
    for span in speech.spans:
        start, end = (round(at * decoded.sample_rate) for at in (span.start_s, span.end_s))
        found.append(measure_loudness(Waveform(decoded.samples[start:end], decoded.sample_rate)))
    assert found == [pytest.approx(lufs, abs=0.7)] * len(parts)
    assert max(abs(one - other) for one, other in pairwise(found)) <= 1.0
    assert speech.true_peak_dbtp <= -1.0


def test_spans_tell_where_each_segment_lies(assemble: Any) -> None:
    speech = assemble([(segment(), 400), (segment(), 700), (segment(), 0)])
    spans = speech.spans
    assert [round(b.start_s - a.end_s, 3) for a, b in pairwise(spans)] == [
        0.4,
        0.7,
    ]
    assert spans[-1].end_s == pytest.approx(speech.audio.duration_s)


def test_chapters_begin_with_their_segments(assemble: Any) -> None:
    tags = SpeechTags(title="The story")
    options = settings("m4b", tags=tags, headings={1: "One", 3: "Two"})
    speech = assemble([(segment(), 400)] * 4, options)
    starts = [span.start_s for span in speech.spans]
    assert speech.chapters == (
        Chapter(0.0, "The story"),
        Chapter(starts[1], "One"),
        Chapter(starts[3], "Two"),
    )
    with av.open(io.BytesIO(speech.audio.data)) as container:
        shown = [chapter["metadata"]["title"] for chapter in container.chapters()]
    assert shown == ["The story", "One", "Two"]
    from_the_start = assemble([(segment(), 0)], settings(headings={0: "One"}))
    assert from_the_start.chapters == (Chapter(0.0, "One"),)


def test_rate_and_channels_are_as_asked(assemble: Any) -> None:
    spec = OutputSpec(OutputFormat.MP3, 64, sample_rate=16000, channels=2)
    speech = assemble([(segment(), 400), (segment(), 0)], OutputSettings(spec))
    decoded = decode_all(speech.audio.data)
    assert (decoded.sample_rate, decoded.channels) == (16000, 2)
    assert measure_loudness(decoded) == pytest.approx(-18.0, abs=0.4)


def test_what_a_listener_hears_is_what_the_file_holds(assemble: Any) -> None:
    story = [(segment(level), 300) for level in (1.0, 0.3, 2.0)]
    speech = assemble(story, settings("wav"))
    assembler = SpeechAssembler()
    heard = np.concatenate([assembler.add(*part).to_int16() for part in story])
    assert speech.audio.data[44:] == heard.tobytes()


def test_few_segments_are_in_memory_at_a_time(assemble: Any) -> None:
    handed_out: list[weakref.ref[np.ndarray]] = []

    def load() -> Iterator[tuple[Waveform, int]]:
        for _ in range(12):
            gc.collect()
            assert sum(one() is not None for one in handed_out) <= 5
            waveform = segment()
            handed_out.append(weakref.ref(waveform.samples))
            yield waveform, 100

    assert len(assemble(load()).spans) == 12


class Loaded:
    """Segments that can be gone through again, as they lie in a store."""

    def __init__(self) -> None:
        self.times = 0

    def __iter__(self) -> Iterator[tuple[Waveform, int]]:
        self.times += 1
        return iter([(segment(), 400), (segment(0.5), 0)])


def test_when_the_encoder_fails_the_segments_are_joined_again(
    monkeypatch: pytest.MonkeyPatch, assemble: Any
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("LAME is unwell")

    monkeypatch.setattr(Mp3FileWriter, "finish", fail)
    segments = Loaded()
    speech = assemble(segments)
    assert (speech.audio.format, segments.times) == ("wav", 2)
    assert "LAME is unwell" in speech.audio.fallback_reason
    assert len(speech.spans) == 2
    decoded = decode_all(speech.audio.data)
    assert decoded.duration_s == pytest.approx(speech.spans[-1].end_s, abs=1e-3)


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
