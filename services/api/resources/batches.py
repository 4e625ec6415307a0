"""/api/tts/batch: many texts in one request."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView

from mynah.contracts.states import JobKind
from mynah.db.repositories.batches import ChildSums
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import send_object
from services.api.resources.tts import requester
from services.api.schemas import batches as schemas
from services.api.use_cases import batches
from services.api.use_cases.speech import finished_output

blp = ApiBlueprint("batches", __name__, url_prefix="/api/tts", description="Many texts at once")


@blp.route("/batch")
class NewBatch(MethodView):
    """New batches."""

    @blp.creates("speech:write", 413)
    @blp.arguments(schemas.BatchSchema)
    @blp.response(202, schemas.ShownBatchSchema)
    def post(self, order: batches.BatchOrder) -> Any:
        """Have up to 1,000 texts spoken. Each becomes a job of its own.

        An item that cannot be spoken is `rejected` with its error code and does not hold up the
        others; 422 `no_valid_item` when none can be. The quota is checked for the whole.
        """
        container = current_container()
        with container.new_uow() as uow:
            batch = batches.order_batch(uow, container.settings, requester(), order)
            uow.commit()
        return _show(batch.id, 0, schemas.MAX_ITEMS)


@blp.route("/batches")
class Batches(MethodView):
    """The caller's batches."""

    @blp.guarded("speech:read")
    @blp.arguments(schemas.BatchesQuerySchema, location="query")
    @blp.response(200, schemas.BatchPageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List batches, newest first."""
        with current_container().new_uow() as uow:
            page = uow.jobs.page(
                current_caller().user_id,
                kind=JobKind.BATCH,
                state=query.get("status"),
                cursor=query.get("cursor"),
                limit=query["limit"],
            )
            sums = uow.batches.sums([batch.id for batch in page.items])
        items = [
            schemas.show_summary(batch, sums.get(batch.id, ChildSums())) for batch in page.items
        ]
        return {"items": items, "next_cursor": page.next_cursor}


@blp.route("/batch/<uuid:batch_id>")
class OneBatch(MethodView):
    """One batch."""

    @blp.guarded("speech:read")
    @blp.arguments(schemas.BatchQuerySchema, location="query")
    @blp.response(200, schemas.ShownBatchSchema)
    def get(self, query: dict[str, Any], batch_id: UUID) -> Any:
        """Show a batch's counts and progress, and its items from `cursor` on."""
        return _show(batch_id, query["cursor"], query["limit"])


@blp.route("/batch/<uuid:batch_id>/cancel")
class CancelBatch(MethodView):
    """The end of a batch before its time."""

    @blp.guarded("speech:write", 409)
    @blp.response(200, schemas.ShownBatchSchema)
    def post(self, batch_id: UUID) -> Any:
        """Cancel a batch and its open items; what is finished stays. Twice is no error."""
        container = current_container()
        batches.cancel_batch(container.new_uow, current_caller().user_id, batch_id)
        return _show(batch_id, 0, schemas.MAX_ITEMS)


@blp.route("/batch/<uuid:batch_id>/download")
class DownloadBatch(MethodView):
    """All of a batch."""

    @blp.guarded("speech:read", 409, 410, 416)
    @blp.sends_file("application/zip")
    def get(self, batch_id: UUID) -> Response:
        """Download a finished batch as a zip: its audio, `manifest.json` and `manifest.csv`."""
        container = current_container()
        with container.new_uow() as uow:
            batch = batches.find_batch(uow, current_caller().user_id, batch_id)
        return send_object(container.store, finished_output(batch), f"batch-{batch_id}.zip")


def _show(batch_id: UUID, first: int, limit: int) -> dict[str, Any]:
    with current_container().new_uow() as uow:
        batch = batches.find_batch(uow, current_caller().user_id, batch_id)
        sums = batches.sums_of(uow, batch)
        return schemas.show_batch(batch, sums, batches.items_of(uow, batch, first, limit))
