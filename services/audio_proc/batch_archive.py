"""audio.pack_batch: the speech of a batch's items becomes one zip with a manifest.

The zip is written to a temporary file and the outputs go through it in chunks, so that memory
does not grow with the batch. Its size is bounded: an item for which there is no room is left
out, with the reason in the manifest.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import BinaryIO

from mynah.audio.spool import open_spool, size_of
from mynah.contracts.batches import BatchRequest
from mynah.contracts.object_keys import batch_archive
from mynah.contracts.states import JobState
from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.db.repositories.batches import BatchChild
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.storage.base import ObjectStore
from mynah.storage.packing import add_entry, open_zip

CONTENT_TYPE = "application/zip"
EXPIRED, REJECTED = "expired", "rejected"
ARCHIVE_FULL = "archive_full"
LONGEST_NAME = 80
_UNSAFE = frozenset('/\\:*?"<>|')


@dataclass(frozen=True, slots=True)
class ManifestItem:
    """What the manifest says of one item; ``file`` is its name in the zip."""

    position: int
    custom_id: str | None
    job_id: str | None
    status: str
    title: str | None = None
    file: str | None = None
    format: str | None = None
    duration_s: float | None = None
    size_bytes: int | None = None
    characters: int | None = None
    error_code: str | None = None
    error_message: str | None = None


def pack_batch(worker: WorkerContext, claim: Claim) -> Commit:
    """Pack what the claimed batch's items gave; failed ones are only in the manifest."""
    request = BatchRequest.model_validate(claim.job.request)
    with worker.new_uow() as uow:
        children = uow.batches.children(claim.job.id)
    key = batch_archive(claim.job.id, request.origin)
    with open_spool() as file:
        archive = _Archive(worker.store, claim, request, file, worker.settings.max_archive_bytes)
        items = archive.write(children)
        size_bytes = size_of(file)
        worker.store.put_file(key, file, size_bytes, CONTENT_TYPE)

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        job.actual_duration_s = round(sum(item.duration_s or 0.0 for item in items), 3)
        job.output_key = key
        job.output_format = "zip"
        job.output_size_bytes = size_bytes
        job.expires_at = utc_now() + timedelta(hours=worker.settings.output_retention_h)
        job.result = {
            "items": dict(Counter(item.status for item in items)),
            "left_out": sum(item.error_code == ARCHIVE_FULL for item in items),
        }

    return commit


def entry_name(position: int, name: str, extension: str) -> str:
    """A file name that every system takes and no other item has: ``0001-the-tale.mp3``."""
    safe = "".join(
        character if character.isprintable() and character not in _UNSAFE else "_"
        for character in name
    )
    return f"{position + 1:04d}-{safe[:LONGEST_NAME].strip(' .')}.{extension}"


@dataclass(frozen=True, slots=True)
class _Archive:
    """The zip being made, and from what."""

    store: ObjectStore
    claim: Claim
    request: BatchRequest
    file: BinaryIO
    max_bytes: int

    def write(self, children: Sequence[BatchChild]) -> list[ManifestItem]:
        """Write all entries; returns what the manifest says."""
        by_position = {child.position: child for child in children}
        now = utc_now()
        with open_zip(self.file) as archive:
            items = self._rejected_items()
            for position, custom_id in enumerate(self.request.custom_ids):
                if position not in items:
                    self.claim.ensure_held()
                    child = by_position.get(position)
                    items[position] = self._add(archive, position, custom_id, child)
            ordered = [items[position] for position in sorted(items)]
            for name, text in (
                ("manifest.json", self._manifest(ordered, now)),
                ("manifest.csv", _table(ordered)),
            ):
                add_entry(archive, name, [text.encode()])
        return ordered

    def _rejected_items(self) -> dict[int, ManifestItem]:
        return {
            item.position: ManifestItem(
                position=item.position,
                custom_id=self.request.custom_ids[item.position],
                job_id=None,
                status=REJECTED,
                error_code=item.error_code,
                error_message=item.error_message,
            )
            for item in self.request.rejected
        }

    def _add(
        self,
        archive: zipfile.ZipFile,
        position: int,
        custom_id: str | None,
        child: BatchChild | None,
    ) -> ManifestItem:
        if child is None:  # so old that its job was forgotten
            return ManifestItem(position, custom_id, None, EXPIRED)
        item = ManifestItem(
            position,
            custom_id,
            str(child.job_id),
            child.state,
            child.title,
            characters=child.characters,
            error_code=child.error_code,
            error_message=child.error_message,
        )
        if child.state != JobState.COMPLETED:
            return item
        if self.file.tell() + (child.output_size_bytes or 0) > self.max_bytes:
            message = "The archive had no room for this item; download it by its job_id."
            return replace(item, error_code=ARCHIVE_FULL, error_message=message)
        shown = child.title or custom_id or str(child.job_id)
        name = entry_name(position, shown, child.output_format)
        if not self._copy(archive, name, child):
            return replace(item, status=EXPIRED)
        return replace(
            item,
            file=name,
            format=child.output_format,
            duration_s=child.actual_duration_s,
            size_bytes=child.output_size_bytes,
        )

    def _copy(self, archive: zipfile.ZipFile, name: str, child: BatchChild) -> bool:
        """Copy an output into the zip; False when it is not there any more."""
        size_bytes = child.output_size_bytes or 0
        if child.output_key is None:
            return False
        try:
            chunks = self.store.iter_range(child.output_key, 0, size_bytes)
        except NotFound:
            return False
        add_entry(archive, name, chunks)
        return True

    def _manifest(self, items: Sequence[ManifestItem], now: datetime) -> str:
        job = self.claim.job
        document = {
            "batch_id": str(job.id),
            "title": self.request.title,
            "created_at": job.created_at.isoformat(),
            "packed_at": now.isoformat(),
            "counts": Counter(item.status for item in items),
            "items": [asdict(item) for item in items],
        }
        return json.dumps(document, indent=1, ensure_ascii=False)


def _table(items: Sequence[ManifestItem]) -> str:
    output = io.StringIO()
    writer = csv.DictWriter(output, [field.name for field in fields(ManifestItem)])
    writer.writeheader()
    writer.writerows(asdict(item) for item in items)
    return output.getvalue()
