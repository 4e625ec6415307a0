"""What operators see of the gateway: readiness, figures and logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from tests.integration.api.gateway import Account, Gateway, error_of, open_gateway

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture
def log_lines() -> Iterator[LogCapture]:
    """The gateway's log lines with their context."""
    before = structlog.get_config()["processors"]
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture
    structlog.configure(processors=before)


def test_a_gateway_that_is_not_ready_says_when_to_ask_again(
    fresh_database: str, tmp_path: Path
) -> None:
    with open_gateway(fresh_database, NOBODY_LISTENS, tmp_path / "objects") as gateway:
        response = gateway.client.get("/ready")
        alive = gateway.client.get("/health")
    assert response.status_code == 503
    assert response.get_json() == {
        "status": "unavailable",
        "checks": {"database": "ok", "broker": "broker_unavailable", "storage": "ok"},
    }
    assert int(response.headers["Retry-After"]) >= 1
    assert alive.status_code == 200


def test_invented_methods_make_no_series_of_their_own(api: Gateway) -> None:
    for number in range(3):
        error_of(api.client.open("/nowhere", method=f"INVENTED{number}"), 404)
    figures = api.client.get("/metrics").get_data(as_text=True)
    assert "INVENTED" not in figures
    assert 'mynah_http_requests_total{method="other",route="unmatched",status="404"}' in figures


def test_a_request_is_one_line_with_its_id_and_its_user(
    api: Gateway, ann: Account, log_lines: LogCapture
) -> None:
    headers = {**ann.auth, "X-Request-ID": "order-66"}
    response = api.client.get("/api/auth/me", headers=headers)
    assert response.headers["X-Request-ID"] == "order-66"
    [line] = [entry for entry in log_lines.entries if entry["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/auth/me", 200)
    assert (line["request_id"], line["user_id"]) == ("order-66", str(ann.id))
    assert line["duration_ms"] > 0


def test_a_request_id_that_could_break_a_line_is_replaced(api: Gateway) -> None:
    for given in ("a b", "x" * 129, "<script>", "\u00fc"):
        shown = api.client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert shown
        assert shown != given
