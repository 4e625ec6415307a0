"""What the tests of webhooks share: making, waiting, delivering, ending jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import select

from mynah.contracts.states import JobKind, JobState
from mynah.contracts.tasks import ASSEMBLE, StepPayload
from mynah.db.ids import new_id
from mynah.db.models import Job, Step, WebhookDelivery
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest
from mynah.jobs.claims import Claim, LeaseKeeper
from mynah.jobs.runner import Commit, StepRunner
from mynah.jobs.submission import StepPlan, submit_job
from mynah.jobs.transitions import cancel_job
from mynah.webhooks.delivery import Deliverer
from tests.integration.api.gateway import Account, Gateway

PATIENCE_S = 20.0


def create(api: Gateway, user: Account, url: str, *events: str) -> dict[str, Any]:
    body = {"url": url, "events": list(events or ["speech.completed"])}
    answer = api.client.post("/api/webhooks", json=body, headers=user.auth)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    made: dict[str, Any] = answer.get_json()
    return made


def send_test(api: Gateway, user: Account, hook: dict[str, Any]) -> dict[str, Any]:
    answer = api.client.post(f"/api/webhooks/{hook['webhook_id']}/test", headers=user.auth)
    assert answer.status_code == 202, answer.get_data(as_text=True)
    sent: dict[str, Any] = answer.get_json()
    return sent


def log_of(api: Gateway, user: Account, hook: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/api/webhooks/{hook['webhook_id']}/deliveries"
    items: list[dict[str, Any]] = api.client.get(path, headers=user.auth).get_json()["items"]
    return items


def show(api: Gateway, user: Account, hook: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/webhooks/{hook['webhook_id']}"
    shown: dict[str, Any] = api.client.get(path, headers=user.auth).get_json()
    return shown


def until(is_so: Callable[[], object], deliverer: Deliverer | None = None) -> None:
    """Wait for something, with a worker that delivers meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it never happens"
        if deliverer is not None:
            deliverer.deliver_due()
        time.sleep(0.01)


def deliver_all(api: Gateway, deliverer: Deliverer, hook: dict[str, Any]) -> None:
    """Deliver until nothing waits for a webhook."""

    def is_done() -> bool:
        with api.container.new_uow() as uow:
            waiting = select(WebhookDelivery.id).where(
                WebhookDelivery.webhook_id == UUID(hook["webhook_id"]),
                WebhookDelivery.state == "pending",
            )
            return uow.session.scalar(waiting.limit(1)) is None

    until(is_done, deliverer)


def end_job(
    api: Gateway,
    user: Account,
    kind: JobKind,
    how: JobState = JobState.COMPLETED,
    *,
    result: dict[str, Any] | None = None,
    **columns: Any,
) -> UUID:
    """A job of one step, which a worker ends; ``result``: the columns that it writes."""
    container = api.container
    job = Job(id=new_id(), user_id=user.id, kind=kind, request={"title": "A tale"}, **columns)
    with container.new_uow() as uow:
        submit_job(uow, job, [StepPlan(ASSEMBLE, f"test.{job.id}", 0)], 1)
        uow.commit()
        if how == JobState.CANCELLED:
            cancel_job(uow, job)
            uow.commit()
            return job.id
        step = uow.session.scalars(select(Step).where(Step.job_id == job.id)).one()

    def work(_: Claim) -> Commit:
        if how == JobState.FAILED:
            raise InvalidRequest("It cannot be.", code="odd_text")

        def commit(_: UnitOfWork, row: Job) -> None:
            for name, value in (result or {}).items():
                setattr(row, name, value)

        return commit

    keeper = LeaseKeeper(container.new_uow, 4.0, 1.0)
    runner = StepRunner(container.new_uow, keeper, container.settings)
    runner.run(StepPayload(step_id=step.id, job_id=job.id), work)
    return job.id
