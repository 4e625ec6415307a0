"""Logs: one JSON line per event, whoever speaks, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest
import structlog

from mynah.observability.logging import configure_logging

KEY = "mynah_0123abcd_S3cret-Secret_Secret"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SINGLE_USE_TOKEN = "sutkn_S3cret-Secret_Secret"


@pytest.fixture
def log_output() -> Iterator[io.StringIO]:
    """What a service that logs as JSON writes to stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    output = io.StringIO()
    with redirect_stderr(output):
        configure_logging("test", "INFO", "json")
    yield output
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_have_one_form(log_output: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1", job_id="j1")
    structlog.get_logger("ours").info("swept", lost=2)
    logging.getLogger("theirs").warning("%s is away", "redis")
    ours, theirs = lines(log_output)
    assert (ours["event"], ours["lost"], ours["logger"]) == ("swept", 2, "ours")
    assert (theirs["event"], theirs["level"]) == ("redis is away", "warning")
    for line in (ours, theirs):
        assert (line["service"], line["request_id"], line["job_id"]) == ("test", "r1", "j1")
        assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("secret", [KEY, TOKEN, SINGLE_USE_TOKEN])
def test_secrets_are_hidden_wherever_they_stand(log_output: io.StringIO, secret: str) -> None:
    logging.getLogger("theirs").warning("refused %s", secret)
    structlog.get_logger("ours").info("refused", header=f"Bearer {secret}")
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("theirs").exception("crashed")
    assert secret not in log_output.getvalue()
    assert log_output.getvalue().count("[secret]") >= 3


def test_the_password_of_an_address_is_hidden_and_its_host_is_not(log_output: io.StringIO) -> None:
    logging.getLogger("theirs").error("no answer from redis://:hunter2@cache:6379/0")
    logging.getLogger("theirs").error("no answer from postgresql://mynah:hunter2@db/mynah")
    first, second = lines(log_output)
    assert first["event"] == "no answer from redis://[secret]@cache:6379/0"
    assert second["event"] == "no answer from postgresql://[secret]@db/mynah"
