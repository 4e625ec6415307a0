"""Spoken questions over a WebSocket: heard, recognised, answered by the app, and spoken."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mynah.audio.g711 import encode_g711
from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import ROOT, Stage, assert_same_sound
from tests.integration.live_speech.device import Client, address, expected, start
from tests.integration.live_speech.known_words import NOTES, TOO_SLOW, WORDS
from tests.integration.live_speech.responder import CUT, Responder, open_responder
from tests.integration.live_speech.test_resume import Phone
from tests.integration.live_speech.test_socket import FIRST, LONG, SECOND, is_cancelled
from tests.parts import wait_for
from tests.unit.audio_proc.spoken import MAN, SENTENCES, sentence

RATE = 16_000
FRAME_BYTES = 640  # 20 ms
QUESTION = "What did the fox do?"
SILENCE = bytes(2 * RATE)  # a second


@pytest.fixture
def client(stage: Stage, ann: Account) -> Iterator[Client]:
    with connect(address(stage), additional_headers=ann.auth) as connection:
        opened = Client(connection)
        opened.until("ready")
        yield opened
    wait_for(lambda: stage.listeners() == 0, 5, "the slot was not freed")


@dataclass
class Recognizer:
    """The worker that recognises, and what it will hear."""

    folder: Path

    def will_hear(self, words: str) -> None:
        (self.folder / WORDS).write_text(words)

    def heard_s(self) -> list[float]:
        return [float(line) for line in (self.folder / NOTES).read_text().splitlines()]


@pytest.fixture
def recognizer(stage: Stage) -> Recognizer:
    folder = stage.folder / "recognizer-weights"
    folder.mkdir(exist_ok=True)
    (folder / NOTES).write_text("")
    found = Recognizer(folder)
    found.will_hear(QUESTION)
    if "recognizer" not in stage.processes:
        stage.start_worker(
            *("recognizer", "services.audio_proc.app", "recognize"),
            MYNAH_RECOGNIZER_DIR=str(folder),
        )
        wait_for(lambda: has_recognizer(stage), 10, "the recogniser was not announced")
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Responder]:
    with open_responder() as responder:
        yield responder


@pytest.fixture
def responder(server: Responder) -> Responder:
    server.begin_anew()
    return server


@pytest.fixture
def secret(stage: Stage, ann: Account, responder: Responder) -> str:
    """The account's responder is the server; its secret."""
    body = {"url": responder.url, "events": ["question.asked"]}
    with stage.client(ann) as api:
        answer = api.post("/api/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


def has_recognizer(stage: Stage) -> bool:
    reports = stage.gateway.container.presence.reports().values()
    return any(report.recognizer is not None for report in reports)


def question(text: str = SENTENCES[2]) -> bytes:
    return Waveform(sentence(text, MAN, RATE), RATE).to_pcm16()


def send_sound(client: Client, sound: bytes, frame_bytes: int = FRAME_BYTES) -> None:
    for place in range(0, len(sound), frame_bytes):
        client.connection.send(sound[place : place + frame_bytes])


def listen(client: Client, **body: object) -> None:
    client.say("listen", **body)
    client.until("listening")


@pytest.mark.usefixtures("recognizer")
def test_a_question_is_heard_answered_and_the_answer_spoken(
    stage: Stage, client: Client, responder: Responder, secret: str, recognizer: Recognizer
) -> None:
    start(stage, client)
    listen(client, reference="toy 7")
    responder.answer(FIRST, " ", SECOND)
    send_sound(client, SILENCE + question() + SILENCE)
    done = client.until("done")
    assert done["after"] == "answer"
    events = [event["type"] for event in client.events]
    told = ["audio_receiving", "speech_started", "speech_ended", "transcript", "accepted"]
    assert [event for event in events if event in told][:5] == told
    (transcript,) = client.named("transcript")
    assert transcript == {"type": "transcript", "question": 1, "text": QUESTION}
    assert [event["text"].strip() for event in client.named("segment")] == [FIRST, SECOND]
    assert_same_sound(client.sound, expected(stage, client))
    (length_s,) = recognizer.heard_s()
    assert 0 < length_s - len(question()) / 2 / RATE < 1.3, "more or less than the question"
    (asked,) = responder.questions
    assert (asked["text"], asked["reference"]) == (QUESTION, "toy 7")
    assert asked["voice_id"] == str(stage.voice_id)
    headers, body = responder.asked[0]
    timestamp = headers["Mynah-Signature"].partition(",")[0].removeprefix("t=")
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    assert headers["Mynah-Signature"] == f"t={timestamp},v1={signed.hexdigest()}"
    assert headers["Mynah-Event"] == "question.asked"


@pytest.mark.usefixtures("recognizer", "secret")
def test_an_answer_is_spoken_while_the_responder_is_still_writing(
    stage: Stage, client: Client, responder: Responder
) -> None:
    start(stage, client)
    listen(client)
    send_sound(client, question() + SILENCE)
    responder.parts.put(f"{FIRST} Then it".encode())
    client.until("segment")
    assert client.sound, "the first sentence waits for the second"
    responder.answer(" drank from the river there.")
    client.until("done")
    assert [event["text"].strip() for event in client.named("accepted")] == [FIRST, SECOND]


def test_without_a_recognizer_that_is_said_at_once_and_texts_are_spoken(
    stage: Stage, client: Client
) -> None:
    if "recognizer" in stage.processes:
        stage.processes.pop("recognizer").stop()
        wait_for(lambda: not has_recognizer(stage), 20, "the recogniser is still announced")
    start(stage, client)
    client.say("listen")
    refused = client.until("error", 2)
    assert (refused["refused"], refused["error_code"]) == ("listen", "recognizer_unavailable")
    send_sound(client, question())
    client.say("audio_end")
    client.say("text", text=FIRST)
    client.say("end")
    client.until("done")
    assert_same_sound(client.sound, expected(stage, client))


@pytest.mark.usefixtures("recognizer")
def test_without_a_responder_listening_is_refused_and_texts_are_spoken(
    stage: Stage, client: Client
) -> None:
    start(stage, client)
    for body, code in (
        ({}, "no_responder"),
        ({"responder_id": str(stage.voice_id)}, "responder_not_found"),
    ):
        client.say("listen", **body)
        assert client.until("error", 2).items() >= {"refused": "listen", "error_code": code}.items()
    client.say("text", text=FIRST)
    client.say("end")
    assert client.until("done")["after"] == "end"


@pytest.mark.usefixtures("recognizer", "secret")
def test_silence_is_no_question(stage: Stage, client: Client, responder: Responder) -> None:
    start(stage, client)
    listen(client)
    send_sound(client, SILENCE)
    client.say("audio_end")
    assert client.until("no_speech")["question"] == 1
    send_sound(client, SILENCE * 9)
    assert client.until("no_speech")["question"] == 2, "eight seconds of silence"
    assert client.named("speech_started") == []
    assert responder.asked == []


@pytest.mark.usefixtures("secret")
def test_a_recognizer_that_hears_nothing_makes_no_question(
    stage: Stage, client: Client, responder: Responder, recognizer: Recognizer
) -> None:
    recognizer.will_hear("")
    start(stage, client)
    listen(client)
    send_sound(client, question() + SILENCE)
    client.until("no_speech")
    assert client.named("speech_ended")
    assert responder.asked == []


@pytest.mark.usefixtures("recognizer", "secret")
def test_who_begins_to_speak_interrupts_the_toy(
    stage: Stage, client: Client, responder: Responder
) -> None:
    start(stage, client)
    listen(client, barge_in=True)
    responder.answer(LONG)
    send_sound(client, question() + SILENCE)
    client.until("audio_format")
    send_sound(client, question(SENTENCES[1]))
    client.until("interrupted", 5)
    for event in client.named("accepted"):
        wait_for(lambda job=event["job_id"]: is_cancelled(stage, job), 3, "a job goes on")
    client.audio.clear()
    client.events.clear()
    responder.answer(FIRST)
    send_sound(client, SILENCE)
    client.until("done")
    assert [event["text"] for event in client.named("accepted")] == [FIRST]
    assert 0 < len(client.sound) / 2 / RATE < 4, "old speech was heard again"


@pytest.mark.usefixtures("recognizer", "secret")
def test_the_toy_does_not_hear_itself(stage: Stage, client: Client, responder: Responder) -> None:
    start(stage, client)
    listen(client)
    responder.answer("One slowly told tale of foxes.")
    send_sound(client, question() + SILENCE)
    client.until("audio_format")
    send_sound(client, question() + SILENCE)
    client.say("audio_end")
    client.until("done")
    assert client.named("no_speech") == []
    assert len(client.named("audio_receiving")) == 1
    assert len(responder.asked) == 1


@pytest.mark.usefixtures("recognizer", "secret")
def test_an_interruption_drops_the_answer_that_is_being_written(
    stage: Stage, client: Client, responder: Responder
) -> None:
    start(stage, client)
    listen(client)
    send_sound(client, question() + SILENCE)
    responder.parts.put(f"{FIRST} Then".encode())
    client.until("accepted")
    client.say("interrupt")
    client.until("interrupted", 2)
    responder.answer(" something", " else.")
    client.say("text", text=SECOND)
    client.say("end")
    assert client.until("done")["after"] == "end"
    assert [event["text"].strip() for event in client.named("accepted")] == [FIRST, SECOND]


@pytest.mark.usefixtures("recognizer", "secret")
def test_a_device_that_stops_sending_has_asked(
    stage: Stage, client: Client, responder: Responder
) -> None:
    start(stage, client)
    listen(client)
    responder.answer(FIRST)
    send_sound(client, question())
    assert client.until("speech_ended", 5)["reason"] == "no_sound"
    assert client.until("done")["after"] == "answer"


@pytest.mark.usefixtures("recognizer", "secret")
def test_the_end_waits_for_the_answer(stage: Stage, client: Client, responder: Responder) -> None:
    start(stage, client)
    listen(client)
    send_sound(client, question())
    client.say("end")
    client.until("transcript")
    responder.answer(FIRST)
    assert [client.until("done")["after"] for _ in range(2)] == ["answer", "end"]
    assert client.named("speech_ended")[0]["reason"] == "client"
    assert_same_sound(client.sound, expected(stage, client))


@pytest.mark.usefixtures("secret")
def test_a_telephone_is_heard_and_an_endless_speech_is_cut(
    stage: Stage, client: Client, responder: Responder, recognizer: Recognizer
) -> None:
    """µ-law at 8 kHz; six seconds are the most of a question here."""
    start(stage, client)
    listen(client, format="ulaw")
    said = np.concatenate([sentence(text, MAN, RATE) for text in SENTENCES])
    narrow = resample(Waveform(said, RATE), 8000).to_int16()
    responder.answer(FIRST)
    send_sound(client, encode_g711(narrow[: 8000 * 9], "ulaw"), 160)
    assert client.until("speech_ended")["reason"] == "too_long"
    client.until("done")
    assert recognizer.heard_s() == [pytest.approx(6, abs=0.1)]


@pytest.mark.usefixtures("recognizer", "secret")
@pytest.mark.parametrize(
    ("status", "content_type", "parts", "code"),
    [
        (500, "text/plain", [], "responder_status_refused"),
        (302, "text/plain", [], "responder_redirect_refused"),
        (200, "text/html", [], "responder_answer_not_text"),
        (200, "text/plain", None, "responder_timeout"),
        (200, "text/plain", [FIRST, " Then", CUT], "responder_connection_failed"),
        (200, "text/plain", ["word " * 500], "text_too_long"),
    ],
)
def test_a_responder_that_fails_costs_its_question_only(
    stage: Stage, client: Client, responder: Responder, status: int, content_type: str,
    parts: list[str | bytes] | None, code: str,
) -> None:  # fmt: skip
    responder.status, responder.content_type = status, content_type
    for part in parts or ():
        responder.parts.put(part.encode() if isinstance(part, str) else part)
    if parts == []:
        responder.answer()
    start(stage, client)
    listen(client)
    send_sound(client, question() + SILENCE)
    failed = client.until("error", 5)
    assert (failed["question"], failed["error_code"]) == (1, code)
    assert client.until("done")["after"] == "answer"
    client.say("text", text=SECOND)
    client.say("end")
    assert client.until("done")["after"] == "end"
    assert_same_sound(client.sound, expected(stage, client))


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize(
    ("language", "words", "code"),
    [("de", QUESTION, "language_not_recognized"), (None, TOO_SLOW, "recognizer_timeout")],
)
def test_what_is_not_recognized_costs_its_question_only(
    stage: Stage, client: Client, recognizer: Recognizer, language: str | None, words: str,
    code: str,
) -> None:  # fmt: skip
    recognizer.will_hear(words)
    start(stage, client)
    listen(client, **({"language": language} if language else {}))
    send_sound(client, question() + SILENCE)
    failed = client.until("error", 8)
    assert (failed["question"], failed["error_code"]) == (1, code)
    client.say("end")
    assert client.until("done")["after"] == "end"


@pytest.mark.usefixtures("recognizer", "secret")
def test_the_reference_client_asks_what_a_file_says(
    stage: Stage, ann: Account, responder: Responder, tmp_path: Path
) -> None:
    recording, output = tmp_path / "question.wav", tmp_path / "answer.pcm"
    with wave.open(str(recording), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(question())
    responder.answer(FIRST)
    url = address(stage).removesuffix("/ws/tts")
    asked = subprocess.run(
        [
            *(sys.executable, "scripts/speak_live.py", "--url", url, "--output", str(output)),
            *("--voice-id", str(stage.voice_id), "--profile", "esp32-pcm16"),
            *("--question", str(recording)),
        ],
        env={**stage.environment, "MYNAH_API_KEY": ann.key},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    events = [json.loads(line) for line in asked.stdout.splitlines()]
    (job_id,) = (event["job_id"] for event in events if event["type"] == "accepted")
    assert_same_sound(output.read_bytes(), stage.expected(job_id))


@pytest.mark.usefixtures("recognizer", "secret")
def test_leaving_lets_the_responder_go(stage: Stage, ann: Account, responder: Responder) -> None:
    with connect(address(stage), additional_headers=ann.auth) as connection:
        client = Client(connection)
        client.until("ready")
        start(stage, client)
        listen(client)
        send_sound(client, question() + SILENCE)
        responder.parts.put(f"{FIRST} Then".encode())
        client.until("accepted")
    wait_for(lambda: stage.listeners() == 0, 5, "the slot was not freed")

    def is_left() -> bool:
        responder.parts.put(b" more")
        return responder.was_left.is_set()

    wait_for(is_left, 5, "the responder is still asked")


@pytest.mark.usefixtures("recognizer", "secret")
@pytest.mark.parametrize(
    ("sound", "code"),
    [([bytes(641)], "invalid_sound"), ([bytes(64_000)] * 8, "sound_too_fast")],
)
def test_sound_that_cannot_be_taken_ends_the_connection(
    stage: Stage, client: Client, sound: list[bytes], code: str
) -> None:
    start(stage, client)
    listen(client)
    for message in sound:
        client.connection.send(message)
    closed = client.until_closed()
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (1008, code)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "opus"}, "format"),
        ({"format": "ulaw", "sample_rate": 16_000}, "sample_rate"),
        ({"pause_ms": 5}, "pause_ms"),
        ({"responder_url": "http://169.254.169.254/"}, "responder_url"),
    ],
)
def test_a_listen_that_is_not_valid_says_what_is_wrong(
    stage: Stage, client: Client, body: dict[str, object], field: str
) -> None:
    start(stage, client)
    client.say("listen", **body)
    client.until_closed()
    (error,) = client.named("error")
    assert error["error_code"] == "invalid_request"
    assert field in error["errors"]


@pytest.mark.usefixtures("recognizer", "secret")
def test_sound_in_which_nobody_speaks_is_silence(stage: Stage, client: Client) -> None:
    start(stage, client)
    listen(client)
    begun_at = time.monotonic()
    with pytest.raises(ConnectionClosed):
        while time.monotonic() - begun_at < 10:
            client.connection.send(bytes(FRAME_BYTES))
            time.sleep(0.02)
    assert client.until_closed().rcvd.reason == "idle_timeout"


@pytest.mark.usefixtures("recognizer", "secret")
def test_a_question_goes_on_over_a_new_connection(
    stage: Stage, ann: Account, responder: Responder, recognizer: Recognizer
) -> None:
    phone = Phone(address(stage), ann)
    start(stage, phone.client)
    listen(phone.client)
    sound = question() + SILENCE
    frames = [sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES)]
    for frame in frames[:40]:
        phone.client.connection.send(frame)
    phone.client.until("speech_started")
    time.sleep(1)
    phone.break_off()
    time.sleep(1.2)  # longer in all than a device with a connection may keep silent
    resumed = phone.come_back()
    responder.answer(FIRST)
    for frame in frames[resumed["received_messages"] - 1 :]:  # the first message was listen
        phone.client.connection.send(frame)
    assert phone.client.until("speech_ended")["reason"] == "pause"
    phone.client.until("done")
    (length_s,) = recognizer.heard_s()
    assert 0 < length_s - len(question()) / 2 / RATE < 1.3, "more or less than the question"
    phone.close()
    wait_for(lambda: stage.listeners() == 0, 5, "the slot was not freed")
