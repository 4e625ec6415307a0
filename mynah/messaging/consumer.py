"""The worker's side of a contract: ``@implements(app, CONTRACT)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from celery import Celery
from pydantic import ValidationError

from mynah.contracts.tasks import PayloadT, StepPayload, TaskContract

log = structlog.get_logger(__name__)

SOFT_LIMIT_BEFORE_S = 10


def implements(
    app: Celery, contract: TaskContract[PayloadT]
) -> Callable[[Callable[[PayloadT], None]], Callable[[PayloadT], None]]:
    """Register a function as the task of a contract.

    The message is checked against the contract's payload type; one that does not fit is
    logged and dropped, since sending it again would not help.
    """

    def register(function: Callable[[PayloadT], None]) -> Callable[[PayloadT], None]:
        def task(**message: Any) -> None:
            try:
                payload = contract.payload_type.model_validate(message)
            except ValidationError as error:
                log.error("message_rejected", task=contract.name, errors=error.error_count())
                return
            structlog.contextvars.clear_contextvars()
            structlog.contextvars.bind_contextvars(task=contract.name)
            if isinstance(payload, StepPayload):
                structlog.contextvars.bind_contextvars(
                    job_id=str(payload.job_id), request_id=payload.request_id
                )
            function(payload)

        app.task(
            task,
            name=contract.name,
            time_limit=contract.time_limit_s,
            soft_time_limit=contract.time_limit_s - SOFT_LIMIT_BEFORE_S,
            ignore_result=True,
        )
        return function

    return register
