"""Live speech: time to the first sound and to silence, and a block's way to its listener.

    python -m bench.live

Against the stack that runs, with its own engine and one listener at a time.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from uuid import uuid4

import httpx
import numpy as np
from websockets.sync.client import connect

from bench.local_stack import Target, run_on_stack
from bench.report import percentiles_ms, print_row, print_title
from mynah.audio.live_joining import LiveJoiner
from mynah.engines.base import SynthesisSettings
from mynah.engines.registry import load_engine
from mynah.messaging.live import START, LiveBlock, LiveReader, LiveWriter
from mynah.settings import Settings

TEXT = "The moon is up, good night. Sleep well until the morning comes."
REQUESTS = 60
BLOCKS = 500
BLOCK_S = 0.01  # between two blocks
BLOCK_FRAMES = 1200


def run(target: Target) -> None:
    """Measure and print."""
    print_title("Live speech, idle, one listener at a time")
    engine = _engine_s()
    through = [_through_s(target) for _ in range(REQUESTS)]
    print_row("the engine alone: p50 / p95", percentiles_ms(engine))
    print_row("POST /api/tts/stream to the first byte: p50 / p95", percentiles_ms(through))
    own = np.array(through) - np.median(engine)
    print_row("less the engine: p50 / p95", percentiles_ms(list(own)), "<= 12 / 30 ms")
    interrupted = [_interrupted_s(target, number) for number in range(REQUESTS)]
    print_row(
        "interrupt to interrupted, in mid-speech: p50 / p95",
        percentiles_ms(interrupted),
        "<= 100 ms",
    )
    hops = _hops_s(Settings(redis_url=target.environment.redis().url()))
    print_row(
        "worker to listener, a block: p99", f"{np.percentile(hops, 99) * 1000:.2f} ms", "<= 3"
    )


def first_sound_s(client: httpx.Client, voice_id: str) -> float:
    """Seconds from a request for live speech to its first byte of sound."""
    body = json.dumps({"text": TEXT, "voice_id": voice_id, "output_format": "pcm"})
    headers = {**client.headers, "Content-Type": "application/json"}
    # Not by httpx, which takes a millisecond of its own.
    with closing(HTTPConnection(client.base_url.host, client.base_url.port)) as connection:
        connection.request("GET", "/health")  # the connection is there
        connection.getresponse().read()
        started = time.perf_counter()
        connection.request("POST", "/api/tts/stream", body, headers)
        answer = connection.getresponse()
        answer.read1()
        took = time.perf_counter() - started
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{answer.status} instead of speech")
        answer.read()
    time.sleep(0.05)  # the last piece is put away
    return took


def _through_s(target: Target) -> float:
    with target.client() as client:
        return first_sound_s(client, target.voice_id)


def _interrupted_s(target: Target, number: int) -> float:
    """From ``interrupt`` until the server says that no old sound follows; then none may."""
    url = f"ws{target.environment.api_url.removeprefix('http')}/ws/tts"
    start = {"type": "start", "voice_id": target.voice_id, "profile": "esp32-pcm16"}
    with connect(url, additional_headers={"X-API-Key": target.key}) as socket:
        for message in (start, {"type": "text", "text": f"{TEXT} " * 4}, {"type": "flush"}):
            socket.send(json.dumps(message))
        while not isinstance(socket.recv(), bytes):
            pass
        time.sleep(0.02 * (number % 10))  # anywhere between two frames
        asked = time.perf_counter()
        socket.send('{"type": "interrupt"}')
        while '"interrupted"' not in str(socket.recv()):
            pass
        took = time.perf_counter() - asked
        socket.send('{"type": "ping"}')
        if isinstance(socket.recv(), bytes):
            raise RuntimeError("sound followed the interruption")
    return took


def _engine_s() -> list[float]:
    """The engine's own time until there is something to hear."""
    engine = load_engine("espeak")
    profile = engine.builtin_profile("en-us+f3", "en-us")
    times = []
    for _ in range(REQUESTS):
        joiner = LiveJoiner(-18.0, engine.info.sample_rate)
        started = time.perf_counter()
        for block in engine.synthesize(TEXT, profile, SynthesisSettings()):
            if joiner.add(block.waveform).frames:
                break
        times.append(time.perf_counter() - started)
    return times


def _hops_s(settings: Settings) -> list[float]:
    """From writing a block to having it read, at the pace of an engine."""
    writer, reader = LiveWriter(settings), LiveReader(settings)
    job_id, step_id = uuid4(), uuid4()
    written: list[float] = []
    pcm = bytes(2 * BLOCK_FRAMES)

    def write() -> None:
        for number in range(BLOCKS):
            time.sleep(BLOCK_S)
            written.append(time.perf_counter())
            writer.write(job_id, step_id, LiveBlock(1, number * BLOCK_FRAMES, pcm))

    thread = threading.Thread(target=write)
    thread.start()
    hops: list[float] = []
    after = START
    while len(hops) < BLOCKS:
        for block in reader.read(step_id, after, 1.0):
            hops.append(time.perf_counter() - written[len(hops)])
            after = block.id
    thread.join()
    reader.leave(job_id, [step_id])
    writer.close()
    reader.close()
    return hops


if __name__ == "__main__":
    sys.exit(run_on_stack(run))
