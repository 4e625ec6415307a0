"""What the tests of batches share: orders, what became of them, their archives."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any
from uuid import UUID

from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.db.repositories.usage import period_of
from mynah.errors import EngineFailed
from mynah.jobs.transitions import fail_job
from tests.integration.api.gateway import ADA
from tests.integration.voices.studio import Studio, json_of

DEFAULTS = {"voice_id": str(ADA)}
STEPS_OF_AN_ITEM = 2


def send(studio: Studio, *items: Any, **body: Any) -> Any:
    document = {"defaults": DEFAULTS, "items": list(items), **body}
    return studio.post("/api/tts/batch", json=document)


def ordered(studio: Studio, *items: Any, **body: Any) -> dict[str, Any]:
    response = send(studio, *items, **body)
    assert response.status_code == 202, response.get_data(as_text=True)
    return json_of(response)


def texts(count: int) -> list[dict[str, Any]]:
    return [{"text": f"Number {number}."} for number in range(count)]


def shown(studio: Studio, batch: dict[str, Any], query: str = "") -> dict[str, Any]:
    response = studio.get(f"/api/tts/batch/{batch['batch_id']}{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    return json_of(response)


def archive_of(studio: Studio, batch: dict[str, Any]) -> zipfile.ZipFile:
    with studio.get(f"/api/tts/batch/{batch['batch_id']}/download") as response:
        assert response.status_code == 200, response.get_data(as_text=True)
        assert response.mimetype == "application/zip"
        return zipfile.ZipFile(io.BytesIO(response.get_data()))


def manifest_of(archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
    return manifest


def characters_of(studio: Studio) -> int:
    with studio.worker.new_uow() as uow:
        usage = uow.usage.get(studio.account.id, period_of(utc_now()))
    return usage.characters if usage else 0


def count_jobs(studio: Studio) -> int:
    with studio.worker.new_uow() as uow:
        return uow.session.query(Job).filter_by(user_id=studio.account.id).count()


def cancel_item(studio: Studio, item: dict[str, Any]) -> None:
    assert studio.post(f"/api/tts/job/{item['job_id']}/cancel").status_code == 200


def fail_item(studio: Studio, item: dict[str, Any]) -> None:
    with studio.worker.new_uow() as uow:
        job = uow.jobs.locked(UUID(item["job_id"]))
        assert job is not None
        fail_job(uow, job, EngineFailed("The engine choked."))
        uow.commit()
