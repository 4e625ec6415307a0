"""How much is encoded at a time for one listener."""

from __future__ import annotations

from itertools import chain

import pytest

from mynah.audio.waveform import Waveform
from services.api.live.forms import PcmEncoder
from services.api.live.pacing import QUEUED_S, STEP_S, Line, Pace
from tests.unit.audio.signals import tone

RATE = 24_000
PCM_BYTES_PER_S = 2 * RATE


def sizes_s(pace: Pace, *blocks: Waveform) -> list[float]:
    """How much sound each message has."""
    encoder = PcmEncoder()
    data = chain.from_iterable(pace.encoded(encoder, block) for block in blocks)
    return [len(message) / PCM_BYTES_PER_S for message in data]


def line(*unsent: int | None) -> Line:
    """A connection in which so many bytes wait at each look; the last number stays."""
    waiting = list(unsent)
    return Line(
        unsent=lambda: waiting.pop(0) if len(waiting) > 1 else waiting[0],
        is_gone=lambda: False,
        stall_timeout_s=10.0,
        give_up=lambda: None,
    )


@pytest.mark.parametrize("unsent", [0, None])
def test_the_first_sound_goes_by_itself_and_then_as_much_as_may_wait(unsent: int | None) -> None:
    sizes = sizes_s(Pace((96,), line(unsent)), tone(2.7, RATE))
    assert sizes == pytest.approx([STEP_S, QUEUED_S, QUEUED_S, 0.5])


def test_a_full_connection_gets_little_at_a_time_and_never_much_more_than_may_wait() -> None:
    # Nothing waits, then what was sent less what the listener has taken meanwhile.
    waits_s = [0.0, 0.1, 0.9, 1.1, 0.95]
    pace = Pace((96,), line(*(round(waits * PCM_BYTES_PER_S) for waits in waits_s)))
    sizes = sizes_s(pace, tone(1.5, RATE))
    assert sizes == pytest.approx([STEP_S, 0.9, STEP_S, STEP_S])


def test_every_sample_is_encoded_once_however_it_is_cut() -> None:
    blocks = [tone(duration_s, RATE) for duration_s in (0.01, 1.3, 0.5)]
    encoder, pace = PcmEncoder(), Pace((96,), line(0))
    data = b"".join(chain.from_iterable(pace.encoded(encoder, block) for block in blocks))
    assert data == b"".join(block.to_pcm16() for block in blocks)
