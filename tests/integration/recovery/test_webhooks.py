"""Real workers tell a receiver of a real job, also when one is killed while it does."""

from __future__ import annotations

import json
from uuid import UUID

from sqlalchemy import select, update

from mynah.db.clock import utc_now
from mynah.db.models import WebhookDelivery
from services.api.use_cases.webhooks import WebhookDraft, create_webhook
from tests.integration.api.receiver import LATE, Receiver, open_receiver
from tests.integration.recovery.conftest import SENTENCE, Workers
from tests.parts import wait_for


def subscribe(workers: Workers, user_id: UUID, receiver: Receiver, path: str = "/hook") -> None:
    with workers.new_uow() as uow:
        draft = WebhookDraft(receiver.url(path), ["speech.completed"])
        create_webhook(uow, workers.settings, user_id, draft)
        uow.commit()


def delivery_of(workers: Workers, user_id: UUID) -> WebhookDelivery:
    """The user's only delivery."""
    with workers.new_uow() as uow:
        (hook,) = uow.webhooks.page(user_id, cursor=None, limit=2).items
        query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == hook.id)
        return uow.session.scalars(query).one()


def end_lease(workers: Workers, delivery: WebhookDelivery) -> None:
    """Let the minute pass for which a delivery belongs to who claimed it."""
    with workers.new_uow() as uow:
        uow.session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.id == delivery.id)
            .values(next_attempt_at=utc_now())
        )
        uow.commit()


def test_a_spoken_job_is_told_within_seconds(workers: Workers, user_id: UUID) -> None:
    with open_receiver() as receiver:
        subscribe(workers, user_id, receiver)
        job_id = workers.speak(user_id, SENTENCE)
        workers.wait_completed(job_id, 30)
        wait_for(lambda: receiver.received, 10, "the receiver is told")
    (got,) = receiver.received
    told = json.loads(got.body)["data"]
    assert told["job_id"] == str(job_id)
    assert told["duration_s"] > 1
    assert told["output_format"] == "mp3"


def test_what_a_worker_delivered_when_it_was_killed_is_delivered_again(
    workers: Workers, user_id: UUID
) -> None:
    with open_receiver() as receiver:
        receiver.hold.clear()
        subscribe(workers, user_id, receiver, LATE)
        workers.speak(user_id, SENTENCE)
        wait_for(lambda: receiver.under_way, 30, "the receiver is told")
        workers.processes["maintenance"].kill()
        receiver.hold.set()  # its answer reaches nobody
        workers.start_worker("maintenance", "services.audio_proc.maintenance", "maintenance")
        claimed = delivery_of(workers, user_id)
        assert (claimed.state, claimed.attempts) == ("pending", 1)
        end_lease(workers, claimed)
        wait_for(lambda: delivery_of(workers, user_id).state == "delivered", 20, "it is delivered")
        first, second = receiver.received
    assert delivery_of(workers, user_id).attempts == 2
    assert first.body == second.body
    ids = {got.headers["Mynah-Delivery"] for got in (first, second)}
    assert ids == {str(claimed.id)}, "a receiver can tell that it is the same one"
