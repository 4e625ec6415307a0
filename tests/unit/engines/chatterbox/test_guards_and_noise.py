"""What is cut at the end of speech, and noise that depends on its place only."""

from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.waveform import Waveform
from mynah.engines.chatterbox.s3gen.guards import TailGuard
from mynah.engines.chatterbox.s3gen.noise import PROMPT, SPEECH, normal_rows
from mynah.errors import EngineFailed

RATE = 24_000


def tone(seconds, level):
    at = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * 200 * at)).astype(np.float32)


def guarded(samples, block=4800):
    guard = TailGuard(RATE)
    blocks = [
        guard.process(Waveform(samples[start : start + block], RATE)).samples
        for start in range(0, len(samples), block)
    ]
    return np.concatenate([*blocks, guard.finish().samples])


@pytest.mark.parametrize("level", [0.0, 0.002])
def test_quiet_noise_behind_the_last_word_is_cut(level):
    speech = np.concatenate([tone(1.0, 0.3), tone(2.0, level)])
    heard = guarded(speech)
    assert len(heard) == pytest.approx(1.25 * RATE, abs=480)
    assert abs(heard[-1]) < 1e-3


def test_pauses_inside_speech_stay():
    speech = np.concatenate([tone(0.5, 0.3), np.zeros(2 * RATE, np.float32), tone(0.5, 0.3)])
    np.testing.assert_array_equal(guarded(speech), speech)


def test_speech_up_to_the_end_is_untouched():
    speech = tone(1.003, 0.3)
    np.testing.assert_array_equal(guarded(speech), speech)


def test_samples_that_are_not_numbers_are_an_error():
    with pytest.raises(EngineFailed):
        guarded(np.full(480, np.nan, np.float32))


def test_noise_depends_on_its_place_only():
    whole = normal_rows(5, SPEECH, 0, 100, 80)
    for first, count in ((0, 1), (15, 2), (37, 50), (99, 1), (4, 0)):
        rows = normal_rows(5, SPEECH, first, count, 80)
        np.testing.assert_array_equal(rows, whole[first : first + count])
    assert abs(float(whole.std()) - 1) < 0.05


def test_other_seeds_and_uses_have_other_noise():
    first = normal_rows(5, SPEECH, 0, 10, 80)
    for other in (normal_rows(6, SPEECH, 0, 10, 80), normal_rows(5, PROMPT, 0, 10, 80)):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.2


@pytest.mark.parametrize("seed", [-1, 2**63, 2**70])
def test_any_seed_will_do(seed):
    assert np.isfinite(normal_rows(seed, SPEECH, 0, 2, 80)).all()
