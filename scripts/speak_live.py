"""The reference client of /ws/tts: standard input is spoken as it is written.

    echo "Good night. Sleep well." | python scripts/speak_live.py --voice-id … --output night.mp3

The key comes in MYNAH_API_KEY; --url names the gateway. What the server tells is printed, the
sound goes to a file. The protocol is described in ``docs/streaming.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from websockets.sync.client import ClientConnection, connect


def main() -> int:
    """Speak what standard input says. The exit status is 0 unless the server refused."""
    arguments = _parser().parse_args()
    headers = {"X-API-Key": os.environ.get("MYNAH_API_KEY", "")}
    with (
        connect(f"{arguments.url}/ws/tts", additional_headers=headers) as connection,
        arguments.output.open("wb") as output,
    ):
        connection.send(
            json.dumps(
                {"type": "start", "voice_id": arguments.voice_id, "profile": arguments.profile}
            )
        )
        writer = threading.Thread(target=send_text, args=(connection,), daemon=True)
        writer.start()
        return receive(connection, output)


def send_text(connection: ClientConnection) -> None:
    """Send each line as it comes, then the end."""
    for line in sys.stdin:
        connection.send(json.dumps({"type": "text", "text": line}))
    connection.send(json.dumps({"type": "end"}))


def receive(connection: ClientConnection, output: BinaryIO) -> int:
    """Write the sound, print the rest; the exit status."""
    for message in connection:
        if isinstance(message, bytes):
            output.write(message)
            continue
        event = json.loads(message)
        print(message)
        if event["type"] == "error":
            return 1
        if event["type"] == "done" and event["after"] == "end":
            return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="ws://127.0.0.1:8000")
    parser.add_argument("--voice-id", required=True)
    parser.add_argument("--profile", default="browser")
    parser.add_argument("--output", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
