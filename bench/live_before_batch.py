"""Time to the first sound of live speech with fifty long stories in the queue, against idle.

    python -m bench.live_before_batch

eSpeak NG on pools as the local stack has them: one worker that helps with stories while nobody
listens, and one for each other core that only speaks stories. The stories are of other users.
"""

from __future__ import annotations

import os
import sys
import time

import httpx
import numpy as np

from bench.live import first_sound_s
from bench.local_stack import Target, find_target
from bench.private_stack import PrivateStack
from bench.report import percentiles_ms, print_machine, print_row, print_title
from bench.scaling import story_of
from deploy.local.errors import LocalStackError
from deploy.local.parts import BATCH_NICENESS, LIVE_NICENESS

STORIES = 50
STORY_MINUTES = 15.0
REQUESTS = 60
WARM_UPS = 8
TARGET = 1.5
LIVE, BATCH = "tts.espeak.live", "tts.espeak.batch"
APP = "services.worker_tts.app"


def run(target: Target) -> None:
    """Measure both and print."""
    print_title(f"First sound of live speech behind {STORIES} stories of {STORY_MINUTES:g} minutes")
    with PrivateStack(target) as stack:
        voice_id = stack.add_voice("espeak", "en-us+f3")
        url = stack.start_gateway()
        stack.start("live", APP, "worker", "-Q", f"{LIVE},{BATCH}", "-c", "1",
                    niceness=LIVE_NICENESS)  # fmt: skip
        batch_workers = max(1, (os.cpu_count() or 1) - 1)
        stack.start("batch", APP, "worker", "-Q", BATCH, "-c", str(batch_workers),
                    niceness=BATCH_NICENESS)  # fmt: skip
        listener = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {stack.token(stack.add_user())}"}
        )
        with listener:
            for _ in range(WARM_UPS):
                first_sound_s(listener, str(voice_id))
            idle = [first_sound_s(listener, str(voice_id)) for _ in range(REQUESTS)]
            for _ in range(STORIES):
                stack.speak(stack.add_user(), voice_id, story_of(STORY_MINUTES))
            time.sleep(2.0)
            busy = [first_sound_s(listener, str(voice_id)) for _ in range(REQUESTS)]
    print_row("idle: p50 / p95", percentiles_ms(idle))
    print_row("behind the stories: p50 / p95", percentiles_ms(busy))
    ratio = np.percentile(busy, 95) / np.percentile(idle, 95)
    print_row("ratio of the p95", f"{ratio:.2f}", f"<= {TARGET:g}")


def main() -> int:
    """Run it on the servers of the stack that runs."""
    print_machine()
    try:
        run(find_target())
    except LocalStackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
