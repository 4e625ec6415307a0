"""From spoken segments to the finished file: order, pauses, even loudness, one encoder pass."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mynah.audio.encode import EncodedAudio, check_output, encode_file
from mynah.audio.joining import SegmentJoiner, Span
from mynah.audio.loudness import SPEECH_LOUDNESS_LUFS, SegmentLeveller
from mynah.audio.mp3 import DEFAULT_BITRATE_KBPS
from mynah.audio.quality import SpeechMeasures, SpeechMeter
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Waveform


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What the finished file should be."""

    format: str = "mp3"
    bitrate_kbps: int = DEFAULT_BITRATE_KBPS
    vbr_quality: int | None = None
    loudness_lufs: float = SPEECH_LOUDNESS_LUFS
    tags: SpeechTags | None = None


@dataclass(frozen=True, slots=True)
class AssembledSpeech:
    """A finished, checked file, what was measured on it and where each segment lies in it.

    ``assembly_s`` is the whole time, the loading of the segments included.
    """

    audio: EncodedAudio
    measures: SpeechMeasures
    spans: tuple[Span, ...]
    assembly_s: float


def assemble_speech(
    segments: Iterable[tuple[Waveform, int]], settings: OutputSettings | None = None
) -> AssembledSpeech:
    """Join segments, each with its pause after it in ms, into one mono file.

    Segments are taken one at a time: pass an iterator that loads them, and memory stays at one
    segment plus the output. Raises what ``encode_file`` raises, InvalidAudio when every segment
    is silent, and OutputRejected when the file fails its check.
    """
    settings = settings or OutputSettings()
    started = time.perf_counter()
    assembly = _Assembly(settings.loudness_lufs)
    audio = encode_file(
        assembly.blocks(segments),
        settings.format,
        settings.bitrate_kbps,
        settings.tags,
        vbr_quality=settings.vbr_quality,
    )
    check_output(audio.data, audio.format, audio.duration_s)
    return AssembledSpeech(
        audio=audio,
        measures=assembly.measures(),
        spans=tuple(assembly.joiner.spans),
        assembly_s=time.perf_counter() - started,
    )


class _Assembly:
    """The steps that each segment goes through, and what they note on the way."""

    def __init__(self, loudness_lufs: float) -> None:
        self.joiner = SegmentJoiner()
        self._leveller = SegmentLeveller(loudness_lufs)
        self._meter: SpeechMeter | None = None

    def blocks(self, segments: Iterable[tuple[Waveform, int]]) -> Iterator[Waveform]:
        """The finished audio, segment by segment."""
        for segment, pause_after_ms in segments:
            levelled = self._leveller.level(segment.to_mono())
            block = self.joiner.join(levelled, pause_after_ms)
            if self._meter is None:
                self._meter = SpeechMeter(block.sample_rate)
            self._meter.add(block)
            yield block

    def measures(self) -> SpeechMeasures:
        """Of all blocks that were made."""
        if self._meter is None:
            raise RuntimeError("no segment was joined yet")
        return self._meter.measures()
