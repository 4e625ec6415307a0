"""Three phrases over a WebSocket: written all at once, against one after another.

    python -m bench.phrases

The engine is simulated: it takes 3 s for a phrase of 3 s, as a model does that just keeps up. One
after another means that the next phrase is sent when all of the one before has come. The workers
are three, each speaks one piece at a time.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median
from uuid import UUID

from websockets.sync.client import ClientConnection, connect

from bench.local_stack import Target, run_on_stack
from bench.private_stack import PrivateStack
from bench.report import print_row, print_title
from bench.simulated_engine import SLOW_INFO

PHRASES = 3
PHRASE_S = 3.0
REPEATS = 3
TARGET = 2.5
WORDS = "The lamplighter went from house to house, late again. "


def run(target: Target) -> None:
    """Measure both and print."""
    print_title(f"{PHRASES} phrases of an engine that takes {PHRASE_S:g} s for each, on /ws/tts")
    with PrivateStack(target) as stack:
        voice_id = stack.add_voice(SLOW_INFO.id, "hum")
        url = stack.start_gateway()
        stack.start_speakers(SLOW_INFO.id, PHRASES, voice_id)
        token = stack.token(stack.add_user())
        one_by_one = median(_sequential_s(url, token, voice_id) for _ in range(REPEATS))
        together = median(_parallel_s(url, token, voice_id) for _ in range(REPEATS))
    print_row("one after another, until the last sound", f"{one_by_one:.2f} s")
    print_row("in parallel, until the last sound", f"{together:.2f} s")
    print_row("ratio", f"{one_by_one / together:.2f}", f">= {TARGET:g}")


def _phrase() -> str:
    """A sentence that takes the engine so long, with something behind it that says it is over."""
    characters = round(PHRASE_S * SLOW_INFO.characters_per_second)
    return (WORDS * 2)[: characters - 1].rstrip(" .,") + "."


def _open(url: str, token: str, voice_id: UUID) -> ClientConnection:
    address = f"{url.replace('http', 'ws', 1)}/ws/tts?token={token}"
    connection = connect(address)
    _say(connection, type="start", voice_id=str(voice_id), profile="browser")
    return connection


def _parallel_s(url: str, token: str, voice_id: UUID) -> float:
    with _open(url, token, voice_id) as connection:
        started = time.perf_counter()
        for _ in range(PHRASES):
            _say(connection, type="text", text=_phrase())
            _say(connection, type="flush")
        for _ in range(PHRASES):
            _wait_done(connection)
        return time.perf_counter() - started


def _sequential_s(url: str, token: str, voice_id: UUID) -> float:
    with _open(url, token, voice_id) as connection:
        started = time.perf_counter()
        for _ in range(PHRASES):
            _say(connection, type="text", text=_phrase())
            _say(connection, type="flush")
            _wait_done(connection)
        return time.perf_counter() - started


def _say(connection: ClientConnection, **message: str) -> None:
    connection.send(json.dumps(message))


def _wait_done(connection: ClientConnection) -> None:
    for message in connection:
        if isinstance(message, str):
            event = json.loads(message)
            if event["type"] == "error":
                raise RuntimeError(message)
            if event["type"] == "done":
                return


if __name__ == "__main__":
    sys.exit(run_on_stack(run))
