"""The Celery apps of the workers and of the beat, configured alike from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery as CeleryApp
from celery.concurrency.prefork import TaskPool as ForkingPool
from celery.schedules import schedule
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

from mynah.contracts.tasks import DELIVER, EXPIRE, SWEEP, TaskContract
from mynah.contracts.workers import WorkerReport
from mynah.messaging.intake import QueueIntake
from mynah.messaging.late_events import LateEvents
from mynah.messaging.presence import Announcer, Presence
from mynah.messaging.sender import SOCKET_TIMEOUT_S
from mynah.observability.logging import configure_logging
from mynah.observability.metrics import forget_process, serve_metrics
from mynah.settings import Settings

__all__ = ["CeleryApp", "WorkerHooks", "make_beat_app", "make_worker_app"]

EXPIRE_INTERVAL_S = 60.0
DELIVER_INTERVAL_S = 1.0
WORKER_SOCKET_TIMEOUT_S = 30.0  # it waits for what comes; who sends waits less


def _make_app(name: str, settings: Settings, *, for_worker: bool = False) -> CeleryApp:
    """A Celery app, to send with unless it is ``for_worker``.

    It is delivery only: results, retries and truth live in Postgres. A killed worker's step comes
    back by its lease within seconds, not by its message, and never twice.
    """
    app = CeleryApp(name, broker=settings.redis_url, set_as_current=for_worker)
    socket_timeout_s = WORKER_SOCKET_TIMEOUT_S if for_worker else SOCKET_TIMEOUT_S
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_soft_shutdown_timeout=8.0,
        worker_enable_remote_control=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(socket_timeout_s),
        event_queue_expires=60.0,
        beat_schedule={
            "sweep": _periodic(SWEEP, settings.sweep_interval_s),
            "deliver": _periodic(DELIVER, DELIVER_INTERVAL_S),
            "expire": _periodic(EXPIRE, EXPIRE_INTERVAL_S),
        },
        beat_max_loop_interval=max(settings.sweep_interval_s / 2, 0.1),
    )
    return app


def _transport_options(socket_timeout_s: float) -> dict[str, Any]:
    return {
        # queues are read in the order in which a worker lists them: live before batch
        "queue_order_strategy": "priority",
        # A message that is taken is gone from Redis. To note it there until the task starts, a
        # moment later, would cost two round trips; the sweeper sends what a dead worker took.
        "ack_emulation": False,
        "socket_connect_timeout": 2.0,
        "socket_timeout": socket_timeout_s,
        "health_check_interval": 10,
        "retry_on_timeout": False,
    }


def make_beat_app(settings: Settings) -> CeleryApp:
    """The app that sends what is periodic, on time; it logs as the gateway does."""
    app = _make_app("beat", settings)
    app.set_current()
    _log_as_the_gateway_does("beat", settings)
    return app


@dataclass(frozen=True, slots=True)
class WorkerHooks:
    """What a kind of worker does beside its tasks.

    ``describe``: what others should know of it, asked again and again, by the queues that it was
    started with. ``begin``, ``end``: when a process that runs its tasks starts, and ends; a forked
    one that ends is not told.
    """

    describe: Callable[[frozenset[str]], WorkerReport] = lambda _: WorkerReport()
    begin: Callable[[QueueIntake], None] = lambda _: None
    end: Callable[[], None] = lambda: None


def make_worker_app(name: str, settings: Settings, hooks: WorkerHooks) -> CeleryApp:
    """A worker's app: logs as the gateway does, shows its metrics, and says that it lives."""
    app = _make_app(name, settings, for_worker=True)
    app.steps["consumer"].add(LateEvents)
    _log_as_the_gateway_does(name, settings)
    announcer = Announcer(Presence(settings))

    intake = QueueIntake(app)

    def announce(sender: Any, **_: object) -> None:
        if not isinstance(sender.pool, ForkingPool):  # tasks run in this very process
            intake.open(sender)
            hooks.begin(intake)
        announcer.start(sender.hostname, lambda: hooks.describe(frozenset(intake.given)))

    worker_process_init.connect(lambda **_: hooks.begin(intake), weak=False)
    # All else in the worker's main process, which lives as long as the worker does.
    worker_ready.connect(announce, weak=False)
    worker_shutdown.connect(lambda **_: hooks.end(), weak=False)
    worker_shutdown.connect(lambda **_: announcer.stop(), weak=False)
    worker_init.connect(lambda **_: serve_metrics(settings.metrics_port), weak=False)
    worker_process_shutdown.connect(lambda pid, **_: forget_process(pid), weak=False)
    return app


def _log_as_the_gateway_does(name: str, settings: Settings) -> None:
    """Set up the logging of a Celery process."""

    def set_up_logging(**_: object) -> None:
        configure_logging(name, settings.log_level, settings.log_format)

    # Celery leaves the logging alone when somebody answers this signal.
    setup_logging.connect(set_up_logging, weak=False)


def _periodic(contract: TaskContract[Any], interval_s: float) -> dict[str, Any]:
    return {
        "task": contract.name,
        "schedule": schedule(run_every=interval_s),
        "kwargs": {},
        "options": {"queue": contract.queue_for(), "expires": contract.expires_s},
    }
