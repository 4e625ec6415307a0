"""Prometheus metrics of all services.

With ``PROMETHEUS_MULTIPROC_DIR`` set, the processes that share the folder are shown as one;
without it each process shows its own.
"""

from __future__ import annotations

import os

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

_WORK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

HTTP_REQUESTS = Counter(
    "mynah_http_requests_total", "Requests answered.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "mynah_http_request_seconds", "Time to answer.", ["method", "route"], buckets=_HTTP_BUCKETS
)
STREAMS = Gauge("mynah_streams", "Listeners to events and to speech.", multiprocess_mode="livesum")
BROKEN_SOCKETS = Gauge(
    "mynah_broken_sockets",
    "Conversations whose connection broke: they wait for their client, or were resumed.",
    multiprocess_mode="livesum",
)
SOCKETS_RESUMED = Counter("mynah_sockets_resumed_total", "Broken conversations that went on.")
BITRATE_CHANGES = Counter(
    "mynah_bitrate_changes_total", "Listeners moved to another bitrate.", ["direction"]
)
UPLOAD_BYTES = Counter("mynah_upload_bytes_total", "Bytes of uploaded recordings and bundles.")
STEPS = Counter("mynah_steps_total", "Steps that ended in a worker.", ["task", "outcome"])
SYNTHESIS_SECONDS = Histogram(
    "mynah_synthesis_seconds", "Time an engine took per piece.", ["engine"], buckets=_WORK_BUCKETS
)
ENCODE_SECONDS = Histogram(
    "mynah_encode_seconds", "Time an encoder took per file.", ["format"], buckets=_WORK_BUCKETS
)
FIRST_AUDIO_SECONDS = Histogram(
    "mynah_first_audio_seconds",
    "Time from an engine's text to its first sound.",
    ["engine"],
    buckets=_WORK_BUCKETS,
)
ENGINE_LOADS = Counter(
    "mynah_engine_loads_total", "Engines that were loaded, or not.", ["engine", "outcome"]
)
ENGINE_LOAD_SECONDS = Histogram(
    "mynah_engine_load_seconds", "Time to load an engine.", ["engine"], buckets=_WORK_BUCKETS
)
ENGINE_UNLOADS = Counter(
    "mynah_engine_unloads_total", "Engines that were unloaded, and why.", ["engine", "reason"]
)
ENGINE_TESTS = Counter(
    "mynah_engine_tests_total", "Test sentences of loaded engines.", ["engine", "outcome"]
)
ENGINES_GIVEN_BACK = Gauge(
    "mynah_engine_given_back",
    "Workers that take no work for an engine, because it cannot speak there.",
    ["engine"],
    multiprocess_mode="livesum",
)
ENGINE_REQUESTS = Counter(
    "mynah_engine_requests_total", "Requests that left an engine's own queue.", ["engine"]
)
ENGINE_QUEUE_SECONDS = Counter(
    "mynah_engine_queue_seconds_total", "Time that requests waited in it.", ["engine"]
)
ENGINE_TOKENS = Counter("mynah_engine_tokens_total", "Speech tokens that were decoded.", ["engine"])
ENGINE_STEPS = Counter("mynah_engine_steps_total", "Steps of all requests together.", ["engine"])
ENGINE_TOKEN_RATE = Gauge(
    "mynah_engine_tokens_per_second",
    "Of the last seconds.",
    ["engine"],
    multiprocess_mode="livesum",
)
ENGINE_BATCH = Gauge(
    "mynah_engine_batch_size", "Requests per step.", ["engine"], multiprocess_mode="livemax"
)
ENGINE_WAITING = Gauge(
    "mynah_engine_waiting",
    "Requests in an engine's own queue.",
    ["engine"],
    multiprocess_mode="livesum",
)
ENGINE_RUNNING = Gauge(
    "mynah_engine_running", "Requests that are decoded.", ["engine"], multiprocess_mode="livesum"
)
DEVICE_BYTES = Gauge(
    "mynah_device_bytes",
    "Memory that a worker holds on a device.",
    ["device"],
    multiprocess_mode="livesum",
)
SPEECH_ATTEMPTS = Counter(
    "mynah_speech_attempts_total",
    "Readings of pieces, those that were spoken again included.",
    ["engine", "verdict"],
)
AUDIO_SECONDS = Counter("mynah_audio_seconds_total", "Seconds of audio spoken.", ["engine"])
OUTPUT_BYTES = Counter("mynah_output_bytes_total", "Bytes of finished files.", ["format"])
SAVED_BYTES = Counter("mynah_bytes_saved_total", "Bytes saved against CD-quality WAV.")
PROFILE_CACHE = Counter("mynah_profile_cache_total", "Uses of the profile cache.", ["result"])
PROFILE_CACHE_BYTES = Gauge(
    "mynah_profile_cache_bytes", "Memory of cached profiles.", multiprocess_mode="livesum"
)


def render_metrics(*collectors: Collector) -> bytes:
    """The text that Prometheus reads: this process's or folder's metrics and ``collectors``'."""
    text = generate_latest(_registry())
    if collectors:
        extra = CollectorRegistry(auto_describe=False)
        for collector in collectors:
            extra.register(collector)
        text += generate_latest(extra)
    return text


def profile_cache_uses() -> dict[str, int]:
    """Uses of the profile caches by result, of all processes that share the folder."""
    return {
        sample.labels["result"]: int(sample.value)
        for family in _registry().collect()
        if family.name == "mynah_profile_cache"
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def serve_metrics(port: int) -> None:
    """Serve a worker's own metrics on ``port``, for containers; 0 = nothing."""
    if port:
        start_http_server(port, registry=_registry())


def forget_process(pid: int) -> None:
    """Drop the live gauges of a process that ended."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry(auto_describe=False)
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
