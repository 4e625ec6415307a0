"""The real parts that other tests build on do what those tests take for granted."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from minio import Minio
from minio.error import S3Error

from deploy.local.processes import ProcessRecord, group_members
from tests.parts import PostgresPart, RedisPart, ServiceProcess, SwiftPart, clone_database, wait_for


def test_postgres_answers(postgres: PostgresPart) -> None:
    with postgres.server.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_postgres_refuses_a_wrong_password(postgres: PostgresPart) -> None:
    right = postgres.url().replace("+psycopg", "")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(right.replace(postgres.server.password, "wrong"))


def test_a_cloned_database_is_gone_afterwards_even_with_somebody_connected(
    postgres: PostgresPart,
) -> None:
    with clone_database(postgres, template="template1") as url:
        connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        connection.execute("CREATE TABLE t (id int)")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT * FROM t")
    connection.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisPart]:
    with RedisPart(tmp_path) as part:
        yield part


def test_redis_answers(redis: RedisPart) -> None:
    with redis.client() as client:
        assert client.ping()


def test_redis_keeps_what_it_wrote_through_kill_9(own_redis: RedisPart) -> None:
    with own_redis.client() as client:
        client.set("story", "once upon a time")
    own_redis.kill()
    own_redis.start()
    with own_redis.client() as client:
        assert client.get("story") == b"once upon a time"


@pytest.fixture
def store(swift: SwiftPart) -> Minio:
    return Minio(
        swift.endpoint,
        access_key=swift.access_key,
        secret_key=swift.secret_key,
        region=swift.region,
        secure=False,
    )


def test_swift_gives_back_what_was_put(store: Minio) -> None:
    store.make_bucket("parts")
    store.put_object("parts", "voices/en/a.npy", io.BytesIO(b"abc"), 3, content_type="a/b")
    response = store.get_object("parts", "voices/en/a.npy")
    try:
        assert response.read() == b"abc"
        assert response.headers["content-type"] == "a/b"
    finally:
        response.close()
        response.release_conn()


def test_swift_refuses_a_wrong_signature(swift: SwiftPart) -> None:
    stranger = Minio(
        swift.endpoint,
        access_key=swift.access_key,
        secret_key="wrong",
        region=swift.region,
        secure=False,
    )
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        stranger.list_buckets()


def test_a_killed_service_leaves_no_child_behind(tmp_path: Path) -> None:
    script = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    service = ServiceProcess.python("parent", ["-c", script], {}, tmp_path / "log").start()
    wait_for(lambda: len(_group(service.pid)) == 2, 5, "both processes run")
    service.kill()
    assert not _group(service.pid)


def test_a_service_that_dies_early_shows_its_log(tmp_path: Path) -> None:
    service = ServiceProcess.python(
        "broken", ["-c", "raise SystemExit('no luck')"], {}, tmp_path / "log"
    )
    with pytest.raises(AssertionError, match="no luck"):
        service.start().wait_until_ready(lambda: False, timeout_s=10)


def _group(leader: int) -> list[int]:
    return group_members(ProcessRecord(leader, started=0.0))


def test_what_became_true_during_a_look_that_took_all_the_time_is_seen() -> None:
    looks = []

    def is_there() -> bool:
        looks.append(time.monotonic())
        time.sleep(0.05)
        return len(looks) > 1

    wait_for(is_there, 0.01, "it was looked for once")
    with pytest.raises(AssertionError, match="never"):
        wait_for(lambda: False, 0.01, "never")
