"""Batches: many texts in one request, each a job of its own, one archive of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mynah.contracts.batches import BatchRequest, RejectedItem
from mynah.contracts.states import JobKind
from mynah.contracts.tasks import PACK_BATCH
from mynah.db.ids import new_id
from mynah.db.models import Job
from mynah.db.repositories.batches import BatchChild, ChildSums
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import InvalidRequest, MynahError, NotFound, TextTooLong
from mynah.jobs.submission import StepPlan, submit_job
from mynah.jobs.transitions import cancel_job
from mynah.settings import Settings
from services.api.use_cases.speech import (
    PreparedSpeech,
    Requester,
    place_speech,
    prepare_speech,
)
from services.api.use_cases.speech_order import SpeechOrder

#: Items that one transaction cancels: their workers wait for its locks.
CANCELLED_AT_ONCE = 50
#: How far beyond the limit an archive must be by estimate for its batch to be refused. One that
#: turns out a little too large is made, without the items for which it has no room.
ESTIMATE_MARGIN = 2


@dataclass(frozen=True, slots=True)
class BatchItem:
    """An item of a batch: what to speak, or why that cannot be read."""

    order: SpeechOrder | InvalidRequest
    custom_id: str | None = None


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """Many texts to be spoken."""

    items: Sequence[BatchItem]
    title: str | None = None


@dataclass(frozen=True, slots=True)
class ShownItem:
    """An item as it is now: its job, or why it has none."""

    position: int
    custom_id: str | None
    child: BatchChild | None = None
    rejected: RejectedItem | None = None


def order_batch(
    uow: UnitOfWork, settings: Settings, requester: Requester, order: BatchOrder
) -> Job:
    """Make a batch and a speech job for each of its items. The caller commits all or nothing.

    Items that cannot be spoken are noted with their error. Raises InvalidRequest when that are
    all or when the archive would be far too large, TextTooLong for all texts together,
    QuotaExceeded for the whole.
    """
    _check_characters(_written_characters(order), settings.max_batch_characters)
    batch_id = new_id()
    speeches, rejected = _prepare_items(uow, settings, requester, order)
    for speech in speeches:
        speech.job.parent_id = batch_id
    if not speeches:
        raise _nothing_to_speak(rejected)
    _check_archive(speeches, settings.max_archive_bytes)
    batch = Job(
        id=batch_id,
        user_id=requester.user_id,
        kind=JobKind.BATCH,
        request=_build_request(requester, order, rejected).model_dump(mode="json"),
        request_id=requester.request_id,
        open_children=len(speeches),
        has_work_files=True,  # an archive that was stored while the batch was cancelled
    )
    submit_job(uow, batch, [StepPlan(PACK_BATCH, PACK_BATCH.queue_for(), 0)], window=0)
    place_speech(uow, settings, requester, speeches)
    return batch


def _build_request(
    requester: Requester, order: BatchOrder, rejected: Sequence[RejectedItem]
) -> BatchRequest:
    return BatchRequest(
        title=order.title,
        custom_ids=tuple(item.custom_id for item in order.items),
        rejected=tuple(rejected),
        origin=requester.origin,
    )


def find_batch(uow: UnitOfWork, user_id: UUID, batch_id: UUID) -> Job:
    """A user's batch. Raises NotFound."""
    batch = uow.jobs.get(user_id, batch_id, JobKind.BATCH)
    if batch is None:
        raise NotFound("There is no such batch.", code="batch_not_found")
    return batch


def sums_of(uow: UnitOfWork, batch: Job) -> ChildSums:
    """What the items of a batch add up to."""
    return uow.batches.sums([batch.id]).get(batch.id, ChildSums())


def items_of(uow: UnitOfWork, batch: Job, first: int, limit: int) -> list[ShownItem]:
    """The items of a batch from a position on."""
    request = BatchRequest.model_validate(batch.request)
    children = {child.position: child for child in uow.batches.children(batch.id, first, limit)}
    rejected = {item.position: item for item in request.rejected}
    return [
        ShownItem(position, custom_id, children.get(position), rejected.get(position))
        for position, custom_id in enumerate(request.custom_ids[first : first + limit], first)
    ]


def cancel_batch(new_uow: UnitOfWorkFactory, user_id: UUID, batch_id: UUID) -> None:
    """Cancel a batch and its open items. Raises NotFound, Conflict when it ended otherwise.

    The batch first and alone, so that its archive is not made any more; then the items, some at
    a time. If that is cut off, cancelling again goes on with it.
    """
    with new_uow() as uow:
        find_batch(uow, user_id, batch_id)
        batch = uow.jobs.locked(batch_id)
        if batch is None:
            raise NotFound("There is no such batch.", code="batch_not_found")
        cancel_job(uow, batch)
        uow.commit()
    while _cancel_some(new_uow, batch_id):
        pass


def _cancel_some(new_uow: UnitOfWorkFactory, batch_id: UUID) -> bool:
    with new_uow() as uow:
        children = uow.jobs.locked_open_children(batch_id, CANCELLED_AT_ONCE)
        for child in children:
            cancel_job(uow, child)
        uow.commit()
        return bool(children)


def _written_characters(order: BatchOrder) -> int:
    orders = [item.order for item in order.items if isinstance(item.order, SpeechOrder)]
    texts = [one.text for one in orders]
    texts += [line.text for one in orders for line in one.script]
    return sum(map(len, texts))


def _check_characters(characters: int, limit: int) -> None:
    if characters > limit:
        raise TextTooLong(
            f"The texts have more than {limit} characters together, what pronunciation rules "
            "have read for them included.",
            code="batch_too_long",
        )


def _check_archive(speeches: Sequence[PreparedSpeech], limit: int) -> None:
    estimated_bytes = sum(speech.estimated_bytes for speech in speeches)
    if estimated_bytes > limit * ESTIMATE_MARGIN:
        raise InvalidRequest(
            f"The archive would have about {estimated_bytes} bytes; {limit} are allowed. Ask for "
            "a smaller format, or for several batches.",
            code="archive_too_large",
        )


def _prepare_items(
    uow: UnitOfWork, settings: Settings, requester: Requester, order: BatchOrder
) -> tuple[list[PreparedSpeech], list[RejectedItem]]:
    speeches: list[PreparedSpeech] = []
    rejected: list[RejectedItem] = []
    known: set[str] = set()
    characters = 0  # what rules have read for the texts included
    for position, item in enumerate(order.items):
        try:
            speech = _prepare_item(uow, settings, requester, item, known)
        except MynahError as error:
            if error.status >= 500:
                raise
            rejected.append(_rejection(position, error))
        else:
            speech.job.position = position
            speeches.append(speech)
            characters += speech.job.characters
            _check_characters(characters, settings.max_batch_characters)
    return speeches, rejected


def _prepare_item(
    uow: UnitOfWork,
    settings: Settings,
    requester: Requester,
    item: BatchItem,
    known: set[str],
) -> PreparedSpeech:
    if isinstance(item.order, InvalidRequest):
        raise item.order
    if item.custom_id is not None and item.custom_id in known:
        message = f"The custom_id {item.custom_id!r} was given before."
        raise InvalidRequest(message, code="duplicate_custom_id")
    speech = prepare_speech(uow, settings, requester, item.order)
    if item.custom_id is not None:
        known.add(item.custom_id)
    return speech


def _rejection(position: int, error: MynahError) -> RejectedItem:
    details = [f"{name}: {' '.join(messages)}" for name, messages in error.fields.items()]
    message = " ".join([error.message, *details])
    return RejectedItem(position=position, error_code=error.code, error_message=message)


def _nothing_to_speak(rejected: Sequence[RejectedItem]) -> InvalidRequest:
    fields = {
        f"items.{item.position}": [f"{item.error_code}: {item.error_message}"] for item in rejected
    }
    message = "No item of the batch can be spoken."
    return InvalidRequest(message, code="no_valid_item", fields=fields)
