"""Time to the first sound of live speech with fifty long stories in the queue, against idle.

    python -m bench.live_before_batch

On pools as the local stack has them: one worker for those who listen, and one a core that speaks
stories of other users and stands back for all others. First with the simulated engine, whose time
is the same however busy the machine is; then with eSpeak NG, whose stories take all of every core
beside the live speech, as they do on a small machine. What the stories lose is measured too: their
pieces a second with nobody listening, and while one request for live speech follows the other.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import httpx
import numpy as np
from sqlalchemy import func, select

from bench.live import first_sound_s
from bench.local_stack import Target, run_on_stack
from bench.private_stack import PrivateStack
from bench.report import percentiles_ms, print_row, print_title
from bench.scaling import story_of
from bench.simulated_engine import INFO
from deploy.local.parts import BATCH_NICENESS, LIVE_NICENESS
from mynah.contracts.states import Lane, StepState
from mynah.contracts.tasks import SYNTHESIZE
from mynah.db.models import Step

STORIES = 50
STORY_MINUTES = 15.0
REQUESTS = 60
WARM_UPS = 8
ALONE_S = 8.0
TARGET = 1.5
APP = "services.worker_tts.app"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Figures:
    """Seconds to first sounds without stories and with them; the stories' pieces a second without
    live requests and with them."""

    idle_s: list[float]
    busy_s: list[float]
    alone_pieces: float
    beside_pieces: float


def run(target: Target) -> None:
    """Measure both engines and print."""
    print_title(f"First sound of live speech behind {STORIES} stories of {STORY_MINUTES:g} minutes")
    for engine, engine_voice in ((INFO.id, "hum"), ("espeak", "en-us+f3")):
        with PrivateStack(target) as stack:
            figures = _measure(stack, engine, stack.add_voice(engine, engine_voice))
        print_row(f"{engine}, idle: p50 / p95", percentiles_ms(figures.idle_s))
        print_row(f"{engine}, behind the stories: p50 / p95", percentiles_ms(figures.busy_s))
        ratio = np.percentile(figures.busy_s, 95) / np.percentile(figures.idle_s, 95)
        print_row(f"{engine}, ratio of the p95", f"{ratio:.2f}", f"<= {TARGET:g}")
        rates = f"{figures.alone_pieces:.1f} / {figures.beside_pieces:.1f}"
        print_row(f"{engine}, the stories' pieces a second: alone / beside live speech", rates)


def _measure(stack: PrivateStack, engine: str, voice_id: UUID) -> Figures:
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
        idle_s = first_sounds_s(REQUESTS)
        for _ in range(STORIES):
            stack.speak(stack.add_user(), voice_id, story_of(STORY_MINUTES))
        time.sleep(2.0)
        _, alone = _pieces_meanwhile(stack, batch, lambda: time.sleep(ALONE_S))
        busy_s, beside = _pieces_meanwhile(stack, batch, lambda: first_sounds_s(REQUESTS))
        return Figures(idle_s, busy_s, alone, beside)


def _pieces_meanwhile(
    stack: PrivateStack, queue: str, work: Callable[[], Result]
) -> tuple[Result, float]:
    """What ``work`` returns, and how many steps of a queue are done in a second of it."""
    query = select(func.count()).where(Step.queue == queue, Step.state == StepState.DONE)

    def count() -> int:
        with stack.new_uow() as uow:
            return uow.session.scalar(query) or 0

    before, started = count(), time.monotonic()
    result = work()
    return result, (count() - before) / (time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(run_on_stack(run))
