"""A gateway process gets ready: its first listener must not pay for what is loaded once."""

from __future__ import annotations

from importlib import import_module

import structlog

from mynah.contracts.states import JobKind, JobState
from mynah.db.ids import new_id
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.db.warming import warm_connections
from mynah.errors import MynahError
from mynah.messaging.live import START
from services.api.bootstrap import Container

log = structlog.get_logger(__name__)

_CONNECTIONS = 3  # to the database; the pool gives the one that was used last


def warm_up(container: Container) -> None:
    """Load the sound, connect, and have the statements of a live order planned.

    Never raises: what is away is found anew by those who need it.
    """
    import_module("services.api.live.listening")
    count = min(_CONNECTIONS, container.settings.database_pool_size)
    try:
        warm_connections(container.new_uow, count, _ask_for_nothing)
        container.sender.connect()
        container.live.read(new_id(), START, 0.001)
    except MynahError as error:
        log.warning("not_warmed_up", error_code=error.code)


def _ask_for_nothing(uow: UnitOfWork) -> None:
    """What an order asks, of nobody; its job is beyond the quota."""
    nobody = new_id()
    uow.api_keys.with_user("")
    uow.voices.visible(nobody, nobody)
    job = Job(
        id=nobody,
        user_id=nobody,
        kind=JobKind.LIVE,
        state=JobState.PENDING,
        request={},
        characters=1,
        usage_period="",
    )
    uow.submissions.add_charged(job, [], [], 0, is_durable=False)
