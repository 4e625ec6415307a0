"""AAC without a container: ADTS frames (ISO/IEC 13818-7) out of an MP4 file."""

from __future__ import annotations

import io
from typing import BinaryIO

import av


def adts_of(mp4: BinaryIO) -> bytes:
    """The AAC frames of an M4A file, each with its ADTS header; nothing is encoded again.

    ADTS has no edit list: what the encoder put before the first sample (1024 samples) stays.
    """
    output = io.BytesIO()
    with (
        av.open(mp4, mode="r", format="mp4") as source,
        av.open(output, "w", format="adts") as target,
    ):
        stream = source.streams.audio[0]
        copied = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is None:  # the end
                continue
            packet.stream = copied
            target.mux(packet)
    return output.getvalue()
