"""Reading finished files of Mynah's own making: to check them, and to make other formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import av

from mynah.audio.av_frames import iter_blocks
from mynah.audio.formats import OutputLayout
from mynah.audio.loudness import TruePeakMeter, to_db
from mynah.audio.raw import RAW_FORMATS, iter_raw_blocks
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from mynah.errors import OutputRejected

_DEMUXERS = {OutputFormat.OPUS: "ogg", OutputFormat.M4A: "mp4", OutputFormat.M4B: "mp4"}
_DURATION_TOLERANCE_S = 0.1
_DURATION_TOLERANCE_SHARE = 0.01
_SILENCE_PEAK = 10 ** (-50 / 20)


def iter_file_blocks(file: BinaryIO, layout: OutputLayout) -> Iterator[Waveform]:
    """A finished file decoded from its start, block by block, without what the encoder added.

    Raises OutputRejected when it does not decode.
    """
    file.seek(0)
    if layout.format in RAW_FORMATS:
        yield from iter_raw_blocks(file, layout)
        return
    demuxer = _DEMUXERS.get(layout.format, layout.format.value)
    try:
        with av.open(file, mode="r", format=demuxer) as container:
            left = _frames_in_edit_list(container, layout)
            for block in iter_blocks(container.decode(audio=0)):
                waveform = block.to_waveform()
                if left is not None and waveform.frames > left:
                    kept = waveform.samples[..., :left]
                    waveform = Waveform(kept, waveform.sample_rate)
                left = None if left is None else left - waveform.frames
                yield waveform
    except (av.FFmpegError, IndexError) as error:
        raise OutputRejected(f"The finished {layout.format} file does not decode.") from error


def check_output(file: BinaryIO, layout: OutputLayout, expected_duration_s: float) -> float | None:
    """Decode a finished file to its end; returns its true peak in dBTP.

    Raises OutputRejected unless it decodes without an error, lasts as long as expected (within
    0.1 s or 1 %) and is not silent (peak above -50 dBFS).
    """
    frames, sample_rate, peaks = 0, 0, TruePeakMeter()
    for block in iter_file_blocks(file, layout):
        sample_rate = block.sample_rate
        frames += block.frames
        peaks.add(block.samples)
    duration_s = frames / sample_rate if sample_rate else 0.0
    tolerance_s = max(_DURATION_TOLERANCE_S, _DURATION_TOLERANCE_SHARE * expected_duration_s)
    if abs(duration_s - expected_duration_s) > tolerance_s:
        raise OutputRejected(
            f"The finished {layout.format} file lasts {duration_s:.2f} s instead of "
            f"{expected_duration_s:.2f} s."
        )
    if peaks.sample_peak < _SILENCE_PEAK:
        raise OutputRejected(f"The finished {layout.format} file is silent.")
    return to_db(peaks.true_peak)


def _frames_in_edit_list(
    container: av.container.InputContainer, layout: OutputLayout
) -> int | None:
    """Frames that an MP4's edit list says are audio; the decoder gives its last padding too."""
    if layout.format not in (OutputFormat.M4A, OutputFormat.M4B):
        return None
    stream = container.streams.audio[0]
    if stream.duration is None or stream.time_base is None:
        return None
    return round(stream.duration * stream.time_base * layout.sample_rate)
