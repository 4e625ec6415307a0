"""/v1/history, /v1/usage and /v1/user: ElevenLabs' shapes of what was spoken and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO
from uuid import UUID

from flask import Blueprint, Response

from mynah.audio.spool import open_spool
from mynah.contracts.speech import OutputFormat
from mynah.db.clock import utc_now
from mynah.db.models import Job, User, Voice
from mynah.db.repositories.history import Wanted
from mynah.db.repositories.usage import period_of
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest, NotAuthenticated, NotFound
from mynah.jobs.outputs import remove_output
from mynah.storage.packing import add_entry, open_zip
from services.api.auth.caller import current_caller, requires
from services.api.bootstrap import current_container
from services.api.compat.bodies import read_json, read_query
from services.api.compat.vendors import Vendor
from services.api.downloads import send_object
from services.api.schemas import compat_elevenlabs_records as schemas
from services.api.use_cases.speech import (
    finished_output,
    output_filename,
    quota_of,
    seconds_to_next_month,
)
from services.api.use_cases.usage_stats import usage_stats

blp = Blueprint("elevenlabs records", __name__, url_prefix="/v1")

_CHUNK_BYTES = 256 * 1024


@blp.get("/history")
@requires("speech:read")
def list_history() -> dict[str, Any]:
    """List finished speech, newest first unless asked otherwise."""
    query, caller = read_query(schemas.HistoryQuerySchema), current_caller()
    size = query["page_size"]
    with current_container().new_uow() as uow:
        found = uow.history.page(
            caller.user_id,
            _wanted(uow, query),
            after=query.get("start_after_history_item_id"),
            limit=size + 1,
            newest_first=query["sort_direction"] == "desc",
        )
    items = [schemas.show_item(job, voice) for job, voice in found[:size]]
    return {
        "history": items,
        "last_history_item_id": items[-1]["history_item_id"] if items else None,
        "has_more": len(found) > size,
        "scanned_until": None,
    }


@blp.get("/history/<item_id>")
@requires("speech:read")
def get_item(item_id: str) -> dict[str, Any]:
    """Show an item."""
    with current_container().new_uow() as uow:
        return schemas.show_item(*_item(uow, item_id))


@blp.delete("/history/<item_id>")
@requires("speech:write")
def delete_item(item_id: str) -> dict[str, str]:
    """Delete an item's audio, in all its formats; its usage stays counted."""
    container = current_container()
    with container.new_uow() as uow:
        job, _ = _item(uow, item_id)
        remove_output(uow, container.store, job)
        uow.commit()
    return {"status": "ok"}


@blp.get("/history/<item_id>/audio")
@requires("speech:read")
def item_audio(item_id: str) -> Response:
    """Send an item's audio."""
    container = current_container()
    with container.new_uow() as uow:
        job, _ = _item(uow, item_id)
    return send_object(container.store, finished_output(job), output_filename(job))


@blp.post("/history/download")
@requires("speech:read")
def download_items() -> Response:
    """Send one item's audio, or several in a zip."""
    body, container = read_json(schemas.DownloadSchema), current_container()
    ids = list(dict.fromkeys(body["history_item_ids"]))
    with container.new_uow() as uow:
        jobs = [_item(uow, str(item_id))[0] for item_id in ids]
    if len(jobs) == 1:
        return send_object(container.store, finished_output(jobs[0]), output_filename(jobs[0]))
    limit = container.settings.max_archive_bytes
    if sum(job.output_size_bytes or 0 for job in jobs) > limit:
        message = f"These items have more than {limit} bytes together; ask for fewer."
        raise InvalidRequest(message, code="archive_too_large")
    file = _zipped(jobs)
    response = Response(_chunks(file), content_type="application/zip")
    response.call_on_close(file.close)
    response.headers["Content-Disposition"] = 'attachment; filename="history.zip"'
    return response


@blp.get("/usage/character-stats")
@requires("usage:read")
def character_stats() -> dict[str, Any]:
    """Show what was spoken per stretch of time."""
    query = read_query(schemas.UsageQuerySchema)
    start, stop = (
        datetime.fromtimestamp(query[name] / 1000, UTC) for name in ("start_unix", "end_unix")
    )
    with current_container().new_uow() as uow:
        stats = usage_stats(
            uow,
            current_caller().user_id,
            start,
            stop,
            unit=query["aggregation_interval"],
            breakdown=query["breakdown_type"],
            metric=query["metric"],
        )
    times = [int(moment.timestamp() * 1000) for moment in stats.starts]
    return {"time": times, "usage": stats.usage}


@blp.get("/user")
@requires("account:read")
def get_user() -> dict[str, Any]:
    """Show the account."""
    with current_container().new_uow() as uow:
        user = _user(uow)
        return schemas.show_user(user, _subscription(uow))


@blp.get("/user/subscription")
@requires("usage:read")
def get_subscription() -> dict[str, Any]:
    """Show this month's usage and quota."""
    with current_container().new_uow() as uow:
        return _subscription(uow)


def _wanted(uow: UnitOfWork, query: dict[str, Any]) -> Wanted:
    """What a query asks for. Raises NotFound for a voice or model that is not there."""
    container, vendor = current_container(), Vendor.ELEVENLABS
    table = container.names[vendor]
    voice_id = engine = None
    if "voice_id" in query:
        with suppress(ValueError):
            voice_id = UUID(query["voice_id"])  # perhaps of one that was deleted
        voice_id = voice_id or table.voice(uow, current_caller().user_id, query["voice_id"]).id
    if "model_id" in query:
        engine = table.engine(container.settings, query["model_id"]).id
    return Wanted(
        voice_id=voice_id,
        engine=engine,
        since=_moment(query.get("date_after_unix")),
        until=_moment(query.get("date_before_unix")),
        text_contains=query.get("search"),
    )


def _moment(unix_s: int | None) -> datetime | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC)


def _item(uow: UnitOfWork, item_id: str) -> tuple[Job, Voice | None]:
    found = None
    with suppress(ValueError):
        found = uow.history.get(current_caller().user_id, UUID(item_id))
    if found is None:
        raise NotFound("There is no such history item.", code="history_item_not_found")
    return found


def _zipped(jobs: list[Job]) -> BinaryIO:
    """The jobs' files in a zip; it is closed with the response."""
    store = current_container().store
    file = open_spool()
    with open_zip(file) as archive:
        for job in jobs:
            key = finished_output(job)
            name = f"{job.id}.{OutputFormat(str(job.output_format))}"
            add_entry(archive, name, store.iter_range(key, 0, store.stat(key).size_bytes))
    file.seek(0)
    return file


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _user(uow: UnitOfWork) -> User:
    user = uow.users.get(current_caller().user_id)
    if user is None:
        raise NotAuthenticated("The account is gone.")
    return user


def _subscription(uow: UnitOfWork) -> dict[str, Any]:
    container, caller, now = current_container(), current_caller(), utc_now()
    usage = uow.usage.get(caller.user_id, period_of(now))
    return schemas.show_subscription(
        used=usage.characters if usage else 0,
        limit=quota_of(caller, container.settings),
        voices=uow.voices.count_own(caller.user_id),
        resets_at=int(now.timestamp()) + seconds_to_next_month(now),
    )
