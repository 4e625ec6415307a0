"""What is told of which event, to whom, and signed how."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from mynah.contracts.states import JobKind, JobState, SampleState, VoiceState
from mynah.contracts.tasks import ASSEMBLE
from mynah.db.ids import new_id
from mynah.db.models import Job, WebhookDelivery
from mynah.jobs.submission import StepPlan, submit_job
from mynah.jobs.transitions import cancel_job
from mynah.webhooks.delivery import Deliverer
from tests.integration.api.gateway import Account, Gateway
from tests.integration.api.receiver import Receiver
from tests.integration.api.webhooks.hooks import (
    create,
    deliver_all,
    end_job,
    log_of,
    send_test,
)

DOCS = Path(__file__).resolve().parents[4] / "docs" / "webhooks.md"


def checker() -> Callable[..., bool]:
    """The function that the documentation gives to receivers."""
    found = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.S)
    assert found
    names: dict[str, Any] = {}
    exec(found.group(1), names)  # our own documentation
    check: Callable[..., bool] = names["is_from_mynah"]
    return check


def test_the_documented_check_takes_our_signature_and_no_other(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    sent = send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (got,) = receiver.received
    is_from_mynah, signature = checker(), got.headers["Mynah-Signature"]
    assert is_from_mynah(hook["secret"], signature, got.body)
    assert not is_from_mynah(hook["secret"], signature, got.body + b" ")
    assert not is_from_mynah("whsec_other", signature, got.body)
    assert not is_from_mynah(hook["secret"], signature, got.body, tolerance_s=-1)
    assert not is_from_mynah(hook["secret"], "nonsense", got.body)
    assert got.headers["Mynah-Event"] == "webhook.test"
    assert got.headers["Mynah-Delivery"] == sent["delivery_id"]
    assert got.headers["Content-Type"] == "application/json"
    assert json.loads(got.body)["data"] == {"webhook_id": hook["webhook_id"]}


def test_a_new_secret_signs_from_then_on(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    path = f"/api/webhooks/{hook['webhook_id']}/rotate-secret"
    secret = api.client.post(path, headers=user.auth).get_json()["secret"]
    assert secret != hook["secret"]
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (got,) = receiver.received
    assert checker()(secret, got.headers["Mynah-Signature"], got.body)
    assert not checker()(hook["secret"], got.headers["Mynah-Signature"], got.body)


def test_a_finished_job_is_told_with_its_results(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url(), "speech.completed")
    result = {"actual_duration_s": 78.2, "output_format": "mp3", "output_size_bytes": 42}
    job_id = end_job(api, user, JobKind.SPEECH, result=result, characters=1200)
    deliver_all(api, deliverer, hook)
    (got,) = receiver.received
    message = json.loads(got.body)
    assert message["event"] == "speech.completed"
    told = message["data"]
    assert (told["job_id"], told["status"]) == (str(job_id), "completed")
    assert (told["duration_s"], told["output_format"], told["size_bytes"]) == (78.2, "mp3", 42)
    assert (told["title"], told["characters"], told["error_code"]) == ("A tale", 1200, None)
    (entry,) = log_of(api, user, hook)
    assert (entry["state"], entry["attempts"]) == ("delivered", 1)
    assert (entry["response_status"], entry["response_excerpt"]) == (200, "thanks")
    assert entry["ended_at"] >= entry["attempted_at"] >= entry["created_at"]
    assert entry["next_attempt_at"] is None


@pytest.mark.parametrize(
    ("kind", "how", "event"),
    [
        (JobKind.SPEECH, JobState.FAILED, "speech.failed"),
        (JobKind.SPEECH, JobState.CANCELLED, "speech.cancelled"),
        (JobKind.BATCH, JobState.COMPLETED, "batch.completed"),
        (JobKind.CLONE, JobState.COMPLETED, "voice.ready"),
        (JobKind.CLONE, JobState.FAILED, "voice.failed"),
        (JobKind.ANALYSIS, JobState.COMPLETED, "sample.analyzed"),
        (JobKind.ANALYSIS, JobState.FAILED, "sample.rejected"),
        (JobKind.AUDIO, JobState.COMPLETED, "audio.completed"),
        (JobKind.AUDIO, JobState.FAILED, "audio.failed"),
    ],
)
def test_every_event_reaches_who_wants_it_and_nobody_else(
    api: Gateway, user: Account, kind: JobKind, how: JobState, event: str
) -> None:
    things: dict[str, UUID] = {}
    if kind == JobKind.CLONE:
        things["voice_id"] = api.add_voice(user, state=VoiceState.CLONING).id
    if kind == JobKind.ANALYSIS:
        things["sample_id"] = api.add_sample(user, state=SampleState.UPLOADED).id
    wants = create(api, user, "http://127.0.0.1:9/", event)
    others = {"speech.completed", "speech.failed", "speech.cancelled"} - {event}
    other = create(api, user, "http://127.0.0.1:9/", *others)
    strangers = create(api, api.register(), "http://127.0.0.1:9/", event)
    job_id = end_job(api, user, kind, how, **things)
    with api.container.new_uow() as uow:
        rows = uow.session.scalars(
            select(WebhookDelivery).where(
                WebhookDelivery.webhook_id.in_(
                    [UUID(hook["webhook_id"]) for hook in (wants, other, strangers)]
                )
            )
        ).all()
    (row,) = rows
    assert (str(row.webhook_id), row.event) == (wants["webhook_id"], event)
    told = json.loads(row.body)["data"]
    assert told["job_id"] == str(job_id)
    assert told["error_code"] == ("odd_text" if how == JobState.FAILED else told["error_code"])
    for name, value in things.items():
        assert told[name] == str(value)


def test_nothing_is_told_of_what_was_rolled_back(api: Gateway, user: Account) -> None:
    hook = create(api, user, "http://127.0.0.1:9/", "speech.cancelled")
    job = Job(id=new_id(), user_id=user.id, kind=JobKind.SPEECH, request={})
    with api.container.new_uow() as uow:
        submit_job(uow, job, [StepPlan(ASSEMBLE, "test", 0)], 1)
        uow.commit()
    with api.container.new_uow() as uow:
        locked = uow.jobs.locked(job.id)
        assert locked is not None
        cancel_job(uow, locked)
    assert log_of(api, user, hook) == []


def test_nothing_is_sent_for_an_account_that_is_not_active(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    with api.container.new_uow() as uow:
        account = uow.users.get(user.id)
        assert account is not None
        account.is_active = False
        uow.commit()
    assert deliverer.deliver_due() == 0
