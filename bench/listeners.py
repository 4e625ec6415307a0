"""How many listeners of live speech one machine serves in real time, its workers elsewhere.

    python -m bench.listeners [--kind http] [--counts 300 400] [--pace 1.1] [--block-ms 200]

A gateway with the default settings and servers on this machine; the workers are played by
``bench/stand_in_workers.py`` and the listeners by ``bench/listening_clients.py``, on the same
cores: what both take is printed, and how late the former were. They come first where two want a
core, as on machines of their own (by a negative niceness, which only root may give). All of
``--counts`` are tried in turn, each for 60 s with all of its listeners there, until one has an
underrun.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from bench.listening_clients import BUFFER_S, KBPS, Heard
from bench.local_stack import Target, run_on_stack
from bench.private_stack import PrivateStack
from bench.report import print_row, print_title
from bench.simulated_engine import INFO

COUNTS = (300,)
TARGET = 300
HOLD_S = 60.0
PER_S = 5.0
FEWEST_PIECES = 7  # of a listener's text, which a WebSocket may get as two jobs
PACE = 1.1
BLOCK_MS = 200.0
#: The niceness of what is played here and is on other machines in truth.
ELSEWHERE = -10 if os.geteuid() == 0 else 0
KINDS = {"http": "POST /api/tts/stream", "socket": "/ws/tts"}


@dataclass(frozen=True)
class Trial:
    """One crowd: how many, and how they are spoken to."""

    kind: str
    count: int
    pace: float = PACE
    block_ms: float = BLOCK_MS
    hold_s: float = HOLD_S

    @property
    def piece_s(self) -> float:
        """How long a piece is, so that each listener's speech lasts until all have listened."""
        return (self.count / PER_S + self.hold_s + 15) * self.pace / FEWEST_PIECES


def run(target: Target) -> None:
    """Measure both ways of listening and print."""
    for kind in KINDS:
        measure(target, [Trial(kind, count) for count in COUNTS])


def measure(target: Target, trials: list[Trial]) -> None:
    """Try crowds in turn until one has an underrun."""
    kind, most = trials[0].kind, 0
    print_title(
        f"Listeners of {KINDS[kind]}, MP3 {KBPS} kbit/s, engines at {trials[0].pace:g} x in "
        f"blocks of {trials[0].block_ms:g} ms, buffers of {BUFFER_S * 1000:g} ms"
    )
    for trial in trials:
        with PrivateStack(target) as stack:
            heard = _try(stack, trial)
        if heard.underruns or heard.failed:
            break
        most = trial.count
    print_row(f"the most of {[trial.count for trial in trials]} without underrun", f"{most}",
              f">= {TARGET}")  # fmt: skip


def _try(stack: PrivateStack, trial: Trial) -> Heard:
    url = stack.start_gateway()
    user_id = stack.add_user()
    variables = {
        "BENCH_TOKEN": stack.token(user_id),
        "BENCH_VOICE": str(stack.add_voice(INFO.id, "hum")),
    }
    lateness = stack.start_process(
        *("stand-in", "bench.stand_in_workers", "--pace", str(trial.pace)),
        *("--block-ms", str(trial.block_ms), "--piece-s", str(trial.piece_s)),
        niceness=ELSEWHERE,
    )
    _warm_up(stack, url, trial.kind, variables)
    before_mib = _memory_mib(stack)
    log = _start_listeners(stack, url, "listeners", trial, variables)
    _wait_for(log, "all hear", 180)
    begun = _cpu_s(stack)
    time.sleep(trial.hold_s / 2)
    with_mib, shares = _memory_mib(stack), _shares(stack, url)
    _wait_for(log, "all leave", trial.hold_s + 60)
    spent = {name: took - begun.get(name, 0.0) for name, took in _cpu_s(stack).items()}
    _wait_for(log, "{", 30)
    heard = Heard(**json.loads(log.read_text().strip().splitlines()[-1]))
    stack.stop("listeners")
    _print(trial, heard, (with_mib - before_mib) / trial.count, spent)
    late_ms = (lateness.read_text().split() or ["0"])[-1]
    print_row("  the latest block of the stand-in for workers", f"{late_ms} ms")
    print_row("  listeners of each process", ", ".join(map(str, shares)))
    print_row("  the gateway's memory without and with", f"{before_mib:.0f}, {with_mib:.0f} MiB")
    return heard


def _warm_up(stack: PrivateStack, url: str, kind: str, variables: dict[str, str]) -> None:
    """What a gateway process loads with its first listener is not a listener's."""
    log = _start_listeners(stack, url, "warm-up", Trial(kind, 8, hold_s=1.0), variables)
    _wait_for(log, "{", 60)
    stack.stop("warm-up")
    time.sleep(2.0)


def _start_listeners(
    stack: PrivateStack, url: str, name: str, trial: Trial, variables: dict[str, str]
) -> Path:
    return stack.start_process(
        *(name, "bench.listening_clients", url, "--kind", trial.kind),
        *("--count", str(trial.count), "--per-s", str(PER_S), "--hold-s", str(trial.hold_s)),
        niceness=ELSEWHERE,
        **variables,
    )


def _print(trial: Trial, heard: Heard, mib_each: float, spent: dict[str, float]) -> None:
    label = f"{trial.count} listeners for {trial.hold_s:g} s: failed, underruns"
    print_row(label, f"{heard.failed}, {heard.underruns}", "0, 0")
    print_row("  the nearest to one", f"{heard.worst_margin_ms:.0f} ms")
    before = f"{heard.underruns_before}, {heard.worst_margin_before_ms:.0f} ms"
    print_row(f"  underruns while {PER_S:g} more came each second, nearest", before)
    first = f"{heard.p50_first_ms:.0f} / {heard.p95_first_ms:.0f} ms"
    print_row("  their first sound: p50 / p95", first)
    print_row("  seconds of speech each second", f"{heard.audio_per_s:.0f}")
    print_row("  memory of the gateway for each", f"{mib_each:.2f} MiB")
    for name, cpu_s in spent.items():
        print_row(f"  cores: {name}", f"{cpu_s / trial.hold_s:.2f}")


def _cpu_s(stack: PrivateStack) -> dict[str, float]:
    """Seconds of processor time so far, of each part."""
    parts = {
        "the gateway": stack.processes_of("gateway"),
        "the servers": stack.servers(),
        "the stand-in for workers": stack.processes_of("stand-in"),
        "the listeners": stack.processes_of("listeners"),
    }
    return {
        # With what processes took that have ended: Redis writes its log anew in one of its own.
        name: sum(sum(one.cpu_times()[:4]) for one in processes)
        for name, processes in parts.items()
    }


def _memory_mib(stack: PrivateStack) -> float:
    """Resident memory of the gateway's processes."""
    return sum(one.memory_info().rss for one in stack.processes_of("gateway")) / 2**20


def _shares(stack: PrivateStack, url: str) -> list[int]:
    """How many connections each process of the gateway has."""
    port = urlsplit(url).port
    taken = [
        sum(
            one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
            for one in process.net_connections("tcp")
        )
        for process in stack.processes_of("gateway")
    ]
    return sorted(taken, reverse=True)[:-1]  # the first process takes none


def _wait_for(log: Path, sign: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not any(line.startswith(sign) for line in log.read_text().splitlines()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no '{sign}' in: {log.read_text()[-2000:]}")
        time.sleep(0.1)


def main() -> int:
    """Run it on the servers of the stack that runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), default="http")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--pace", type=float, default=PACE)
    parser.add_argument("--block-ms", type=float, default=BLOCK_MS)
    parser.add_argument("--hold-s", type=float, default=HOLD_S)
    given = parser.parse_args()
    trials = [
        Trial(given.kind, count, given.pace, given.block_ms, given.hold_s) for count in given.counts
    ]
    return run_on_stack(lambda target: measure(target, trials))


if __name__ == "__main__":
    sys.exit(main())
