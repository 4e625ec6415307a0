"""How much of a piece is joined at a time, for which all other listeners of a process wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mynah.audio.waveform import Waveform
from services.api.live.live_job import TOGETHER_S, LiveSource, _PieceStream
from tests.unit.audio.signals import tone

RATE = 16_000


def test_what_comes_from_the_segment_is_joined_in_parts_as_what_is_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segment = tone(2.5, RATE)

    def rest(_: LiveSource, stream: Any) -> Waveform:
        stream.is_over = True
        return segment

    monkeypatch.setattr(LiveSource, "_read", lambda *_: [])
    monkeypatch.setattr(LiveSource, "_rest", rest)
    parts: Any = SimpleNamespace(slots=SimpleNamespace(taken=1))
    piece: Any = SimpleNamespace(sample_rate=RATE)
    nobody_looks: Any = SimpleNamespace(next=lambda _: None)
    source = LiveSource(parts, SimpleNamespace(is_kept=False), lambda _: False, 1.0)  # type: ignore[arg-type]
    blocks = list(source._blocks(_PieceStream(piece), nobody_looks))
    assert [block.duration_s for block in blocks] == [TOGETHER_S, TOGETHER_S, 0.5]
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), segment.samples)
