"""Speech joined block by block: the same however it is cut, nothing lost, levelled, no clipping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from mynah.audio.live_joining import LiveJoiner
from mynah.audio.loudness import measure_loudness, sample_peak, to_linear
from mynah.audio.waveform import Waveform
from tests.unit.audio.signals import speech_like

RATE = 24_000
TARGET_LUFS = -18.0
Samples = npt.NDArray[np.float32]


def spoken(length_s: float = 3.0) -> Samples:
    return np.asarray(speech_like(length_s)[0].samples, np.float32)


def joined(pieces: Sequence[Samples], block: int, rate: int = RATE, pause_ms: int = 200) -> Samples:
    joiner = LiveJoiner(TARGET_LUFS, rate)
    made = []
    for piece in pieces:
        joiner.begin_piece("ann")
        for start in range(0, len(piece), block):
            made.append(joiner.add(Waveform(piece[start : start + block], RATE)).samples)
        made.append(joiner.end_piece(pause_ms).samples)
    together = np.concatenate(made)
    assert joiner.frames == len(together)
    return together


@pytest.mark.parametrize("block", [1, 100, 240, 1001, 24_000])
def test_the_sound_does_not_depend_on_the_blocks(block: int) -> None:
    pieces = [spoken(0.5), spoken(0.4)]
    whole = joined(pieces, 10**9)
    np.testing.assert_allclose(joined(pieces, block), whole, atol=1e-6)


def test_silence_around_pieces_is_cut_to_a_guard_and_pauses_are_kept() -> None:
    hum = 0.1 * np.sin(np.arange(RATE) / 10).astype(np.float32)
    silence = np.zeros(RATE, np.float32)
    piece = np.concatenate([silence, hum, silence[: RATE // 2], hum, silence])
    once = joined([piece], 480, pause_ms=300)
    expected_s = 2.5 + 2 * 0.04 + 0.3
    assert abs(len(once) / RATE - expected_s) < 0.02
    assert not once[-int(0.29 * RATE) :].any()
    assert len(joined([piece, piece], 480, pause_ms=300)) == 2 * len(once)


def test_a_silent_piece_leaves_its_pause_only() -> None:
    assert len(joined([np.zeros(RATE, np.float32)], 480, pause_ms=100)) == RATE // 10


def test_speech_ends_up_near_the_target_whatever_its_level() -> None:
    for gain in (0.2, 1.0):
        loudness = measure_loudness(Waveform(joined([spoken(6) * np.float32(gain)], 480), RATE))
        assert loudness is not None
        assert abs(loudness - TARGET_LUFS) < 3


def test_peaks_stay_below_the_ceiling() -> None:
    loud = spoken().copy()
    loud[20_000:20_010] = 1.0
    assert sample_peak(joined([loud], 480)) <= to_linear(-2.0) + 1e-6


def test_another_rate_keeps_the_length() -> None:
    piece = spoken(1)
    assert abs(len(joined([piece], 480, 16_000)) / 16_000 - len(joined([piece], 480)) / RATE) < 0.03
