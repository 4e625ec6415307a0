"""Each service starts without what it must never import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FORBIDDEN = {
    "services.api.wsgi": (
        *("torch", "pyworld", "espeakng_loader"),
        *("av", "lameenc", "mutagen", "scipy", "soundfile", "soxr"),  # after its start
        "onnxruntime",  # with the first who wants to be heard
    ),
    "services.audio_proc.app": ("torch", "flask", "marshmallow", "pyworld", "espeakng_loader"),
    "services.audio_proc.maintenance": ("torch", "flask", "scipy", "av", "numpy", "minio"),
    "services.audio_proc.beat": ("torch", "flask", "sqlalchemy", "scipy", "av", "numpy", "minio"),
    "services.worker_tts.app": ("flask", "marshmallow", "av", "lameenc"),
}

_START = """
import importlib.abc
import sys


class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2:]:
            raise ImportError(f"{name} must not be imported here")


sys.meta_path.insert(0, Blocker())
__import__(sys.argv[1])
"""


@pytest.mark.parametrize("service", FORBIDDEN)
def test_a_service_starts_with_the_forbidden_modules_blocked(service: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _START, service, *FORBIDDEN[service]],
        cwd=ROOT,
        env={**os.environ, "MYNAH_JWT_SECRET": "x" * 40},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
