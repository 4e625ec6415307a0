"""A long story on 1 to 16 workers, and a short job in front of ten long stories.

    python -m bench.scaling [--minutes 15]

The engine is simulated (``bench/simulated_engine.py``). Efficiency is the time of one worker
over n times the time of n workers, from the order to the finished MP3, assembly included. The
counterpart of both figures is the same stack in the same run: one worker, and the short job alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from uuid import UUID

from bench.local_stack import Target, run_on_stack
from bench.private_stack import PrivateStack, took_s
from bench.report import print_row, print_title
from bench.simulated_engine import COMPUTE_PER_AUDIO, INFO
from mynah.jobs.transitions import cancel_job

WORKERS = (1, 2, 4, 8, 16)
TARGETS = {8: 0.9, 16: 0.85}
LONG_STORIES = 10
PARAGRAPH = (
    "The lamplighter went from house to house, and behind every window somebody told a story about "
    "the sea. It was late. Nobody had seen the old ship since the spring, when the ice broke and "
    "the gulls came back. He counted the lights: one in the harbour, two on the hill, and a small "
    "one, hardly more than a spark, far out where the water ended. What could it be? He put down "
    "his ladder and listened. The wind had turned to the south; it smelled of salt, of tar and of "
    "oranges, as it does when somebody comes home."
)
SHORT = PARAGRAPH


def run(target: Target, minutes: float = 15.0) -> None:
    """Measure both and print."""
    with PrivateStack(target) as stack:
        voice_id = stack.add_voice(INFO.id, "hum")
        _measure_efficiency(stack, voice_id, minutes)
        _measure_fairness(stack, voice_id)
        espeak = stack.add_voice("espeak", "en-us+f3")
        _measure_espeak(stack, espeak, minutes)


def story_of(minutes: float) -> str:
    """A text that the simulated engine speaks for so long."""
    characters = minutes * 60 * INFO.characters_per_second
    return "\n\n".join([PARAGRAPH] * max(1, round(characters / len(PARAGRAPH))))


def _measure_efficiency(stack: PrivateStack, voice_id: UUID, minutes: float) -> None:
    print_title(f"A story of {minutes:g} minutes, engine simulated at {1 / COMPUTE_PER_AUDIO:g} x")
    text = story_of(minutes)
    alone_s = 0.0
    for count in WORKERS:
        stack.start_speakers(INFO.id, count, voice_id)
        job = stack.wait_completed(stack.speak(stack.add_user(), voice_id, text), 1200)
        stack.stop("speakers")
        took = took_s(job)
        alone_s = alone_s or took
        efficiency = alone_s / (count * took)
        wanted = f">= {TARGETS[count]:g}" if count in TARGETS else ""
        details = f"{took:.1f} s, {efficiency:.3f}"
        print_row(f"{count} workers: time, efficiency", details, wanted)
        if count == WORKERS[-1]:
            result = job.result or {}
            print_row("  of which assembly", f"{result.get('assembly_s', 0):.2f} s")
            print_row("  pieces", f"{result.get('pieces', 0)}")


def _measure_fairness(stack: PrivateStack, voice_id: UUID) -> None:
    print_title(f"A short job of another user while {LONG_STORIES} long stories are spoken")
    stack.start_speakers(INFO.id, 2, voice_id)
    alone = took_s(stack.wait_completed(stack.speak(stack.add_user(), voice_id, SHORT), 60))
    stories = [stack.speak(stack.add_user(), voice_id, story_of(5.0)) for _ in range(LONG_STORIES)]
    time.sleep(8.0)  # until every story is being spoken
    busy = took_s(stack.wait_completed(stack.speak(stack.add_user(), voice_id, SHORT), 120))
    stack.stop("speakers")
    piece_s = INFO.max_piece_characters / INFO.characters_per_second * COMPUTE_PER_AUDIO
    print_row("alone", f"{alone:.2f} s")
    print_row("in front of the stories", f"{busy:.2f} s", f"<= {2 * alone + piece_s:.2f} s")
    print_row("  that is 2 x alone and one piece of", f"{piece_s:.2f} s")
    for job_id in stories:
        _cancel(stack, job_id)


def _cancel(stack: PrivateStack, job_id: UUID) -> None:
    with stack.new_uow() as uow:
        job = uow.jobs.locked(job_id)
        if job is not None:
            cancel_job(uow, job)
        uow.commit()


def _measure_espeak(stack: PrivateStack, voice_id: UUID, minutes: float) -> None:
    print_title(f"A story of about {minutes:g} minutes on eSpeak NG, one worker")
    stack.start_speakers("espeak", 1, voice_id)
    job = stack.wait_completed(stack.speak(stack.add_user(), voice_id, story_of(minutes)), 600)
    stack.stop("speakers")
    factor = took_s(job) / float(job.actual_duration_s or 1.0)
    print_row("audio", f"{job.actual_duration_s:.0f} s")
    print_row("real-time factor of the whole job", f"{factor:.4f}")


def main() -> int:
    """Run it on the stack that runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    minutes = parser.parse_args().minutes
    return run_on_stack(lambda target: run(target, minutes))


if __name__ == "__main__":
    sys.exit(main())
