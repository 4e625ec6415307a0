"""A listener's own encoders: what comes while it is spoken, and what a decoder makes of it."""

from __future__ import annotations

import io

import numpy as np
import pytest

from mynah.audio.conversions import decode_blocks
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Waveform
from services.api.live.forms import StreamForm, split_block

RATE = 24_000


def tone(seconds: float = 2.0) -> Waveform:
    moments = np.arange(round(RATE * seconds)) / RATE
    loudness = 0.3 + 0.2 * np.sin(2 * np.pi * 3 * moments)
    return Waveform((loudness * np.sin(2 * np.pi * 220 * moments)).astype(np.float32), RATE)


@pytest.mark.parametrize(
    ("name", "padding", "likeness"),
    [("flac", (0, 0), 0.9999999), ("aac", (1024, 1024), 0.99)],
)
def test_a_stream_comes_as_it_is_made_and_decodes_to_what_was_said(
    name: str, padding: tuple[int, int], likeness: float
) -> None:
    said, encoder = tone(), StreamForm(name, RATE, 96, SpeechTags()).encoder()
    parts = [encoder.encode(part) for part in split_block(said, 0.05)]
    assert any(parts[:4]), "the first fifth of a second is held back"
    assert len(b"".join(parts[: len(parts) // 2])) > 0.3 * len(b"".join(parts))
    data = b"".join([*parts, encoder.flush()])
    heard = np.concatenate([block.to_mono().samples for block in decode_blocks(io.BytesIO(data))])
    before, behind = padding
    assert 0 <= len(heard) - said.frames - before <= behind
    heard = heard[before : before + said.frames]
    assert np.corrcoef(heard, said.samples)[0, 1] > likeness
