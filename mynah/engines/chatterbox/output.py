"""From decoded blocks to what may be heard: the guards, then the watermark. No other way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mynah.audio.waveform import Waveform
from mynah.engines.chatterbox.s3gen.guards import TailGuard
from mynah.engines.chatterbox.s3gen.layout import SAMPLE_RATE
from mynah.engines.chatterbox.watermark import StreamWatermarker, Watermarker


def release_speech(blocks: Iterable[Waveform], watermarker: Watermarker) -> Iterator[Waveform]:
    """One utterance's blocks at SAMPLE_RATE, guarded and marked as they come; empty ones left out.

    Runs in the thread that iterates. Raises EngineFailed for silence and for what is no number.
    """
    guard = TailGuard(SAMPLE_RATE)
    marker = StreamWatermarker(watermarker, SAMPLE_RATE)
    for block in blocks:
        marked = marker.process(guard.process(block))
        if marked.frames:
            yield marked
    yield marker.process(guard.finish())
    yield marker.flush()
