"""Who was let in is looked at again: a key that was revoked, an account that was disabled."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mynah.db.clock import utc_now
from mynah.db.models import ApiKey, User
from services.api.auth.tokens import issue_token
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import MAX_STREAMS_PER_USER, Stage
from tests.integration.live_speech.device import Client, address, start
from tests.integration.live_speech.test_http import QUICK, SLOW, state_of
from tests.integration.live_speech.test_resume import Phone
from tests.integration.live_speech.test_socket import is_cancelled
from tests.integration.live_speech.test_stream_input import writing
from tests.parts import wait_for

LONG = "One slowly told tale of a fox. " * 12


def write(stage: Stage, model: Any, owner: Any, **columns: Any) -> None:
    with stage.gateway.container.new_uow() as uow:
        uow.session.execute(update(model).where(owner).values(**columns))
        uow.commit()


def revoke(stage: Stage, account: Account) -> None:
    write(stage, ApiKey, ApiKey.user_id == account.id, revoked_at=utc_now())


def end_key(stage: Stage, account: Account) -> None:
    ended_at = utc_now() - timedelta(seconds=1)
    write(stage, ApiKey, ApiKey.user_id == account.id, expires_at=ended_at)


def disable(stage: Stage, account: Account) -> None:
    write(stage, User, User.id == account.id, is_active=False)


def short_token(stage: Stage, account: Account, lifetime_s: int = 2) -> Account:
    """The same account with an access token that ends soon."""
    settings = stage.gateway.container.settings
    token, _ = issue_token(settings, account.id, "access", lifetime_s)
    return Account(account.id, account.email, token, account.key)


def assert_silent(stage: Stage, account: Account) -> None:
    """The engine has stopped, and the slot is free."""
    wait_for(lambda: stage.listeners() == 0, 3, "the slot was not freed")
    wait_for(lambda: time.time() - stage.notes()[-1][0] > 1, 5, "the engine goes on")
    assert is_cancelled(stage, stage.last_job(account.id))


@pytest.mark.parametrize(
    ("what", "code"),
    [(revoke, "invalid_api_key"), (end_key, "invalid_api_key"), (disable, "account_inactive")],
)
def test_a_socket_ends_with_its_key(stage: Stage, ann: Account, what: Any, code: str) -> None:
    with connect(address(stage), additional_headers=ann.key_auth) as connection:
        client = Client(connection)
        client.until("ready")
        start(stage, client)
        client.say("text", text=LONG)
        client.until("audio_format")
        what(stage, ann)
        closed = client.until_closed(5).rcvd
    assert closed is not None
    assert (closed.code, closed.reason) == (1008, code)
    assert client.named("error")[-1]["error_code"] == code
    assert_silent(stage, ann)


def test_a_vendors_socket_ends_with_its_key(stage: Stage, ann: Account) -> None:
    with writing(stage, ann) as writer:
        writer.say(LONG, flush=True)
        writer.until(lambda message: message["audio"])
        revoke(stage, ann)
        assert writer.until_closed() == (1008, "invalid_api_key")
    assert_silent(stage, ann)


def test_an_answer_is_broken_off_when_its_key_is_revoked(stage: Stage, ann: Account) -> None:
    order = stage.order(SLOW * 3)
    with (
        httpx.Client(base_url=stage.url, headers=ann.key_auth, timeout=30) as api,
        api.stream("POST", "/api/tts/stream", json=order) as answer,
    ):
        chunks = answer.iter_raw()
        next(chunks)
        revoke(stage, ann)
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(chunks)
    assert state_of(stage, answer) == "cancelled"
    assert_silent(stage, ann)


def test_an_answer_outlives_the_token_that_asked_for_it_and_no_disabled_account(
    stage: Stage, ann: Account
) -> None:
    brief = short_token(stage, ann, 1)
    with (
        stage.client(brief) as api,
        api.stream("POST", "/api/tts/stream", json=stage.order(SLOW)) as answer,
    ):
        answer.read()
    assert api.is_closed
    assert len(answer.content) / 32000 > 2, "it was broken off with the token"
    with (
        stage.client(ann) as api,
        api.stream("POST", "/api/tts/stream", json=stage.order(SLOW * 3)) as answer,
    ):
        chunks = answer.iter_raw()
        next(chunks)
        disable(stage, ann)
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(chunks)


def test_a_socket_ends_with_its_token_unless_a_newer_one_is_shown(
    stage: Stage, ann: Account
) -> None:
    with connect(address(stage, f"?token={short_token(stage, ann).token}")) as connection:
        client = Client(connection)
        client.until("ready")
        start(stage, client)
        client.say("text", text=LONG)
        client.say("authenticate", token=short_token(stage, ann, 4).token)
        client.until("authenticated")
        began = time.monotonic()
        closed = client.until_closed(10).rcvd
    assert closed is not None
    assert closed.reason == "token_expired"
    assert time.monotonic() - began > 2.5, "it ended with the first token"


def test_another_accounts_credentials_do_not_renew_a_socket(stage: Stage, client: Client) -> None:
    client.say("authenticate", token=stage.gateway.register().key)
    closed = client.until_closed().rcvd
    assert closed is not None
    assert closed.reason == "other_account"


def test_who_comes_back_with_a_newer_token_is_not_ended_by_the_first(
    stage: Stage, ann: Account
) -> None:
    phone = Phone(address(stage), short_token(stage, ann, 3))
    ended_at = time.monotonic() + 3
    start(stage, phone.client)
    phone.client.say("text", text=LONG)
    phone.client.until("audio_format")
    phone.break_off()
    phone.account = ann
    assert phone.come_back()["type"] == "resumed"
    while time.monotonic() < ended_at + 1.5:
        phone.client.take(5)
    revoke(stage, ann)  # is not what it came back with
    phone.client.say("interrupt")
    phone.client.until("interrupted")
    phone.close()
    wait_for(lambda: stage.listeners() == 0, 5, "the slot was not freed")


def test_a_link_ends_with_the_key_that_made_it(stage: Stage, ann: Account) -> None:
    with httpx.Client(base_url=stage.url, headers=ann.key_auth) as api:
        link = api.post("/api/tts/stream/link", json=stage.order(QUICK)).json()["url"]
    revoke(stage, ann)
    assert httpx.get(link).status_code == 401


def test_an_address_that_says_nothing_locks_out_no_other(stage: Stage, ann: Account) -> None:
    with ExitStack() as opened:
        silent = [
            opened.enter_context(connect(address(stage))) for _ in range(MAX_STREAMS_PER_USER)
        ]
        with pytest.raises(InvalidStatus) as refused, connect(address(stage)):
            pass
        assert refused.value.response.status_code == 429
        assert b"too_many_strangers" in (refused.value.response.body or b"")
        assert refused.value.response.headers["Retry-After"] == "5"
        other = socket.create_connection(stage.address, source_address=("127.0.0.2", 0))
        client = Client(opened.enter_context(connect(address(stage), sock=other)))
        client.say("authenticate", token=ann.key)
        client.until("ready")
        closed = Client(silent[0]).until_closed(8).rcvd
        assert closed is not None
        assert (closed.code, closed.reason) == (1008, "not_authenticated")
    wait_for(lambda: stage.listeners() == 0, 5, "a slot was not freed")
