"""Which bitrate a connection is given, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from services.api.live.adapting import BitrateChoice, bitrates_below
from services.api.live.draining import Drain

STEP_S = 0.05
QUEUED_S = 1.0


@dataclass
class Listening:
    """A listener in steps of 20 ms. ``taken_kbps``: what their connection takes at a time."""

    taken_kbps: Callable[[float], float]
    player_s: float | None = None  # it takes no more than so much sound ahead
    speaker: float = 20.0  # times real time
    now: float = 0.0
    unsent: float = 0.0

    def run(self, duration_s: float) -> list[tuple[float, int]]:
        """When the bitrate changed, and to what."""
        drain = Drain(lambda: round(self.unsent), lambda: self.now)
        choice, changes = BitrateChoice((128, 96, 64, 48)), [(0.0, 128)]
        while self.now < duration_s:
            drained = drain.look()
            assert drained is not None
            kbps = choice.choose(drained, drain.sent_s)
            if kbps != changes[-1][1]:
                changes.append((self.now, kbps))
            if drained.queued_s < QUEUED_S and drain.sent_s < self.now * self.speaker:
                drain.sent(round(kbps * 125 * STEP_S), STEP_S)
                self.unsent += round(kbps * 125 * STEP_S)
                continue
            wish = self.player_s is None or drained.audio_s - self.now < self.player_s
            taken = min(self.unsent, self.taken_kbps(self.now) * 125 * 0.02) if wish else 0.0
            self.unsent -= taken
            self.now += 0.02
        return changes


def test_a_fast_connection_keeps_the_highest() -> None:
    assert Listening(lambda _: 5000).run(30) == [(0.0, 128)]


@pytest.mark.parametrize(("taken", "settled"), [(110, 96), (80, 64), (56, 48), (30, 48)])
def test_a_slow_one_is_given_what_it_bears_within_seconds(taken: float, settled: int) -> None:
    changes = Listening(lambda _: taken).run(10)
    assert changes[-1][1] == settled
    assert changes[1][0] < 6


def test_one_that_recovers_is_raised_again_step_by_step() -> None:
    changes = Listening(lambda at: 60 if at < 10 else 2000).run(30)
    assert [kbps for _, kbps in changes] == [128, 48, 64, 96, 128]
    assert changes[-1][0] < 25


@pytest.mark.parametrize("player_s", [0.2, 2.0, 30.0])
def test_a_player_that_takes_sound_at_its_own_pace_is_no_slow_connection(player_s: float) -> None:
    assert Listening(lambda _: 1000, player_s).run(60) == [(0.0, 128)]


def test_a_browser_that_reads_in_bursts_is_no_slow_connection() -> None:
    bursts = Listening(lambda at: 2000 if at % 20 < 2 else 0)
    assert bursts.run(60) == [(0.0, 128)]


def test_a_speaker_slower_than_real_time_says_nothing_of_the_connection() -> None:
    assert Listening(lambda _: 2000, speaker=0.5).run(30) == [(0.0, 128)]


def test_a_bitrate_that_may_be_too_high_is_tried_more_and_more_rarely() -> None:
    changes = Listening(lambda _: 70, player_s=0.3).run(300)  # it hides what the connection bears
    tries = [at for at, kbps in changes if kbps > 64][1:]
    waits = [later - at for at, later in pairwise(tries)]
    assert 2 <= len(tries) < 8
    assert waits == sorted(waits)


def test_a_drain_tells_sound_from_bytes_and_the_time_they_took() -> None:
    unsent, now = 0, 0.0
    drain = Drain(lambda: unsent, lambda: now)
    drain.look()
    drain.sent(1000, 0.5)
    drain.sent(500, 0.5)
    now, unsent = 1.0, 250
    drained = drain.look()
    assert drained is not None
    assert (drained.audio_s, drained.queued_s) == (0.75, 0.25)
    assert drained.throughput_kbps == pytest.approx(10.0)
    assert Drain(lambda: None).look() is None


def test_the_ladder_begins_with_the_wish_and_has_what_the_rate_allows() -> None:
    assert bitrates_below(96, (48, 64, 96, 128)) == (96, 64, 48)
    assert bitrates_below(64, (8, 64)) == (64,)
    assert bitrates_below(48, (48, 64)) == (48,)
