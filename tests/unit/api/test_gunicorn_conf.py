"""What gunicorn is told to do for this gateway."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest


def test_a_gateway_that_ends_leaves_no_listeners_in_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYNAH_JWT_SECRET", "a secret for this test, long enough")
    settings = import_module("services.api.gunicorn_conf")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for name in ("gauge_livesum_4242.db", "counter_4242.db"):
        (tmp_path / name).touch()
    settings.on_exit(SimpleNamespace(WORKERS={4242: None}))
    assert [path.name for path in tmp_path.iterdir()] == ["counter_4242.db"]
