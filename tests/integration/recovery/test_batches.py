"""A batch through real workers, one of which is killed: every item completes, once."""

from __future__ import annotations

import io
import json
import zipfile
from uuid import UUID

from mynah.contracts.states import JobState
from mynah.db.models import Job
from services.api.use_cases.batches import BatchItem, BatchOrder, order_batch
from services.api.use_cases.speech import Requester
from services.api.use_cases.speech_order import SpeechOrder
from tests.integration.recovery.conftest import SENTENCE, Workers
from tests.parts import wait_for

ITEMS = 30


def send_batch(workers: Workers, user_id: UUID) -> UUID:
    with workers.new_uow() as uow:
        voice = uow.voices.page(
            user_id, filters={"language": "en-us"}, name_contains="Ada", cursor=None, limit=1
        ).items[0]
        items = [
            BatchItem(SpeechOrder(f"{number}. {SENTENCE}", voice.id, seed=1), f"item-{number}")
            for number in range(ITEMS)
        ]
        requester = Requester(user_id, "user", "r")
        batch = order_batch(uow, workers.settings, requester, BatchOrder(items))
        uow.commit()
        return batch.id


def children(workers: Workers, batch_id: UUID) -> list[Job]:
    with workers.new_uow() as uow:
        return list(uow.session.query(Job).filter_by(parent_id=batch_id).order_by(Job.position))


def test_a_worker_killed_in_mid_batch_costs_nothing(workers: Workers, user_id: UUID) -> None:
    batch_id = send_batch(workers, user_id)
    wait_for(
        lambda: any(job.state == JobState.COMPLETED for job in children(workers, batch_id)),
        30,
        "no item was finished",
    )
    workers.processes["speaker"].kill()
    assert any(job.state != JobState.COMPLETED for job in children(workers, batch_id))
    workers.start_speaker("speaker")
    batch = workers.wait_completed(batch_id, 60)
    items = children(workers, batch_id)
    assert [job.state for job in items] == [JobState.COMPLETED] * ITEMS
    assert batch.open_children == 0
    assert batch.result == {"items": {"completed": ITEMS}, "left_out": 0}
    with zipfile.ZipFile(io.BytesIO(workers.store.get(str(batch.output_key)))) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
    assert [item["custom_id"] for item in manifest["items"]] == [
        f"item-{number}" for number in range(ITEMS)
    ]
    assert len({item["file"] for item in manifest["items"]}) == ITEMS
