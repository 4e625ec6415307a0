"""Time to the first sound of live speech with fifty long stories in the queue, against idle.

    python -m bench.live_before_batch

On pools as the local stack has them: one worker for those who listen, and one a core that speaks
stories of other users and stands back for all others. First with the simulated engine, whose time
is the same however busy the machine is; then with eSpeak NG, whose stories take all of every core
beside the live speech, as they do on a small machine.
"""

from __future__ import annotations

import os
import sys
import time
from uuid import UUID

import httpx
import numpy as np

from bench.live import first_sound_s
from bench.local_stack import Target, run_on_stack
from bench.private_stack import PrivateStack
from bench.report import percentiles_ms, print_row, print_title
from bench.scaling import story_of
from bench.simulated_engine import INFO
from deploy.local.parts import BATCH_NICENESS, LIVE_NICENESS
from mynah.contracts.states import Lane
from mynah.contracts.tasks import SYNTHESIZE

STORIES = 50
STORY_MINUTES = 15.0
REQUESTS = 60
WARM_UPS = 8
TARGET = 1.5
APP = "services.worker_tts.app"


def run(target: Target) -> None:
    """Measure both engines and print."""
    print_title(f"First sound of live speech behind {STORIES} stories of {STORY_MINUTES:g} minutes")
    for engine, engine_voice, wanted in (
        (INFO.id, "hum", f"<= {TARGET:g}"),
        ("espeak", "en-us+f3", ""),
    ):
        with PrivateStack(target) as stack:
            idle, busy = _measure(stack, engine, stack.add_voice(engine, engine_voice))
        print_row(f"{engine}, idle: p50 / p95", percentiles_ms(idle))
        print_row(f"{engine}, behind the stories: p50 / p95", percentiles_ms(busy))
        ratio = np.percentile(busy, 95) / np.percentile(idle, 95)
        print_row(f"{engine}, ratio of the p95", f"{ratio:.2f}", wanted)


def _measure(stack: PrivateStack, engine: str, voice_id: UUID) -> tuple[list[float], list[float]]:
    """Seconds to first sounds, without stories and with them."""
    url = stack.start_gateway()
    live, batch = (SYNTHESIZE.queue_for(engine, lane) for lane in (Lane.LIVE, Lane.BATCH))
    stack.start("live", APP, "worker", "-Q", live, "-c", "1", niceness=LIVE_NICENESS)
    workers = str(os.cpu_count() or 1)
    stack.start("batch", APP, "worker", "-Q", batch, "-c", workers, niceness=BATCH_NICENESS)
    token = stack.token(stack.add_user())
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as listener:

        def first_sounds_s(count: int) -> list[float]:
            return [first_sound_s(listener, str(voice_id)) for _ in range(count)]

        first_sounds_s(WARM_UPS)
        idle = first_sounds_s(REQUESTS)
        for _ in range(STORIES):
            stack.speak(stack.add_user(), voice_id, story_of(STORY_MINUTES))
        time.sleep(2.0)
        return idle, first_sounds_s(REQUESTS)


if __name__ == "__main__":
    sys.exit(run_on_stack(run))
