"""Celery's entry point for the periodic work: ``celery -A … worker -Q maintenance``.

An app of its own: sweeping and cleaning need no audio code, whose loading takes a second.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from mynah.contracts.tasks import DELIVER, EXPIRE, SWEEP, NoPayload
from mynah.errors import BrokerUnavailable
from mynah.jobs.mute_queues import fail_mute_jobs
from mynah.jobs.sweeper import sweep
from mynah.jobs.worker import worker_parts
from mynah.messaging.consumer import implements
from mynah.messaging.presence import Presence
from mynah.webhooks.delivery import Deliverer
from services.audio_proc.retention import expire

app, context = worker_parts("maintenance")


@lru_cache(maxsize=1)
def presence() -> Presence:
    """This process's view of the living workers."""
    return Presence(context().settings)


@implements(app, SWEEP)
def sweep_lost_work(payload: NoPayload) -> None:  # noqa: ARG001
    """Send again what nobody works on, and end what nobody can."""
    worker = context()
    sweep(worker.new_uow, worker.broker.queue_depth, worker.settings)
    with suppress(BrokerUnavailable):  # then nobody knows who lives
        workers = presence().reports().values()
        fail_mute_jobs(worker.new_uow, workers, worker.settings.engine_wait_s)


@lru_cache(maxsize=1)
def deliverer() -> Deliverer:
    """This process's senders; made with the first delivery."""
    worker = context()
    return Deliverer(worker.new_uow, worker.settings)


@implements(app, DELIVER)
def deliver_webhooks(payload: NoPayload) -> None:  # noqa: ARG001
    """Hand due deliveries to the senders, which go on when this returns."""
    deliverer().deliver_due()


@implements(app, EXPIRE)
def expire_outputs(payload: NoPayload) -> None:  # noqa: ARG001
    """Remove what has outlived its retention."""
    expire(context())
