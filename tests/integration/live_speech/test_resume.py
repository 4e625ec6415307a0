"""A broken connection goes on at the byte, in whichever process the client comes back to."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from deploy.local.ports import HOST, find_spare_port
from mynah.contracts.states import JobState
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import ROOT, Stage, assert_same_sound
from tests.integration.live_speech.device import Client, address, expected, start
from tests.parts import wait_for

TEXT = "The fox ran over the hill. Then it drank from the river there."
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


class Phone:
    """A client that loses its connection and comes back."""

    def __init__(self, url: str, account: Account) -> None:
        self._url = url
        self.account = account
        self._open = ExitStack()
        self.client = self._connect(url)
        self.session: str = self.client.until("ready")["session"]
        self.client.events.clear()

    def _connect(self, url: str) -> Client:
        options: dict[str, Any] = {"additional_headers": self.account.auth, "close_timeout": 0.1}
        return Client(self._open.enter_context(connect(url, **options)))

    def break_off(self) -> None:
        """The connection is reset, without a word, unless it has ended already."""
        raw = self.client.connection.socket
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raw.shutdown(socket.SHUT_RDWR)
        raw.close()

    def come_back(self, url: str = "", *, forgotten: int = 0, **said: Any) -> dict[str, Any]:
        """Resume behind what was received, less so many bytes; what the server answered."""
        before, self.client = self.client, self._connect(url or self._url)
        self.client.until("ready")
        self.client.events = list(before.events)
        kept = len(before.sound) - forgotten
        self.client.audio = [before.sound[:kept]]
        self.client.say(
            "resume",
            **{"session": self.session, "received_bytes": kept,
               "received_events": len(before.events), **said},
        )  # fmt: skip
        while (answer := self.client.take(10)) is None:
            pass
        if answer["type"] == "resumed":
            self.client.events.pop()
        return answer

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def phone(stage: Stage, ann: Account) -> Iterator[Phone]:
    opened = Phone(address(stage), ann)
    yield opened
    opened.close()
    wait_for(lambda: stage.listeners() == 0, 5, "the slot was not freed")
    wait_for(lambda: stage.figure("mynah_broken_sockets") == 0, 6, "a broken one is kept")


@pytest.fixture(scope="module")
def elsewhere(stage: Stage) -> str:
    """The same service's socket in another process.

    It has had a client: the first one waits for what is loaded with it, on a busy machine for
    longer than a broken conversation waits here.
    """
    other = f"{HOST}:{find_spare_port()}"
    stage.start_gateway("gateway-2", other)
    url = f"ws://{other}/ws/tts"
    first = Phone(url, stage.gateway.register())
    first.close()
    return url


def speak_until(stage: Stage, phone: Phone, profile: str, size: int) -> None:
    """Have the text spoken, and receive so many bytes of it."""
    start(stage, phone.client, profile)
    phone.client.say("text", text=TEXT)
    phone.client.say("end")
    while len(phone.client.sound) < size:
        phone.client.take(10)


def test_another_process_goes_on_at_the_byte_and_the_event(
    stage: Stage, phone: Phone, elsewhere: str
) -> None:
    speak_until(stage, phone, "esp32-pcm16", 40_000)
    phone.break_off()
    resumed = phone.come_back(elsewhere)
    assert resumed.items() >= {"type": "resumed", "from_byte": len(phone.client.sound)}.items()
    phone.client.until("done")
    assert_same_sound(phone.client.sound, expected(stage, phone.client))
    kinds = [event["type"] for event in phone.client.events]
    assert kinds.count("accepted") == kinds.count("segment") == 2
    assert kinds.count("audio_format") == kinds.count("done") == 1
    closed = phone.client.until_closed().rcvd
    assert closed is not None
    assert closed.code == 1000


def test_a_process_that_is_busy_for_seconds_is_waited_for(
    stage: Stage, phone: Phone, elsewhere: str
) -> None:
    speak_until(stage, phone, "esp32-pcm16", 20_000)
    (busy,) = stage.gateway_processes()
    os.kill(busy, signal.SIGSTOP)
    goes_on = threading.Timer(3.5, os.kill, (busy, signal.SIGCONT))
    goes_on.start()
    try:
        phone.break_off()
        assert phone.come_back(elsewhere)["type"] == "resumed"
        phone.client.until("done")
    finally:
        goes_on.join()
    assert_same_sound(phone.client.sound, expected(stage, phone.client))


def test_a_connection_that_is_dead_unnoticed_is_replaced_with_the_very_same_bytes(
    stage: Stage, phone: Phone
) -> None:
    speak_until(stage, phone, "browser", 20_000)
    heard = phone.client.sound
    for _ in range(2):  # the old connection stays open: a vanished client looks like that
        phone.come_back(forgotten=7_001)
        while len(phone.client.sound) < len(heard):
            phone.client.take(10)
        assert phone.client.sound[: len(heard)] == heard
    phone.client.until("done")
    assert stage.figure("mynah_sockets_resumed_total") >= 2


def test_what_was_sent_and_never_arrived_is_sent_again_although_all_was_said(
    stage: Stage, phone: Phone
) -> None:
    speak_until(stage, phone, "browser", 1)
    jobs = [event["job_id"] for event in phone.client.named("accepted")]
    wait_for(lambda: all(is_completed(stage, job) for job in jobs), 10, "it is not spoken")
    time.sleep(0.3)  # all is on its way, the close frame too
    phone.break_off()
    phone.come_back()
    phone.client.until("done")
    assert len(phone.client.named("segment")) == 2


def test_a_resumed_conversation_takes_text_and_interruptions(
    stage: Stage, phone: Phone, elsewhere: str
) -> None:
    start(stage, phone.client)
    phone.client.say("text", text="A slowly told tale of a fox. " * 4)
    phone.client.say("flush")
    phone.client.until("audio_format")
    phone.break_off()
    assert phone.come_back(elsewhere)["received_messages"] == 2
    phone.client.say("interrupt")
    phone.client.until("interrupted")
    phone.client.audio.clear()
    phone.client.say("text", text=TEXT)
    phone.client.say("end")
    phone.client.until("done")
    assert 0 < len(phone.client.sound) / 32000 < 6


def test_nobody_speaks_on_for_a_client_who_does_not_come_back(stage: Stage, phone: Phone) -> None:
    start(stage, phone.client)
    phone.client.say("text", text="A slowly told tale of a fox. " * 8)
    phone.client.say("flush")
    phone.client.until("audio_format")
    jobs = [event["job_id"] for event in phone.client.named("accepted")]
    phone.break_off()
    wait_for(lambda: stage.figure("mynah_broken_sockets") == 1, 3, "it is not waited for")
    assert stage.listeners() == 0, "its slot is for who comes back"
    wait_for(lambda: stage.figure("mynah_broken_sockets") == 0, 5, "it is waited for for ever")
    wait_for(lambda: any(is_cancelled(stage, job) for job in jobs), 3, "its job goes on")
    answer = phone.come_back()
    assert answer.items() >= {"type": "error", "error_code": "resume_expired"}.items()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"received_bytes": 10**9}, "invalid_resume"),
        ({"received_bytes": "all"}, "invalid_request"),
        ({"session": "nobody.nothing"}, "resume_expired"),
    ],
)
def test_what_cannot_be_resumed_is_refused(
    stage: Stage, phone: Phone, said: dict[str, Any], code: str
) -> None:
    start(stage, phone.client)
    before = phone.client
    answer = phone.come_back(**said)
    assert answer["error_code"] == code
    before.say("ping")
    before.until("pong")  # nothing happened to the connection that is there
    phone.break_off()


def test_a_session_is_its_users_alone(stage: Stage, phone: Phone) -> None:
    start(stage, phone.client)
    other = Phone(address(stage), stage.gateway.register())
    other.session = phone.session
    assert other.come_back()["error_code"] == "resume_expired"
    other.close()
    phone.client.say("ping")
    phone.client.until("pong")


def test_the_reference_client_speaks_standard_input_over_a_line_that_breaks(
    stage: Stage, ann: Account, tmp_path: Path
) -> None:
    output = tmp_path / "spoken.pcm"
    with breaking_line(stage.address, after_bytes=50_000) as port:
        spoken = subprocess.run(
            [
                *(sys.executable, "scripts/speak_live.py", "--output", str(output)),
                *("--url", f"http://{HOST}:{port}", "--profile", "esp32-pcm16"),
                *("--voice-id", str(stage.voice_id)),
            ],
            input=TEXT.replace(". ", ".\n"),
            env={**stage.environment, "MYNAH_API_KEY": ann.key},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert spoken.returncode == 0, spoken.stderr
    events = [json.loads(line) for line in spoken.stdout.splitlines()]
    assert [event["type"] for event in events].count("resumed") == 1
    jobs = [event["job_id"] for event in events if event["type"] == "accepted"]
    assert_same_sound(output.read_bytes(), stage.expected(*jobs))


@contextmanager
def breaking_line(address: tuple[str, int], after_bytes: int) -> Iterator[int]:
    """A port that leads to ``address``; its first connection breaks after so many bytes down."""
    with socket.create_server((HOST, 0)) as server:

        def carry(limit: int) -> None:
            near, _ = server.accept()
            with near, socket.create_connection(address) as far:
                up = threading.Thread(target=pour, args=(near, far, sys.maxsize))
                up.start()
                pour(far, near, limit)
                for end in (near, far):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                up.join()

        def carry_all() -> None:
            carry(after_bytes)
            carry(sys.maxsize)

        thread = threading.Thread(target=carry_all)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join(10)


def pour(source: socket.socket, target: socket.socket, limit: int) -> None:
    """Carry bytes one way until the end, or the limit."""
    with suppress(OSError):
        while limit > 0 and (data := source.recv(4096)):
            target.sendall(data)
            limit -= len(data)
        target.shutdown(socket.SHUT_WR)


def is_completed(stage: Stage, job_id: str) -> bool:
    job = stage.job(job_id)
    return job is None or job.state == JobState.COMPLETED


def is_cancelled(stage: Stage, job_id: str) -> bool:
    job = stage.job(job_id)
    return job is None or job.state == JobState.CANCELLED
