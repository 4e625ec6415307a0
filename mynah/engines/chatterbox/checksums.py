"""Whether a checkpoint's files are those that somebody vouches for.

Names, shapes and types cannot tell two tensors of one shape apart that changed places, nor numbers
that were altered: only the file's sha256 can. It is known where the files lie in the hub's cache,
which names them by it, and where a list ``SHA256SUMS`` lies beside them, written by ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from mynah.engines.chatterbox.checkpoint import damaged
from mynah.engines.chatterbox.sound import version_of

SUMS_FILE: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def check_sums(folder: Path, names: tuple[str, ...]) -> None:
    """Compare the files whose sha256 is known; the others pass.

    Reads each whole, once in a process for each state of the file. Raises EngineUnavailable
    (``checkpoint_damaged``) that names the file.
    """
    listed = _read_list(folder / SUMS_FILE)
    for name in names:
        path = folder / name
        known = listed.get(name) or _hub_sum(path)
        if known is not None and _sum_of(version_of(path)) != known:
            source = SUMS_FILE if name in listed else "the hub's cache"
            raise damaged(path, f"its sha256 is not the one in {source}")


def _read_list(path: Path) -> dict[str, str]:
    """The sums by the name of the file; none without a list."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, "it cannot be read") from error
    found = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line.strip())
        if match is None and line.strip():
            raise damaged(path, f"its line {number} is no sha256 and name")
        if match is not None:
            found[match[2].removeprefix("./")] = match[1].lower()
    return found


def _hub_sum(path: Path) -> str | None:
    """The sha256 by which the hub's cache names a large file; None for another file."""
    target = path.resolve()
    is_large = target.parent.name == "blobs" and _SHA256.fullmatch(target.name)
    return target.name if is_large else None


@lru_cache(maxsize=64)
def _sum_of(version: tuple[str, int, int]) -> str:
    path = Path(version[0])
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise damaged(path, f"it cannot be read: {error.strerror}") from error
