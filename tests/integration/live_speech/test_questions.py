"""Spoken questions over a WebSocket: heard, recognised, answered by the app, and spoken."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from mynah.audio.g711 import encode_g711
from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from tests.integration.api.gateway import Account
from tests.integration.live_speech.asking import (
    FRAME_BYTES,
    QUESTION,
    RATE,
    SILENCE,
    Recognizer,
    listen,
    question,
    send_sound,
)
from tests.integration.live_speech.conftest import ROOT, Stage, assert_same_sound, has_recognizer
from tests.integration.live_speech.device import Client, address, expected, start
from tests.integration.live_speech.responder import Responder
from tests.integration.live_speech.test_resume import Phone
from tests.integration.live_speech.test_socket import FIRST, LONG, SECOND, is_cancelled
from tests.parts import wait_for
from tests.unit.audio_proc.spoken import MAN, SENTENCES, sentence


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
