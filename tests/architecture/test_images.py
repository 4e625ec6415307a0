"""Dockerfiles and compose.yaml are valid and fit the contracts. No engine is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mynah.contracts.tasks import all_queues
from mynah.engines.chatterbox.rows import MODEL_IDS

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
DOCKERFILES = sorted(ROOT.glob("services/*/Dockerfile"))


def run_tool(*arguments: str | Path) -> None:
    result = subprocess.run([*arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return document


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_a_dockerfile_passes_hadolint(dockerfile: Path) -> None:
    run_tool(TOOLS / "hadolint", dockerfile)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_is_multi_stage_unprivileged_and_checks_its_health(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert len(re.findall(r"^FROM ", text, re.M)) >= 2
    users = re.findall(r"^USER (\S+)", text, re.M)
    assert users
    assert users[-1] not in ("root", "0")
    assert re.search(r"^HEALTHCHECK ", text, re.M)


def test_every_service_has_an_image() -> None:
    assert {path.parent.name for path in DOCKERFILES} == {"api", "worker_tts", "audio_proc"}


def test_the_speech_workers_run_on_a_cuda_runtime() -> None:
    assert "FROM nvidia/cuda" in (ROOT / "services/worker_tts/Dockerfile").read_text()


def test_compose_fits_its_schema() -> None:
    run_tool(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_compose_serves_every_queue_of_the_contracts(compose: dict[str, Any]) -> None:
    served: set[str] = set()
    for service in compose["services"].values():
        served.update(str((service.get("environment") or {}).get("QUEUES", "")).split(","))
    assert served - {""} == set(all_queues(("espeak", *MODEL_IDS)))


def test_compose_has_the_parts_of_the_platform(compose: dict[str, Any]) -> None:
    assert {
        "postgres", "redis", "minio", "gateway", "tts-live", "tts-batch", "audio", "beat", "flower",
    } <= set(compose["services"])  # fmt: skip


def test_compose_lets_stories_stand_back_for_all_others(compose: dict[str, Any]) -> None:
    shares = {name: part.get("cpu_shares", 1024) for name, part in compose["services"].items()}
    assert shares.pop("tts-batch") < min(shares.values()) / 4


def test_compose_checks_the_health_of_its_servers(compose: dict[str, Any]) -> None:
    for name in ("postgres", "redis", "minio", "gateway", "beat", "flower"):
        assert compose["services"][name]["healthcheck"], name


def test_a_worker_that_shows_its_metrics_shows_those_of_all_its_processes(
    compose: dict[str, Any],
) -> None:
    showing = [
        service
        for service in compose["services"].values()
        if "MYNAH_METRICS_PORT" in (service.get("environment") or {})
    ]
    assert showing
    for service in showing:
        folder = service["environment"]["PROMETHEUS_MULTIPROC_DIR"]
        assert any(mount.startswith(f"{folder}:") for mount in service["tmpfs"])


def test_compose_holds_no_secret(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|AUTH|ACCESS_KEY", name):
                assert str(value).startswith("${"), name
                assert ":?" in str(value), name


def test_redis_keeps_its_data_and_volumes_are_named(compose: dict[str, Any]) -> None:
    assert "--appendonly yes" in str(compose["services"]["redis"]["command"])
    assert set(compose["volumes"]) == {"postgres", "redis", "minio"}
