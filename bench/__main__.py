"""``make bench``: every benchmark that needs nothing but the stack. ``make up`` comes first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench import (
    analysis,
    assembly,
    cutting,
    gateway,
    listeners,
    live,
    live_before_batch,
    phrases,
    scaling,
    thousand_jobs,
    voice_cache,
    whole_job,
)
from bench.local_stack import Target, run_on_stack


def run_all(target: Target) -> None:
    """Run them one after another."""
    # A process of its own: it watches every file that is opened for writing.
    subprocess.run([sys.executable, str(Path(__file__).with_name("encode_mp3.py"))], check=False)
    cutting.run()
    assembly.run()
    voice_cache.run()
    analysis.run()
    whole_job.run(target)
    thousand_jobs.run(target)
    gateway.run(target)
    scaling.run(target)
    live.run(target)
    phrases.run(target)
    live_before_batch.run(target)
    listeners.run(target)


if __name__ == "__main__":
    sys.exit(run_on_stack(run_all))
