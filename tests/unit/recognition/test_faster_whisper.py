"""The adapter runs the real library, where it is installed, on a model of random weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("faster_whisper", reason="the extra 'recognition' is not installed")

from mynah.recognition.base import Transcript
from mynah.recognition.registry import load_recognizer
from tests.unit.audio.signals import speech_like
from tests.unit.recognition.tiny_whisper import build_tiny_whisper


def test_a_real_model_is_loaded_and_listens_without_torch(tmp_path: Path) -> None:
    build_tiny_whisper(tmp_path)
    recognizer = load_recognizer(tmp_path)
    assert recognizer is not None
    assert recognizer.supports("en-us")
    assert not recognizer.supports("de")
    spoken, _ = speech_like(3.0)
    heard = recognizer.transcribe(spoken, "en-us")
    assert isinstance(heard, Transcript)
    assert heard == recognizer.transcribe(spoken, "en-us")
    assert heard.words
    assert all(0 <= word.start_s <= word.end_s <= 30.5 for word in heard.words)
    assert "torch" not in sys.modules
