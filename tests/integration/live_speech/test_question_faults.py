"""Questions that cannot be heard, recognised or answered, and devices that misbehave."""

from __future__ import annotations

import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.integration.api.gateway import Account
from tests.integration.live_speech.asking import (
    FRAME_BYTES,
    QUESTION,
    SILENCE,
    Recognizer,
    listen,
    question,
    send_sound,
)
from tests.integration.live_speech.conftest import Stage, assert_same_sound
from tests.integration.live_speech.device import Client, address, expected, start
from tests.integration.live_speech.known_words import TOO_SLOW
from tests.integration.live_speech.responder import CUT, Responder
from tests.integration.live_speech.test_socket import FIRST, SECOND
from tests.parts import wait_for


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
