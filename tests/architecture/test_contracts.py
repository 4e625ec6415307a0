"""The tasks that are registered are those of the contracts, and their queues are served."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mynah.contracts.tasks import LIVE_CONTRACTS, PERIODIC_CONTRACTS, STEP_CONTRACTS, all_queues

ROOT = Path(__file__).resolve().parents[2]
_LIST = "import importlib,sys; print(*importlib.import_module(sys.argv[1]).app.tasks)"


def registered_tasks(module: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", _LIST, module],
        cwd=ROOT,
        env={**os.environ, "MYNAH_JWT_SECRET": "x" * 40},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in result.stdout.split() if not name.startswith("celery.")}


def test_every_contract_has_exactly_one_worker_that_implements_it() -> None:
    speech = registered_tasks("services.worker_tts.app")
    audio = registered_tasks("services.audio_proc.app")
    maintenance = registered_tasks("services.audio_proc.maintenance")
    everything = (*STEP_CONTRACTS, *LIVE_CONTRACTS, *PERIODIC_CONTRACTS)
    contracts = sorted(contract.name for contract in everything)
    assert sorted([*speech, *audio, *maintenance]) == contracts
    assert maintenance == {contract.name for contract in PERIODIC_CONTRACTS}


def test_the_queues_are_those_of_the_design() -> None:
    assert set(all_queues(("espeak",))) == {
        "tts.espeak.live",
        "tts.espeak.batch",
        "audio",
        "recognize",
        "maintenance",
    }
