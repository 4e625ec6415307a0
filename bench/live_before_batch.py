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
TEXT = "The moon is up, good night. Sleep well until the morning comes."
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
        body = {"text": TEXT, "voice_id": str(voice_id), "output_format": "pcm"}
        with listener:
            _first_sounds_s(listener, body, WARM_UPS)
            idle = _first_sounds_s(listener, body, REQUESTS)
            for _ in range(STORIES):
                stack.speak(stack.add_user(), voice_id, story_of(STORY_MINUTES))
            time.sleep(2.0)
            busy = _first_sounds_s(listener, body, REQUESTS)
    print_row("idle: p50 / p95", percentiles_ms(idle))
    print_row("behind the stories: p50 / p95", percentiles_ms(busy))
    ratio = np.percentile(busy, 95) / np.percentile(idle, 95)
    print_row("ratio of the p95", f"{ratio:.2f}", f"<= {TARGET:g}")


def _first_sounds_s(listener: httpx.Client, body: dict[str, str], count: int) -> list[float]:
    """Seconds from the request to the first byte of sound, so many times in turn."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        with listener.stream("POST", "/api/tts/stream", json=body) as answer:
            answer.raise_for_status()
            chunks = answer.iter_raw()
            next(chunks)
            times.append(time.perf_counter() - started)
            for _ in chunks:
                pass
        time.sleep(0.05)  # the last piece is put away
    return times


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
