"""Perth in whole speech, in streams and through MP3."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
pytest.importorskip("perth")

from mynah.audio.mp3 import encode_mp3  # noqa: E402
from mynah.audio.waveform import Waveform  # noqa: E402
from mynah.engines.chatterbox.watermark import StreamWatermarker, Watermarker  # noqa: E402
from mynah.errors import EngineUnavailable  # noqa: E402
from tests.unit.engines.chatterbox.s3gen_parts import snr_db  # noqa: E402

RATE = 24_000


@pytest.fixture(scope="module")
def watermarker():
    return Watermarker()


@pytest.fixture(scope="module")
def speech():
    """Harmonics of a moving pitch, in syllables."""
    at = np.arange(3 * RATE) / RATE
    phase = 2 * np.pi * (140 * at + 8 * np.sin(2 * at))
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    level = 0.1 * (0.3 + np.clip(np.sin(2 * np.pi * 2.5 * at), 0, 1))
    noise = np.random.default_rng(3).normal(0, 0.003, len(at))
    return Waveform((level * tone + noise).astype(np.float32), RATE)


def marked_stream(watermarker, speech, block):
    stream = StreamWatermarker(watermarker, RATE)
    blocks = [
        stream.process(Waveform(speech.samples[start : start + block], RATE)).samples
        for start in range(0, speech.frames, block)
    ]
    return [*blocks, stream.flush().samples]


def test_marked_speech_is_told_from_unmarked(watermarker, speech):
    marked = watermarker.apply(speech)
    assert marked.frames == speech.frames
    assert watermarker.confidence(marked) > 0.9
    assert watermarker.confidence(speech) < 0.5


@pytest.mark.parametrize("block", [480, 5760, 24_000])
def test_a_stream_is_marked_like_the_whole(watermarker, speech, block):
    whole = watermarker.apply(speech).samples
    joined = np.concatenate(marked_stream(watermarker, speech, block))
    assert len(joined) == speech.frames
    assert watermarker.confidence(Waveform(joined, RATE)) > 0.9
    assert snr_db(whole, joined) > 25


def test_marking_a_stream_does_not_click(watermarker, speech):
    blocks = marked_stream(watermarker, speech, 5760)
    joined = np.concatenate(blocks)
    steps = np.abs(np.diff(joined - speech.samples))
    joins = np.cumsum([len(block) for block in blocks])[1:-1]
    assert max(steps[join - 2 : join + 2].max() for join in joins) <= np.percentile(steps, 99.9)


def test_a_marked_stream_is_known_after_mp3(watermarker, speech):
    blocks = marked_stream(watermarker, speech, 5760)
    data = encode_mp3([Waveform(block, RATE) for block in blocks], 96)
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert watermarker.confidence(Waveform(samples, rate)) > 0.9


@pytest.mark.parametrize("frames", [0, 1, 500])
def test_very_short_speech_passes(watermarker, frames):
    samples = np.full(frames, 0.1, np.float32)
    assert watermarker.apply(Waveform(samples, RATE)).frames == frames


def test_a_missing_watermarker_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "perth", SimpleNamespace(PerthImplicitWatermarker=None))
    with pytest.raises(EngineUnavailable) as raised:
        Watermarker()
    assert raised.value.code == "watermarker_missing"
