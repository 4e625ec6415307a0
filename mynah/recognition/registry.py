"""From a folder of weights to a recogniser, where one is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, cast

import structlog

from mynah.recognition.base import Recognizer

log = structlog.get_logger(__name__)


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


def load_recognizer(folder: Path | None) -> Recognizer | None:
    """The recogniser whose weights lie in ``folder``; None when none is wanted or can be had.

    Speech is made without one as well: what is missing is logged, once, and no error.
    """
    if folder is None:
        return None
    fitting = [info for info in RECOGNIZERS if (folder / info.weights).is_file()]
    if not fitting:
        log.warning("recognizer_weights_missing", folder=str(folder))
        return None
    info = fitting[0]
    if find_spec(info.requires) is None:
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
