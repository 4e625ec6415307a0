"""The reference client of /ws/tts: standard input is spoken as it is written.

    echo "Good night. Sleep well." | python scripts/speak_live.py --voice-id … --output night.mp3
    python scripts/speak_live.py --question why.wav --voice-id … --output answer.mp3

With --question a recording (WAV, 16 bits, mono) is asked instead, as a device would: what the
account's responder answers is spoken. The key comes in MYNAH_API_KEY; --url names the gateway.
What the server tells is printed, the sound goes to a file. A broken connection is made again, and
the conversation goes on where it was. The protocol is described in ``docs/streaming.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
import wave
from pathlib import Path
from typing import Any, BinaryIO

from websockets.exceptions import ConnectionClosed, ConnectionClosedError, WebSocketException
from websockets.sync.client import ClientConnection, connect

RETRY_S = 0.5


class Talk:
    """One conversation, over as many connections as it takes."""

    def __init__(self, start: dict[str, Any], output: BinaryIO) -> None:
        self._start = start
        self._output = output
        self._lock = threading.Lock()
        self._connection: ClientConnection | None = None
        self._said: list[str | bytes] = []
        self._session: str | None = None
        self._resume_s = 0.0
        self._bytes = self._events = 0

    def run(self, url: str, headers: dict[str, str]) -> int:
        """Talk to the end; the exit status. Raises OSError when the server cannot be reached."""
        lost_at = time.monotonic()
        while True:
            try:
                with connect(url, additional_headers=headers) as connection:
                    return self._listen(connection)
            except (ConnectionClosedError, OSError):
                if self._connection is not None:
                    self._connection, lost_at = None, time.monotonic()
                if time.monotonic() - lost_at > self._resume_s:
                    raise
                time.sleep(RETRY_S)

    def say(self, **message: Any) -> None:
        """Send a message; while there is no connection, as soon as there is one."""
        self.send(json.dumps(message))

    def send(self, message: str | bytes) -> None:
        """Send a message or sound, likewise."""
        with self._lock:
            self._said.append(message)
            self._send(self._said[-1:])

    def _listen(self, connection: ClientConnection) -> int:
        """Write the sound, print the rest; the exit status."""
        for message in connection:
            if isinstance(message, bytes):
                self._output.write(message)
                self._bytes += len(message)
                continue
            event = json.loads(message)
            print(message)
            if event["type"] == "ready":
                self._begin(connection, event)
            elif event["type"] == "resumed":
                self._attach(connection, event["received_messages"])
            else:
                self._events += 1
            if event["type"] == "error":
                return 1
            if event["type"] == "done" and event["after"] == "end":
                return 0
        return 1

    def _begin(self, connection: ClientConnection, ready: dict[str, Any]) -> None:
        """Start, or go on behind what came over the connections before."""
        if self._session is None:
            self._session, self._resume_s = ready["session"], ready["resume_s"]
            connection.send(json.dumps({"type": "start", **self._start}))
            self._attach(connection, 0)
            return
        received = {"received_bytes": self._bytes, "received_events": self._events}
        connection.send(json.dumps({"type": "resume", "session": self._session, **received}))

    def _attach(self, connection: ClientConnection, taken: int) -> None:
        """Use a connection from now on; the server has taken so many messages."""
        with self._lock:
            self._connection = connection
            self._send(self._said[taken:])

    def _send(self, messages: list[str | bytes]) -> None:
        try:
            for message in messages:
                if self._connection is not None:
                    self._connection.send(message)
        except ConnectionClosed:
            pass  # it is said again over the next one


def main() -> int:
    """Speak what standard input says. The exit status is 0 unless the server refused."""
    arguments = _parser().parse_args()
    headers = {"X-API-Key": os.environ.get("MYNAH_API_KEY", "")}
    with arguments.output.open("wb") as output:
        talk = Talk({"voice_id": arguments.voice_id, "profile": arguments.profile}, output)
        if arguments.question is None:
            threading.Thread(target=read_input, args=(talk,), daemon=True).start()
        else:
            ask(talk, arguments.question)
        url = re.sub("^http", "ws", arguments.url)
        try:
            return talk.run(f"{url}/ws/tts", headers)
        except (OSError, WebSocketException) as error:
            raise SystemExit(f"{url}: {error}") from error


def read_input(talk: Talk) -> None:
    """Say each line as it comes, then the end."""
    for line in sys.stdin:
        talk.say(type="text", text=line)
    talk.say(type="end")


def ask(talk: Talk, path: Path) -> None:
    """Send a recording as a question, at once, then the end: the answer comes before it."""
    with wave.open(str(path)) as recording:
        if (recording.getnchannels(), recording.getsampwidth()) != (1, 2):
            raise SystemExit(f"{path} is not mono with 16 bits.")
        rate = recording.getframerate()
        talk.say(type="listen", sample_rate=rate)
        while frames := recording.readframes(rate // 50):
            talk.send(frames)
    talk.say(type="audio_end")
    talk.say(type="end")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--voice-id", required=True)
    parser.add_argument("--profile", default="browser")
    parser.add_argument("--question", type=Path, help="a WAV file that is asked")
    parser.add_argument("--output", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
