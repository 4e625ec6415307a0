"""A device that asks, and what a test needs for it to be heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mynah.audio.waveform import Waveform
from tests.integration.live_speech.device import Client
from tests.integration.live_speech.known_words import NOTES, WORDS
from tests.unit.audio_proc.spoken import MAN, SENTENCES, sentence

RATE = 16_000
FRAME_BYTES = 640  # 20 ms
QUESTION = "What did the fox do?"
SILENCE = bytes(2 * RATE)  # a second


@dataclass
class Recognizer:
    """The worker that recognises, and what it will hear."""

    folder: Path

    def will_hear(self, words: str) -> None:
        (self.folder / WORDS).write_text(words)

    def heard_s(self) -> list[float]:
        return [float(line) for line in (self.folder / NOTES).read_text().splitlines()]


def question(text: str = SENTENCES[2]) -> bytes:
    return Waveform(sentence(text, MAN, RATE), RATE).to_pcm16()


def send_sound(client: Client, sound: bytes, frame_bytes: int = FRAME_BYTES) -> None:
    for place in range(0, len(sound), frame_bytes):
        client.connection.send(sound[place : place + frame_bytes])


def listen(client: Client, **body: object) -> None:
    client.say("listen", **body)
    client.until("listening")
