"""From spoken segments to the finished file: one stream, one encoder pass, one check."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from mynah.audio.assembly import SpeechAssembler
from mynah.audio.encode import EncodedAudio, encode_file
from mynah.audio.finished import check_output
from mynah.audio.formats import OutputSpec
from mynah.audio.joining import Span
from mynah.audio.levelling import SPEECH_CEILING_DBTP
from mynah.audio.loudness import SPEECH_LOUDNESS_LUFS
from mynah.audio.quality import SpeechMeasures
from mynah.audio.read_ahead import read_ahead
from mynah.audio.tags import Chapter, SpeechTags
from mynah.audio.waveform import Waveform

# Segments that are made ready while one is encoded: enough to keep both threads busy.
_READY_SEGMENTS = 2


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What the finished file should be.

    ``headings``: the chapter that begins with a segment, by the segment's place.
    """

    spec: OutputSpec = field(default_factory=OutputSpec)
    loudness_lufs: float = SPEECH_LOUDNESS_LUFS
    tags: SpeechTags = field(default_factory=SpeechTags)
    headings: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssembledSpeech:
    """A finished, checked file, what was measured on it and where each segment lies in it.

    ``assembly_s`` is the whole time, the loading of the segments included. Close it when the
    file is stored.
    """

    audio: EncodedAudio
    measures: SpeechMeasures
    spans: tuple[Span, ...]
    chapters: tuple[Chapter, ...]
    true_peak_dbtp: float | None
    assembly_s: float

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.audio.file.close()


def assemble_speech(
    segments: Iterable[tuple[Waveform, int]], settings: OutputSettings | None = None
) -> AssembledSpeech:
    """Join segments, each with its pause after it in ms, into one file.

    Segments are taken a few at a time, ahead and in a thread of their own: pass something that
    loads them as it is gone through, and memory does not grow with the story. It is gone through
    again when a lossy encoder fails. Raises what ``encode_file`` raises, InvalidAudio when every
    segment is silent, and OutputRejected when the file fails its check.
    """
    settings = settings or OutputSettings()
    started = time.perf_counter()
    stream = _Stream(segments, settings)
    audio = encode_file(
        stream,
        settings.spec,
        settings.tags,
        chapters=stream.chapters,
        headroom_db=-SPEECH_CEILING_DBTP,
    )
    try:
        true_peak_dbtp = check_output(audio.file, audio.layout, audio.duration_s)
    except BaseException:
        audio.file.close()
        raise
    return AssembledSpeech(
        audio=audio,
        measures=stream.assembler.measures(),
        spans=tuple(stream.assembler.spans),
        chapters=tuple(stream.chapters()),
        true_peak_dbtp=true_peak_dbtp,
        assembly_s=time.perf_counter() - started,
    )


class _Stream:
    """The finished sound of the segments, from its start each time it is gone through."""

    def __init__(self, segments: Iterable[tuple[Waveform, int]], settings: OutputSettings) -> None:
        self._segments = segments
        self._settings = settings
        self.assembler = SpeechAssembler(settings.loudness_lufs)

    def __iter__(self) -> Iterator[Waveform]:
        return read_ahead(self._blocks(), _READY_SEGMENTS)

    def _blocks(self) -> Iterator[Waveform]:
        settings = self._settings
        channels = settings.spec.channels or 1
        self.assembler = assembler = SpeechAssembler(settings.loudness_lufs, None, channels)
        for segment, pause_after_ms in self._segments:
            if assembler.sample_rate is None:
                layout = settings.spec.resolve(segment.sample_rate, channels)
                assembler.sample_rate = layout.sample_rate
            yield assembler.add(segment, pause_after_ms)

    def chapters(self) -> Sequence[Chapter]:
        """The chapters of all that has come. Players want the first one to begin at 0: what
        comes before the first heading is a chapter with the story's title.
        """
        spans, settings = self.assembler.spans, self._settings
        found = [
            Chapter(spans[place].start_s, title)
            for place, title in sorted(settings.headings.items())
        ]
        if found and found[0].start_s > 0:
            found.insert(0, Chapter(0.0, settings.tags.title))
        return found
