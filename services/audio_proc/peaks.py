"""The outline of a recording: peaks for players, and the waveform as PNG and SVG."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mynah.audio.waveform import Samples, Waveform
from services.audio_proc.png import encode_png

_INK, _PAPER, _CORE, _AXIS = (0x1F, 0x4E, 0x79), (0xFF, 0xFF, 0xFF), (0x5B, 0x9B, 0xD5), (0xBF,) * 3
_PALETTE = np.array([_PAPER, _INK, _CORE, _AXIS], np.uint8)
_PAPER_NUMBER, _INK_NUMBER, _CORE_NUMBER, _AXIS_NUMBER = range(4)


@dataclass(frozen=True, slots=True)
class Outline:
    """Lowest, highest and mean level per column, each of shape ``(columns,)``, within [-1, 1]."""

    lowest: Samples
    highest: Samples
    level: Samples


def peaks_json(waveform: Waveform, peaks_per_second: int) -> bytes:
    """Peaks in the JSON format of audiowaveform 1.10, version 2, 8 bits.

    ``data`` holds lowest and highest for each channel of each pixel, as players expect.
    """
    per_pixel = max(1, waveform.sample_rate // peaks_per_second)
    channels = np.atleast_2d(waveform.samples)
    starts = np.arange(0, waveform.frames, per_pixel)
    if len(starts):
        lowest = np.minimum.reduceat(channels, starts, axis=1)
        highest = np.maximum.reduceat(channels, starts, axis=1)
    else:
        lowest = highest = np.zeros((len(channels), 0), np.float32)
    pairs = np.stack([lowest, highest], axis=-1)  # (channels, pixels, 2)
    scaled = np.clip(np.rint(pairs * 128.0), -128, 127).astype(int)
    document = {
        "version": 2,
        "channels": len(channels),
        "sample_rate": waveform.sample_rate,
        "samples_per_pixel": per_pixel,
        "bits": 8,
        "length": len(starts),
        "data": scaled.transpose(1, 0, 2).ravel().tolist(),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def draw_outline(mono: Waveform, columns: int) -> Outline:
    """The outline of a mono recording in exactly ``columns`` parts."""
    if mono.frames == 0:
        nothing = np.zeros(columns, np.float32)
        return Outline(nothing, nothing, nothing)
    starts = (np.arange(columns) * mono.frames / columns).astype(np.intp)
    samples = np.clip(mono.samples, -1.0, 1.0)
    lengths = np.maximum(np.diff(np.append(starts, mono.frames)), 1)
    # Where columns are finer than samples, reduceat repeats the one sample.
    power = np.add.reduceat(np.square(samples), starts) / lengths
    return Outline(
        np.minimum.reduceat(samples, starts),
        np.maximum.reduceat(samples, starts),
        np.sqrt(power).astype(np.float32),
    )


def outline_png(outline: Outline, height: int) -> bytes:
    """The waveform as a picture: peaks dark, the mean level light within them."""
    rows = np.arange(height)[:, None]
    top, bottom = _to_row(outline.highest, height), _to_row(outline.lowest, height)
    is_inside = (rows >= np.floor(top)) & (rows <= np.ceil(bottom))
    is_core = (rows >= _to_row(outline.level, height)) & (rows <= _to_row(-outline.level, height))
    pixels = np.full(is_inside.shape, _PAPER_NUMBER, np.uint8)
    pixels[height // 2] = _AXIS_NUMBER
    pixels[is_inside] = _INK_NUMBER
    pixels[is_core & is_inside] = _CORE_NUMBER
    return encode_png(pixels, _PALETTE)


def outline_svg(outline: Outline, height: int) -> bytes:
    """The waveform as a scalable picture in the reader's own colour (``currentColor``)."""
    width = len(outline.highest)
    above = [f"{x},{y:.1f}" for x, y in enumerate(_to_row(outline.highest, height).tolist())]
    below = [f"{x},{y:.1f}" for x, y in enumerate(_to_row(outline.lowest, height).tolist())]
    path = "M" + " L".join([*above, *reversed(below)]) + " Z"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none" role="img"><title>waveform</title>'
        f'<path d="{path}" fill="currentColor" stroke="currentColor" stroke-width="0.5"/></svg>\n'
    ).encode()


def _to_row(values: Samples, height: int) -> npt.NDArray[np.float64]:
    """Where a value lies on the picture, 1 at its top."""
    rows: npt.NDArray[np.float64] = (1.0 - values.astype(np.float64)) / 2 * (height - 1)
    return rows
