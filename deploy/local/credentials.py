"""The stack's secrets: generated on its first start, kept in one file that only its owner reads."""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

_HEADER = "# Made on the first start of the local stack. Keep it: the data is locked with these.\n"


def _generate() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Credentials:
    """Every secret of the stack. The field's name in upper case is its name in the file."""

    postgres_password: str = field(default_factory=_generate, repr=False)
    redis_password: str = field(default_factory=_generate, repr=False)
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    flower_user: str = "mynah"
    flower_password: str = field(default_factory=_generate, repr=False)
    demo_email: str = "demo@example.com"
    demo_password: str = field(default_factory=_generate, repr=False)
    #: Made by the gateway, once it runs.
    demo_api_key: str = field(default="", repr=False)


def load_or_create(path: Path) -> Credentials:
    """Read the secrets; what the file lacks is generated and added to it."""
    known = _read(path)
    credentials = Credentials(**known)
    if len(known) < len(fields(Credentials)):
        save(path, credentials)
    return credentials


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    names = {entry.name for entry in fields(Credentials)}
    pairs = (line.partition("=") for line in path.read_text().splitlines())
    return {key.lower(): value for key, _, value in pairs if key.lower() in names}


def save(path: Path, credentials: Credentials) -> None:
    """Replace the file in one step; it is never readable by others, not even for a moment."""
    lines = [f"{key.upper()}={value}\n" for key, value in asdict(credentials).items()]
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(_HEADER + "".join(lines))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
