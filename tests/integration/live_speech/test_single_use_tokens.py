"""ElevenLabs' single-use tokens: one socket each, of their account, for a quarter of an hour."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from threading import Barrier

import httpx
import pytest
import redis
from elevenlabs import ElevenLabs
from sqlalchemy import update
from websockets.exceptions import ConnectionClosed

from mynah.db.clock import utc_now
from mynah.db.models import ApiKey
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import DatabaseUnavailable
from services.api.auth.single_use_tokens import spend_single_use_token
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import Stage
from tests.integration.live_speech.test_stream_input import FIRST, PCM, jobs_of, writing
from tests.parts import wait_for

REFUSED = (1008, "invalid_api_key")


def new_token(stage: Stage, account: Account) -> str:
    with httpx.Client() as connection:
        sdk = ElevenLabs(base_url=stage.url, api_key=account.key, httpx_client=connection)
        return sdk.tokens.single_use.create("tts_websocket").token


@pytest.fixture
def token(stage: Stage, ann: Account) -> str:
    return new_token(stage, ann)


@pytest.mark.parametrize("way", ["address", "first message"])
@pytest.mark.parametrize("route", ["stream-input", "multi-stream-input"])
def test_a_token_opens_one_socket(
    stage: Stage, ann: Account, token: str, way: str, route: str
) -> None:
    query = f"{PCM}&single_use_token={token}" if way == "address" else PCM
    said = {} if way == "address" else {"single_use_token": token}
    for count in range(2):
        with writing(stage, None, query, route) as writer:
            with suppress(ConnectionClosed):
                writer.say(" ", **said)
                writer.say(FIRST, flush=True)
                writer.say(**({"text": ""} if route == "stream-input" else {"close_socket": True}))
            assert writer.until_closed() == (REFUSED if count else (1000, "done"))
    assert len(jobs_of(stage, ann)) == 1


def test_of_two_who_use_a_token_at_once_one_gets_in(stage: Stage, ann: Account) -> None:
    both_ready = Barrier(2)

    def use(token: str) -> tuple[int, str]:
        both_ready.wait(10)
        with writing(stage, None, f"{PCM}&single_use_token={token}", listeners=None) as writer:
            with suppress(ConnectionClosed):
                writer.say("")
            return writer.until_closed()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            ended = list(pool.map(use, [new_token(stage, ann)] * 2))
            assert sorted(ended) == [(1000, "done"), REFUSED]
            wait_for(lambda: stage.listeners() == 0, 2, "a slot was not freed")


def test_a_token_is_kept_as_a_hash_and_expires(stage: Stage, token: str) -> None:
    with redis.Redis.from_url(stage.redis.url()) as kept:
        names = list(kept.scan_iter("*:token:*"))
        assert names
        for name in names:
            assert token.encode() not in name + kept.get(name)
            assert 0 < kept.ttl(name) <= 900


def test_a_token_ends_with_the_key_that_asked_for_it(
    stage: Stage, ann: Account, token: str
) -> None:
    with stage.gateway.container.new_uow() as uow:
        ended = update(ApiKey).where(ApiKey.user_id == ann.id).values(revoked_at=utc_now())
        uow.session.execute(ended)
        uow.commit()
    with writing(stage, None, f"{PCM}&single_use_token={token}") as writer:
        assert writer.until_closed() == REFUSED


def test_an_absent_database_spends_no_token(stage: Stage, ann: Account, token: str) -> None:
    def no_database() -> UnitOfWork:
        raise DatabaseUnavailable

    container = stage.gateway.container
    with pytest.raises(DatabaseUnavailable):
        spend_single_use_token(replace(container, new_uow=no_database), token)
    assert spend_single_use_token(container, token).user_id == ann.id


def test_a_token_is_for_sockets_alone(stage: Stage, ann: Account, token: str) -> None:
    for headers in ({"xi-api-key": token}, {"Authorization": f"Bearer {token}"}):
        assert httpx.get(f"{stage.url}/v1/user", headers=headers).status_code == 401
    url = f"{stage.url}/v1/single-use-token"
    assert httpx.post(f"{url}/tts_websocket").status_code == 401
    unknown = httpx.post(f"{url}/batch_scribe", headers={"xi-api-key": ann.key})
    assert unknown.status_code == 404
    assert json.loads(unknown.text)["detail"]["status"] == "token_type_not_found"
