"""The spectrogram as a picture: time to the right, frequency upwards, level as colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.audio_proc.png import Pixels, encode_png
from services.audio_proc.spectrum import SpectrumSurvey

RANGE_DB = 90.0
_HIGHEST_HZ = 16_000.0
_LEAST_POWER = 1e-14
# From quiet to loud; the colours in between are mixed. After matplotlib's "inferno".
_STOPS = (
    (0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21),
    (250, 193, 39), (252, 255, 164),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """A picture and its scales: frequency is linear from 0, colours span ``RANGE_DB``."""

    png: bytes
    highest_hz: int
    loudest_dbfs: float


def draw_spectrogram(survey: SpectrumSurvey, width: int, height: int) -> Spectrogram:
    """A picture of ``width`` by ``height`` pixels, from 0 Hz to 16 kHz or half the rate."""
    highest = min(_HIGHEST_HZ, float(survey.frequencies[-1]))
    power = _rows(survey, height, highest)
    levels = 10 * np.log10(np.maximum(power, _LEAST_POWER))
    loudest = float(levels.max())
    shade = np.clip((levels - loudest) / RANGE_DB + 1.0, 0.0, 1.0)
    numbers = np.rint(shade * 255).astype(np.uint8).T[::-1]
    columns = np.arange(width) * numbers.shape[1] // width
    png = encode_png(np.ascontiguousarray(numbers[:, columns]), _palette())
    return Spectrogram(png, round(highest), round(loudest, 1))


def _rows(survey: SpectrumSurvey, height: int, highest: float) -> npt.NDArray[np.float32]:
    """Power per column and row, ``(columns, height)``: a row's loudest bin, or the one at it."""
    spacing = float(survey.frequencies[1])
    starts = (np.arange(height) * highest / height / spacing).astype(np.intp)
    end = int(highest / spacing) + 1
    power: npt.NDArray[np.float32] = np.maximum.reduceat(survey.columns[:, :end], starts, axis=1)
    return power


def _palette() -> Pixels:
    stops = np.array(_STOPS, np.float64)
    places = np.linspace(0, len(stops) - 1, 256)
    mixed = [np.interp(places, np.arange(len(stops)), stops[:, part]) for part in range(3)]
    palette: Pixels = np.rint(np.stack(mixed, axis=1)).astype(np.uint8)
    return palette
