"""A device on a WebSocket, as a test plays it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

if TYPE_CHECKING:
    from tests.integration.live_speech.conftest import Stage


@dataclass
class Client:
    """A device in a test."""

    connection: ClientConnection
    audio: list[bytes] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def say(self, kind: str, **values: Any) -> None:
        self.connection.send(json.dumps({"type": kind, **values}))

    def until(self, kind: str, timeout_s: float = 20) -> dict[str, Any]:
        """Take what comes up to an event of a type."""
        deadline = time.monotonic() + timeout_s
        while True:
            event = self.take(deadline - time.monotonic())
            if event is not None and event["type"] == kind:
                return event

    def take(self, timeout_s: float) -> dict[str, Any] | None:
        """Take a message; the event if it is one."""
        message = self.connection.recv(timeout=timeout_s)
        if isinstance(message, bytes):
            self.audio.append(message)
            self.order.append("audio")
            return None
        event: dict[str, Any] = json.loads(message)
        self.events.append(event)
        self.order.append(event["type"])
        return event

    def until_closed(self, timeout_s: float = 20) -> ConnectionClosed:
        try:
            self.until("nothing", timeout_s)
        except ConnectionClosed as closed:
            return closed
        raise AssertionError

    def named(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def sound(self) -> bytes:
        return b"".join(self.audio)


def address(stage: Stage, query: str = "") -> str:
    return f"ws{stage.url.removeprefix('http')}/ws/tts{query}"


def start(stage: Stage, client: Client, profile: str = "esp32-pcm16", **body: Any) -> None:
    client.say("start", voice_id=str(stage.voice_id), profile=profile, **body)


def expected(stage: Stage, client: Client) -> bytes:
    """The sound of all accepted texts, one after another through one joiner."""
    return stage.expected(*[event["job_id"] for event in client.named("accepted")])
