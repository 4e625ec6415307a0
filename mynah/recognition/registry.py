"""From a folder of weights to a recogniser, where one is installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final, cast

import structlog

from mynah.recognition.base import Recognizer

log = structlog.get_logger(__name__)

ENTRY_POINT_GROUP: Final = "mynah.recognizers"  # of packages that bring a RecognizerInfo


@dataclass(frozen=True, slots=True)
class RecognizerInfo:
    """A recogniser: the module it needs, the file by which its weights are known, its class."""

    id: str
    requires: str
    weights: str
    factory: str  # "module:Class", called with the folder


RECOGNIZERS: Final = (
    RecognizerInfo(
        id="faster-whisper",
        requires="faster_whisper",
        weights="model.bin",
        factory="mynah.recognition.faster_whisper:FasterWhisperRecognizer",
    ),
)


@dataclass(frozen=True, slots=True)
class RecognizerStatus:
    """The recogniser whose weights lie in a folder, whether it is installed and, if not, why."""

    info: RecognizerInfo | None = None
    reason: str | None = None


def find_recognizer(folder: Path | None) -> RecognizerStatus:
    """What the weights in ``folder`` are for. Loads nothing."""
    if folder is None:
        return RecognizerStatus(reason="no recogniser is configured")
    fitting = [info for info in _known_recognizers() if (folder / info.weights).is_file()]
    if not fitting:
        return RecognizerStatus(reason="the recogniser's weights are missing")
    info = fitting[0]
    is_installed = find_spec(info.requires) is not None
    return RecognizerStatus(info, None if is_installed else f"not installed: {info.requires}")


def load_recognizer(folder: Path | None) -> Recognizer | None:
    """The recogniser whose weights lie in ``folder``; None when none is wanted or can be had.

    Speech is made without one as well: what is missing is logged, once, and no error.
    """
    if folder is None:
        return None
    found = find_recognizer(folder)
    info = found.info
    if info is None:
        log.warning("recognizer_weights_missing", folder=str(folder))
        return None
    if found.reason is not None:
        log.warning("recognizer_not_installed", recognizer=info.id, requires=info.requires)
        return None
    module_name, _, class_name = info.factory.partition(":")
    try:
        recognizer = getattr(import_module(module_name), class_name)(folder)
    except Exception:  # damaged weights, a library that does not fit: whatever it raises
        log.exception("recognizer_not_loaded", recognizer=info.id, folder=str(folder))
        return None
    log.info("recognizer_loaded", recognizer=info.id, folder=str(folder))
    return cast(Recognizer, recognizer)


def _known_recognizers() -> Iterator[RecognizerInfo]:
    """Mynah's own, then those of installed packages; one that cannot be read is left out."""
    yield from RECOGNIZERS
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            info = entry_point.load()
        except Exception:  # a stranger's module may raise anything
            log.exception("recognizer_plugin_unreadable", plugin=entry_point.value)
            continue
        if isinstance(info, RecognizerInfo):
            yield info
        else:
            log.warning("recognizer_plugin_unreadable", plugin=entry_point.value)
