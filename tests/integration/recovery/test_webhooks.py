"""Real workers tell a receiver of a real job."""

from __future__ import annotations

import json
from uuid import UUID

from services.api.use_cases.webhooks import WebhookDraft, create_webhook
from tests.integration.api.receiver import open_receiver
from tests.integration.recovery.conftest import SENTENCE, Workers
from tests.parts import wait_for


def test_a_spoken_job_is_told_within_seconds(workers: Workers, user_id: UUID) -> None:
    with open_receiver() as receiver:
        with workers.new_uow() as uow:
            draft = WebhookDraft(receiver.url(), ["speech.completed"])
            create_webhook(uow, workers.settings, user_id, draft)
            uow.commit()
        job_id = workers.speak(user_id, SENTENCE)
        workers.wait_completed(job_id, 30)
        wait_for(lambda: receiver.received, 10, "the receiver is told")
    (got,) = receiver.received
    told = json.loads(got.body)["data"]
    assert told["job_id"] == str(job_id)
    assert told["duration_s"] > 1
    assert told["output_format"] == "mp3"
