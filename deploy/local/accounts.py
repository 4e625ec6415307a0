"""Whose account a server runs under: Postgres refuses root, and root's home is closed to others."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

#: Where the files of an unprivileged account go when it cannot reach the stack's own folder.
SYSTEM_FOLDER = Path("/var/lib/mynah-local")


@dataclass(frozen=True)
class Account:
    """A user of the system."""

    user_id: int
    group_id: int


def unprivileged_account() -> Account | None:
    """Return the account to drop to, or None when this process has no rights to drop."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise RuntimeError("running as root, and there is neither a user 'postgres' nor 'nobody'")


def is_reachable_by_others(path: Path) -> bool:
    """Tell whether any account may pass through all folders down to ``path``."""
    folders = [path, *path.parents] if path.is_dir() else list(path.parents)
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def choose_folder(home: Path, name: str, account: Account | None) -> Path:
    """Return the folder ``name`` for an account: inside ``home`` if the account can get there.

    Where a parent of ``home`` is closed to it, a folder under :data:`SYSTEM_FOLDER` that
    belongs to this ``home`` is used.
    """
    if account is None or is_reachable_by_others(home.resolve().parent):
        return home / name
    return system_folder(home) / name


def system_folder(home: Path) -> Path:
    """Return the folder outside ``home`` that belongs to it."""
    return SYSTEM_FOLDER / hashlib.sha256(bytes(home.resolve())).hexdigest()[:12]


def make_private_folder(path: Path, account: Account | None) -> None:
    """Create a folder that only ``account`` (or the caller) may enter.

    For another account the parent is opened for passing through, not for listing.
    """
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir(mode=0o711)
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        path.parent.chmod(stat.S_IMODE(path.parent.stat().st_mode) | stat.S_IXOTH)
        os.chown(path, account.user_id, account.group_id)
