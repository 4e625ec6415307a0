"""A recogniser is there when its weights and its library are; else speech goes on without."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import structlog
from structlog.testing import capture_logs

from mynah.recognition.registry import load_recognizer

WHISPER = "mynah.recognition.faster_whisper"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "model.bin").write_bytes(b"no model at all")
    return tmp_path


def pretend_installed(monkeypatch: pytest.MonkeyPatch, model: type) -> None:
    library = ModuleType("faster_whisper")
    library.WhisperModel = model  # type: ignore[attr-defined]
    library.__spec__ = structlog.__spec__
    monkeypatch.setitem(sys.modules, "faster_whisper", library)
    monkeypatch.delitem(sys.modules, WHISPER, raising=False)


def test_none_is_wanted() -> None:
    with capture_logs() as logs:
        assert load_recognizer(None) is None
    assert logs == []


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert load_recognizer(tmp_path / "nowhere") is None
    assert logs[0]["event"] == "recognizer_weights_missing"
    assert logs[0]["folder"] == str(tmp_path / "nowhere")


def test_a_library_that_is_not_installed_is_named(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mynah.recognition.registry.find_spec", lambda name: None)
    with capture_logs() as logs:
        assert load_recognizer(weights) is None
    assert (logs[0]["event"], logs[0]["requires"]) == ("recognizer_not_installed", "faster_whisper")


def test_damaged_weights_are_logged_and_no_error(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Damaged:
        def __init__(self, folder: str, **options: object) -> None:
            raise RuntimeError("unsupported model binary version")

    pretend_installed(monkeypatch, Damaged)
    with capture_logs() as logs:
        assert load_recognizer(weights) is None
    assert logs[0]["event"] == "recognizer_not_loaded"


def test_weights_and_library_make_a_recognizer(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Model:
        supported_languages = ("en", "zh", "no")

        def __init__(self, folder: str, **options: object) -> None:
            assert folder == str(weights)
            assert options["local_files_only"] is True

    pretend_installed(monkeypatch, Model)
    recognizer = load_recognizer(weights)
    assert recognizer is not None
    assert [recognizer.supports(tag) for tag in ("en-us", "cmn", "nb", "de")] == [
        True,
        True,
        True,
        False,
    ]
