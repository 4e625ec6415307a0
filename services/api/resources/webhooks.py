"""/api/webhooks: addresses that are told of a user's events, and the log of deliveries."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView

from mynah.contracts.webhooks import DeliveryState
from mynah.db.models import Webhook, WebhookDelivery
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.schemas import webhooks as schemas
from services.api.schemas.common import PageQuerySchema
from services.api.use_cases import webhooks

blp = ApiBlueprint("webhooks", __name__, url_prefix="/api/webhooks", description="Events by HTTP")


@blp.route("")
class Webhooks(MethodView):
    """The caller's webhooks."""

    @blp.guarded("account:read")
    @blp.arguments(PageQuerySchema, location="query")
    @blp.response(200, schemas.WebhookPageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List webhooks, newest first."""
        with current_container().new_uow() as uow:
            return uow.webhooks.page(
                current_caller().user_id, cursor=query.get("cursor"), limit=query["limit"]
            )

    @blp.creates("account:write")
    @blp.arguments(schemas.WebhookCreateSchema)
    @blp.response(201, schemas.WebhookWithSecretSchema)
    def post(self, draft: webhooks.WebhookDraft) -> Any:
        """Have an address told of events. The secret is in this answer and nowhere else."""
        container, user_id = current_container(), current_caller().user_id
        webhooks.check_address(container.settings, draft.url)
        with container.new_uow() as uow:
            made, secret = webhooks.create_webhook(uow, container.settings, user_id, draft)
            uow.commit()
            return _with_secret(made, secret)


@blp.route("/<uuid:webhook_id>")
class OneWebhook(MethodView):
    """One webhook."""

    @blp.guarded("account:read")
    @blp.response(200, schemas.WebhookSchema)
    def get(self, webhook_id: UUID) -> Any:
        """Show a webhook."""
        with current_container().new_uow() as uow:
            return webhooks.find_webhook(uow, current_caller().user_id, webhook_id)

    @blp.guarded("account:write")
    @blp.arguments(schemas.WebhookChangeSchema)
    @blp.response(200, schemas.WebhookSchema)
    def patch(self, change: webhooks.WebhookChange, webhook_id: UUID) -> Any:
        """Change a webhook, disable it, or enable it again."""
        container = current_container()
        if change.url is not None:
            webhooks.check_address(container.settings, change.url)
        with container.new_uow() as uow:
            found = webhooks.change_webhook(uow, current_caller().user_id, webhook_id, change)
            uow.commit()
            return found

    @blp.guarded("account:write")
    @blp.response(204)
    def delete(self, webhook_id: UUID) -> None:
        """Delete a webhook with its log; what was not sent yet is not sent any more."""
        with current_container().new_uow() as uow:
            found = webhooks.find_webhook(uow, current_caller().user_id, webhook_id)
            uow.webhooks.delete(found)
            uow.commit()


@blp.route("/<uuid:webhook_id>/rotate-secret")
class RotateSecret(MethodView):
    """Another secret."""

    @blp.creates("account:write")
    @blp.response(200, schemas.WebhookWithSecretSchema)
    def post(self, webhook_id: UUID) -> Any:
        """Replace the secret at once; the new one is in this answer and nowhere else."""
        container, user_id = current_container(), current_caller().user_id
        with container.new_uow() as uow:
            found, secret = webhooks.rotate_secret(uow, container.settings, user_id, webhook_id)
            uow.commit()
            return _with_secret(found, secret)


@blp.route("/<uuid:webhook_id>/test")
class TestWebhook(MethodView):
    """A delivery to try out."""

    @blp.creates("account:write")
    @blp.response(202, schemas.DeliverySchema)
    def post(self, webhook_id: UUID) -> Any:
        """Send `webhook.test`; the log shows what came of it."""
        with current_container().new_uow() as uow:
            sent = webhooks.send_test(uow, current_caller().user_id, webhook_id)
            uow.commit()
            return _show(sent)


@blp.route("/<uuid:webhook_id>/deliveries")
class Deliveries(MethodView):
    """The log of a webhook."""

    @blp.guarded("account:read")
    @blp.arguments(schemas.DeliveryQuerySchema, location="query")
    @blp.response(200, schemas.DeliveryPageSchema)
    def get(self, query: dict[str, Any], webhook_id: UUID) -> Any:
        """List deliveries, newest first, with the last attempt of each."""
        with current_container().new_uow() as uow:
            found = webhooks.find_webhook(uow, current_caller().user_id, webhook_id)
            page = uow.deliveries.page(
                found.id,
                state=query.get("state"),
                cursor=query.get("cursor"),
                limit=query["limit"],
            )
        return {
            "items": [_show(delivery) for delivery in page.items],
            "next_cursor": page.next_cursor,
        }


@blp.route("/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay")
class Replay(MethodView):
    """A delivery once more."""

    @blp.creates("account:write")
    @blp.response(202, schemas.DeliverySchema)
    def post(self, webhook_id: UUID, delivery_id: UUID) -> Any:
        """Send the same body again, as a delivery of its own."""
        with current_container().new_uow() as uow:
            sent = webhooks.replay_delivery(uow, current_caller().user_id, webhook_id, delivery_id)
            uow.commit()
            return _show(sent)


def _with_secret(webhook: Webhook, secret: str) -> dict[str, Any]:
    return {**_columns(webhook), "secret": secret}


def _columns(row: Webhook | WebhookDelivery) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def _show(delivery: WebhookDelivery) -> dict[str, Any]:
    """A delivery; the next attempt is nobody's business once it has ended."""
    shown = _columns(delivery)
    if delivery.state != DeliveryState.PENDING:
        shown["next_attempt_at"] = None
    return shown
