"""POST /api/tts/generate: latency of 20 clients at a steady pace, and the most it takes.

The workers speak what is ordered meanwhile, on the same cores, as on any small machine. One
request a second and client is what two cores can speak; twice that is more than they can.
"""

from __future__ import annotations

import threading
import time

from bench.local_stack import Target
from bench.report import percentiles_ms, print_row, print_title

CLIENTS = 20
STEADY_PER_S = (20.0, 40.0)  # all clients together
SECONDS = 8.0
IDLE_TIMEOUT_S = 60.0


def run(target: Target) -> None:
    """Measure both and print; the jobs are left to the workers."""
    print_title("Gateway: POST /api/tts/generate, 20 clients")
    for rate in STEADY_PER_S:
        steady = _load(target, pause_s=CLIENTS / rate)
        label = f"steady, {len(steady) / SECONDS:.0f} requests/s: p50 / p95"
        print_row(label, percentiles_ms(steady), "p95 <= 25 ms")
        _wait_until_idle(target)
    flat_out = _load(target, pause_s=0.0)
    print_row("flat out (no pause): p50 / p95", percentiles_ms(flat_out))
    print_row("flat out: requests/s", f"{len(flat_out) / SECONDS:.0f}")


def _wait_until_idle(target: Target) -> None:
    """Until the workers have spoken what was ordered."""
    with target.client() as client:
        deadline = time.monotonic() + IDLE_TIMEOUT_S
        while time.monotonic() < deadline:
            waiting = [
                client.get("/api/tts/jobs", params={"status": state, "limit": 1}).json()["items"]
                for state in ("pending", "processing")
            ]
            if not any(waiting):
                return
            time.sleep(0.2)


def _load(target: Target, pause_s: float) -> list[float]:
    times: list[float] = []
    threads = [
        threading.Thread(target=_one_client, args=(target, pause_s, index, times))
        for index in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _one_client(target: Target, pause_s: float, index: int, times: list[float]) -> None:
    body = {"text": "Good night.", "voice_id": target.voice_id}
    with target.client() as client:
        client.get("/health")
        time.sleep(pause_s * index / CLIENTS)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            started = time.perf_counter()
            client.post("/api/tts/generate", json=body).raise_for_status()
            took = time.perf_counter() - started
            times.append(took)
            time.sleep(max(0.0, pause_s - took))
