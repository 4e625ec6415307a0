"""What the tests of listeners share: orders, events as they come, audio to compare."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from werkzeug.test import TestResponse

from mynah.audio.conversions import decode_blocks
from tests.integration.api.gateway import ADA
from tests.integration.voices.studio import Studio, json_of

#: Long enough for several pieces.
STORY = (
    "The fox ran over the hill and down to the river, where it drank. Then it slept in the grass. "
) * 8


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    name: str
    id: str
    data: dict[str, Any]


def ordered(studio: Studio, text: str = STORY, **body: Any) -> str:
    """A new job's id."""
    order = {"text": text, "voice_id": str(ADA), "seed": 1, **body}
    response = studio.post("/api/tts/generate", json=order)
    assert response.status_code == 202, response.get_data(as_text=True)
    return str(json_of(response)["job_id"])


def finish(studio: Studio) -> None:
    """Do all the work that waits and what follows from it."""
    while studio.ready_steps():
        studio.work()


@contextmanager
def listening(studio: Studio, job_id: str, what: str, **headers: str) -> Iterator[TestResponse]:
    """An answer that goes on; leaving the block is leaving as a listener does."""
    response = studio.client.get(
        f"/api/tts/job/{job_id}/{what}",
        headers={**studio.account.auth, **headers},
        buffered=False,
    )
    try:
        yield response
    finally:
        response.close()


def messages_of(response: TestResponse) -> Iterator[str]:
    """Events and comments, one by one."""
    waiting = ""
    for chunk in response.response:
        waiting += chunk.decode() if isinstance(chunk, bytes) else chunk
        while "\n\n" in waiting:
            message, _, waiting = waiting.partition("\n\n")
            yield message
    assert not waiting, "an event was cut off"


def events_of(response: TestResponse) -> Iterator[Event]:
    """Events without comments and settings."""
    for message in messages_of(response):
        fields = dict(line.split(": ", 1) for line in message.splitlines() if line[0] != ":")
        if "event" in fields:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"]))


def decode(data: bytes) -> npt.NDArray[np.float32]:
    """The samples of a file, shape ``(frames,)``."""
    return np.concatenate([block.to_mono().samples for block in decode_blocks(io.BytesIO(data))])


def from_pcm(data: bytes) -> npt.NDArray[np.float32]:
    """The samples of a stream of PCM."""
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def likeness(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """The correlation of two signals that begin at the same time."""
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length], other[:length])[0, 1])
