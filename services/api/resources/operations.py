"""/health, /ready, /metrics and the API's documentation page. No credentials needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import swagger_ui_bundle
from flask import Blueprint, Response, current_app, g, jsonify, send_from_directory
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mynah.errors import MynahError
from mynah.observability.health import check_parts
from mynah.observability.metrics import render_metrics
from services.api.bootstrap import Container, current_container
from services.api.errors import UNAVAILABLE_RETRY_S

blp = Blueprint("operations", __name__)

DATABASE_FIGURES_MAX_AGE_S = 2.0
_SWAGGER_UI = Path(next(iter((Path(swagger_ui_bundle.__file__).parent / "vendor").iterdir())))

_DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mynah API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div><script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script></body></html>
"""
_DOCS_SCRIPT = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui",
  deepLinking: true, persistAuthorization: true, tryItOutEnabled: true});
"""


@blp.get("/health")
def health() -> Response:
    """The process lives."""
    return jsonify(status="ok")


@blp.get("/ready")
def ready() -> tuple[Response, int]:
    """Its parts answer."""
    container = current_container()
    found = check_parts(
        {
            "database": container.ping_database,
            "broker": container.broker.ping,
            "storage": container.store.ping,
        }
    )
    is_ready = all(answer == "ok" for answer in found.values())
    if not is_ready:
        g.retry_after_s = UNAVAILABLE_RETRY_S
    body = jsonify(status="ready" if is_ready else "unavailable", checks=found)
    return body, 200 if is_ready else 503


@blp.get("/metrics")
def metrics() -> Response:
    """Prometheus' text format."""
    text = render_metrics(_database_figures(current_container()))
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


@blp.get("/docs")
def docs() -> Response:
    """The API's documentation for people."""
    return Response(_DOCS_PAGE, content_type="text/html; charset=utf-8")


@blp.get("/docs/<path:name>")
def docs_file(name: str) -> Response:
    """A file of the documentation page."""
    if name == "start.js":
        return Response(_DOCS_SCRIPT, content_type="text/javascript; charset=utf-8")
    return send_from_directory(_SWAGGER_UI, name)


class DatabaseFigures(Collector):
    """Jobs and queues as Postgres knows them, read at most every two seconds."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._families: list[GaugeMetricFamily] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures; without a database only that it is away."""
        with self._lock:
            if time.monotonic() - self._read_at > DATABASE_FIGURES_MAX_AGE_S:
                self._families = self._read()
                self._read_at = time.monotonic()
            yield from self._families

    def _read(self) -> list[GaugeMetricFamily]:
        up = GaugeMetricFamily("mynah_database_up", "Whether the database answers.")
        try:
            with self._container.new_uow() as uow:
                counts, backlog = uow.jobs.counts(), uow.steps.backlog()
        except MynahError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        jobs = GaugeMetricFamily("mynah_jobs", "Jobs.", labels=["kind", "state"])
        for kind, state, count in counts:
            jobs.add_metric([kind, state], count)
        depth = GaugeMetricFamily("mynah_queue_depth", "Steps that wait.", labels=["queue"])
        running = GaugeMetricFamily("mynah_queue_running", "Steps that run.", labels=["queue"])
        age = GaugeMetricFamily(
            "mynah_queue_oldest_seconds", "Age of the oldest waiting job.", labels=["queue"]
        )
        for row in backlog:
            depth.add_metric([row.queue], row.ready)
            running.add_metric([row.queue], row.running)
            age.add_metric([row.queue], row.oldest_s)
        return [up, jobs, depth, running, age]


def _database_figures(container: Container) -> DatabaseFigures:
    figures: DatabaseFigures = current_app.extensions.setdefault(
        "mynah_database_figures", DatabaseFigures(container)
    )
    return figures
