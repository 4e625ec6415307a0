"""audio.bundle: all files of a batch in one zip, with a manifest."""

from __future__ import annotations

import json
from typing import Any

from mynah.audio.spool import open_spool, size_of
from mynah.contracts.audio import AudioFile, AudioRequest, AudioResult
from mynah.contracts.object_keys import audio_output
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.storage.packing import add_entry, open_zip

BUNDLE_NAME = "all.zip"
_CONTENT_TYPE = "application/zip"


def bundle_job(worker: WorkerContext, claim: Claim) -> Commit:
    """Store the zip of the claimed job's files; too many bytes make none, and say so."""
    with worker.new_uow() as uow:
        job = uow.jobs.by_id(claim.job.id)
    request = AudioRequest.model_validate(job.request)
    result = AudioResult.model_validate(job.result or {})
    size_bytes = sum(file.size_bytes for item in result.items.values() for file in item.files)
    made: dict[str, Any] = {"bundle_error": "bundle_too_large"}
    if size_bytes <= worker.settings.max_bundle_bytes:
        made = {"bundle": _store_bundle(worker, claim, request, result).model_dump(mode="json")}

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        job.result = {**(job.result or {}), **made}

    return commit


def _store_bundle(
    worker: WorkerContext, claim: Claim, request: AudioRequest, result: AudioResult
) -> AudioFile:
    job = claim.job
    key = audio_output(job.user_id, job.id, claim.token, BUNDLE_NAME)
    with open_spool() as file:
        with open_zip(file) as archive:
            add_entry(archive, "manifest.json", [_manifest(request, result)])
            for item in result.items.values():
                for made in item.files:
                    claim.ensure_held()
                    chunks = worker.store.iter_range(made.object_key, 0, made.size_bytes)
                    add_entry(archive, made.name, chunks)
        size_bytes = size_of(file)
        worker.store.put_file(key, file, size_bytes, _CONTENT_TYPE)
    return AudioFile(
        name=BUNDLE_NAME, object_key=key, content_type=_CONTENT_TYPE, size_bytes=size_bytes
    )


def _manifest(request: AudioRequest, result: AudioResult) -> bytes:
    items = [
        {
            "index": index,
            "name": given.name,
            "sample_id": None if given.sample_id is None else str(given.sample_id),
            "files": [file.name for file in item.files],
            **item.model_dump(mode="json", include={"result", "error_code", "error_message"}),
        }
        for index, given in enumerate(request.inputs)
        if (item := result.items.get(index)) is not None
    ]
    document = {"operation": request.operation.value, "items": items}
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
