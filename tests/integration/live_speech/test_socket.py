"""Speech over a WebSocket: text as it is written, barge-in, devices, and bad manners."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mynah.contracts.states import JobState
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import (
    MAX_STREAMS_PER_USER,
    Stage,
    assert_same_sound,
)
from tests.integration.live_speech.device import Client, address, expected, start
from tests.parts import wait_for

FIRST, SECOND = "The fox ran over the hill.", "Then it drank from the river there."
LONG = "One slowly told tale of a fox. " * 6
MASK = b"\0\0\0\0"  # what a client's frames are masked with


def test_a_text_is_accepted_announced_heard_and_done(stage: Stage, client: Client) -> None:
    start(stage, client)
    client.say("text", text=FIRST)
    client.say("end")
    done = client.until("done")
    assert done["after"] == "end"
    (accepted,) = client.named("accepted")
    assert accepted["text"] == FIRST
    (form,) = client.named("audio_format")
    assert form.items() >= {"format": "pcm", "sample_rate": 16000, "frame_bytes": 1024}.items()
    assert client.order.index("accepted") < client.order.index("audio_format")
    assert client.order.index("audio_format") < client.order.index("audio")
    assert max(len(frame) for frame in client.audio) <= 1024
    assert_same_sound(client.sound, expected(stage, client))
    (segment,) = client.named("segment")
    assert segment["text"] == FIRST
    assert [word["text"] for word in segment["words"]][:2] == ["The", "fox"]
    assert 0 <= segment["words"][0]["start_s"] < segment["words"][-1]["end_s"]
    assert client.until_closed().rcvd is not None


def test_increments_are_spoken_sentence_by_sentence_and_in_order(
    stage: Stage, client: Client
) -> None:
    start(stage, client)
    text = f"{FIRST} {SECOND} {FIRST}"
    for place in range(0, len(text), 7):
        client.say("text", text=text[place : place + 7])
    client.say("flush")
    client.until("done")
    accepted = [event["text"].strip() for event in client.named("accepted")]
    assert accepted == [FIRST, SECOND, FIRST]
    assert [event["text"] for event in client.named("segment")] == accepted
    assert_same_sound(client.sound, expected(stage, client))
    before = len(client.sound)
    client.say("text", text=SECOND)
    client.say("end")
    client.until("done")
    assert len(client.sound) > before, "the connection can be used on"


def test_an_interruption_silences_at_once_and_drops_what_waits(
    stage: Stage, client: Client
) -> None:
    start(stage, client)
    for _ in range(3):
        client.say("text", text=LONG)
        client.say("flush")
    client.until("audio_format")
    asked_at = time.time()
    client.say("interrupt")
    client.until("interrupted", 5)
    assert time.time() - asked_at < 0.5  # bench/live.py measures it: well below 100 ms
    for event in client.named("accepted"):
        wait_for(lambda job=event["job_id"]: is_cancelled(stage, job), 3, "a job goes on")
    client.audio.clear()
    client.say("ping")
    client.until("pong")
    assert client.audio == [], "old sound followed"
    assert max(at for at, text in stage.notes() if text in LONG) - asked_at < 1
    client.say("text", text=FIRST)
    client.say("end")
    client.until("done")
    assert 0 < len(client.sound) / 32000 < 4, "old speech was heard again"


def test_leaving_cancels_what_is_spoken(stage: Stage, ann: Account) -> None:
    with connect(address(stage), additional_headers=ann.auth) as connection:
        client = Client(connection)
        client.until("ready")
        start(stage, client)
        client.say("text", text=LONG)
        client.say("flush")
        client.until("audio_format")
    (accepted,) = client.named("accepted")[:1]
    wait_for(lambda: is_cancelled(stage, accepted["job_id"]), 3, "the job goes on")
    wait_for(lambda: stage.listeners() == 0, 3, "the slot was not freed")


@pytest.mark.parametrize("way", ["query", "message"])
def test_credentials_come_in_the_query_or_the_first_message(
    stage: Stage, ann: Account, way: str
) -> None:
    query = f"?token={ann.token}" if way == "query" else ""
    with connect(address(stage, query)) as connection:
        client = Client(connection)
        if way == "message":
            client.say("authenticate", token=ann.key)
        client.until("ready")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x00" * 100, "not_authenticated"),
        (json.dumps({"type": "text", "text": "Hello."}), "not_authenticated"),
        (json.dumps({"type": "authenticate", "token": "nonsense"}), "invalid_token"),
        ("{", "invalid_json"),
    ],
)
def test_nothing_comes_before_credentials(stage: Stage, message: str | bytes, code: str) -> None:
    with connect(address(stage)) as connection:
        client = Client(connection)
        connection.send(message)
        closed = client.until_closed()
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008
    assert client.named("error")[0]["error_code"] == code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x00" * 100, "binary_not_taken"),
        ("{", "invalid_json"),
        ("[]", "unknown_message"),
        (json.dumps({"type": "dance"}), "not_started"),
        (json.dumps({"type": "text", "text": "Hello."}), "not_started"),
        (json.dumps({"type": "start"}), "invalid_request"),
        (json.dumps({"type": "start", "profile": "toaster"}), "invalid_request"),
    ],
)
def test_what_is_out_of_order_is_told_and_ends_the_connection(
    client: Client, message: str | bytes, code: str
) -> None:
    client.connection.send(message)
    closed = client.until_closed()
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (1008, code)
    assert client.named("error")[0]["error_code"] == code


def test_a_text_of_many_sentences_may_come_at_once(stage: Stage, client: Client) -> None:
    limit = stage.gateway.container.settings.max_sync_characters
    start(stage, client)
    client.say("text", text=f"{FIRST} " * (limit // len(FIRST) + 1))
    first, second = (client.until("accepted")["text"] for _ in range(2))
    assert len(first) + len(second) > limit >= len(first)
    client.say("interrupt")
    client.until("interrupted")


@pytest.mark.parametrize(
    ("increment", "code"),
    [("word " * 1000, "text_too_long"), ("A short sentence. " * 5, "too_much_waiting")],
)
def test_increments_without_end_are_cut_off_and_fill_no_memory(
    stage: Stage, client: Client, increment: str, code: str
) -> None:
    start(stage, client)
    client.say("ping")
    client.until("pong")
    before = stage.memory_mib()
    with pytest.raises(ConnectionClosed):
        for _ in range(2**30 // len(increment)):
            client.say("text", text=increment)
            with suppress(TimeoutError):
                while True:
                    client.take(0)
    client.until_closed()
    assert client.named("error")[0]["error_code"] == code
    assert stage.memory_mib() - before < 30


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x80\x80" + MASK, 1002),  # goes on with what was not begun
        (b"\x01\x81" + MASK + b"a" + b"\x81\x81" + MASK + b"a", 1002),  # begins within another
        (b"\x81\x01a", 1002),  # not masked
        (b"\xf1\x81" + MASK + b"a", 1002),  # bits that nobody agreed on
        (b"\x81\x81" + MASK + b"\xff", 1008),  # no UTF-8: told, then closed
    ],
)
def test_frames_out_of_order_end_the_connection(
    stage: Stage, ann: Account, frames: bytes, code: int
) -> None:
    with socket.create_connection(stage.address) as raw:
        shake_hands(raw, ann)
        raw.sendall(frames)
        assert close_code(raw) == code
    wait_for(lambda: stage.listeners() == 0, 3, "the slot was not freed")


def test_a_message_in_pieces_without_end_is_refused(stage: Stage, ann: Account) -> None:
    piece = b"\x00\xfe" + (32_000).to_bytes(2) + MASK + b"a" * 32_000
    with socket.create_connection(stage.address) as raw:
        shake_hands(raw, ann)
        raw.sendall(b"\x01\x81" + MASK + b"a" + piece * 3)
        assert close_code(raw) == 1009


def test_a_client_that_vanished_is_found_out_and_its_speech_stopped(
    stage: Stage, ann: Account
) -> None:
    with socket.create_connection(stage.address) as raw:
        shake_hands(raw, ann)
        start_said = {"type": "start", "voice_id": str(stage.voice_id), "profile": "esp32-pcm16"}
        send_text(raw, json.dumps(start_said))
        # Without a flush: the last sentence, a job of its own, would be spoken before long.
        send_text(raw, json.dumps({"type": "text", "text": f"The one who vanished. {LONG * 2}"}))
        # From here on it takes nothing and answers no ping, and nothing says that it is gone.
        wait_for(lambda: stage.figure("mynah_broken_sockets") == 1, 6, "nobody noticed")
        wait_for(lambda: stage.listeners() == 0, 1, "the slot was not freed")
        wait_for(lambda: stage.figure("mynah_broken_sockets") == 0, 5, "it is waited for")
    wait_for(lambda: time.time() - stage.notes()[-1][0] > 1, 5, "the engine goes on")
    assert is_cancelled(stage, stage.last_job(ann.id))


def test_a_message_that_is_too_large_is_refused(client: Client) -> None:
    client.connection.send("a" * 100_000)
    closed = client.until_closed()
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1009


def test_a_client_that_never_reads_is_cut_off(stage: Stage, ann: Account) -> None:
    with socket.create_connection(stage.address) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        shake_hands(raw, ann)
        frame = json.dumps({"type": "start", "voice_id": str(stage.voice_id), "profile": "browser"})
        send_text(raw, frame)
        send_text(raw, json.dumps({"type": "ping"}))
        for _ in range(20_000):
            try:
                send_text(raw, json.dumps({"type": "ping"}))
            except OSError:
                break
        wait_for(lambda: stage.listeners() == 0, 10, "the client was not cut off")


def test_a_slow_client_is_told_of_its_lower_bitrate(stage: Stage, ann: Account) -> None:
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(stage.address)
        options = {"sock": raw, "max_queue": 2, "close_timeout": 0.1}
        with connect(address(stage), additional_headers=ann.auth, **options) as connection:
            client = Client(connection)
            client.until("ready")
            start(stage, client, profile="browser")
            client.say("text", text=f"{FIRST} " * 12)
            client.say("flush")
            began = time.monotonic()
            while len(client.named("audio_format")) < 2:
                client.take(10)
                time.sleep(max(0.0, len(client.sound) / 5000 - (time.monotonic() - began)))
    first, second = (event["bitrate_kbps"] for event in client.named("audio_format"))
    assert first == 96
    assert second in (64, 48)
    wait_for(lambda: stage.listeners() == 0, 5, "the slot was not freed")


def test_a_silent_client_is_sent_away(client: Client) -> None:
    closed = client.until_closed(10)
    assert closed.rcvd is not None
    assert closed.rcvd.reason == "idle_timeout"


def test_sockets_are_counted_as_listeners(stage: Stage, ann: Account) -> None:
    with ExitStack() as opened:
        for _ in range(MAX_STREAMS_PER_USER):
            opened.enter_context(connect(address(stage), additional_headers=ann.auth))
        with (
            pytest.raises(InvalidStatus, match="429"),
            connect(address(stage), additional_headers=ann.auth),
        ):
            pass
    wait_for(lambda: stage.listeners() == 0, 5, "the slots were not freed")


def test_phrases_are_spoken_in_parallel(stage: Stage, client: Client) -> None:
    start(stage, client, profile="browser")
    for name in ("first", "second"):
        client.say("text", text=f"A slowly told {name} tale of foxes.")
        client.say("flush")
    client.until("done")
    client.until("done")
    notes = [(at, text) for at, text in stage.notes() if "told first" in text or "second" in text]
    begun = {name: min(at for at, text in notes if name in text) for name in ("first", "second")}
    ended = max(at for at, text in notes if "told first" in text)
    assert begun["second"] < ended
    texts = [event["text"] for event in client.named("segment")]
    assert ["first" in text for text in texts] == [True, False]


def is_cancelled(stage: Stage, job_id: str) -> bool:
    job = stage.job(job_id)
    return job is None or job.state == JobState.CANCELLED


def shake_hands(raw: socket.socket, account: Account) -> None:
    raw.sendall(
        (
            "GET /ws/tts HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {account.token}\r\n\r\n"
        ).encode()
    )
    assert raw.recv(12) == b"HTTP/1.1 101"


def send_text(raw: socket.socket, text: str) -> None:
    """A masked text frame (RFC 6455 5.2) whose mask is zero."""
    data = text.encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    raw.sendall(b"\x81" + length + MASK + data)


def close_code(raw: socket.socket) -> int:
    """The code in the close frame (RFC 6455 5.5.1) that the server ends with."""
    raw.settimeout(5)
    got = b""
    while data := raw.recv(65536):
        got += data
    at = got.rindex(b"\x88")
    return int.from_bytes(got[at + 2 : at + 4])
