"""What every worker process holds: settings, database, store, sender, runner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mynah.db.connection import connect, make_session_factory
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.jobs.claims import LeaseKeeper
from mynah.jobs.once import OncePerProcess
from mynah.jobs.runner import StepRunner
from mynah.messaging.celery_app import CeleryApp, WorkerHooks, make_worker_app
from mynah.messaging.sender import Broker, CelerySender
from mynah.settings import Settings, load_settings
from mynah.storage.base import ObjectStore
from mynah.storage.factory import open_store


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The parts that a worker's tasks use."""

    settings: Settings
    new_uow: UnitOfWorkFactory
    store: ObjectStore
    broker: Broker
    runner: StepRunner


def build_worker_context(settings: Settings) -> WorkerContext:
    """Compose a worker's parts. Nothing connects before its first use."""
    session_factory = make_session_factory(connect(settings))
    sender = CelerySender(settings)

    def new_uow() -> UnitOfWork:
        return UnitOfWork(session_factory, sender)

    keeper = LeaseKeeper(new_uow, settings.lease_s, settings.heartbeat_s)
    return WorkerContext(
        settings=settings,
        new_uow=new_uow,
        store=open_store(settings),
        broker=Broker(settings),
        runner=StepRunner(new_uow, keeper, settings),
    )


def worker_parts(
    name: str, hooks: WorkerHooks | None = None
) -> tuple[CeleryApp, Callable[[], WorkerContext]]:
    """A worker's Celery app, and a function that gives each process its own context.

    A pool that forks must not share connections or the lease keeper's thread, so the context
    is made on first use and forgotten in a forked child.
    """
    settings = load_settings()
    app = make_worker_app(name, settings, hooks or WorkerHooks())

    return app, OncePerProcess(lambda: build_worker_context(settings))
