"""/api/admin: accounts and figures, for administrators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from marshmallow import Schema, fields

from mynah.errors import NotFound
from services.api.auth.scopes import ADMIN
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.schemas import accounts as schemas

blp = ApiBlueprint("admin", __name__, url_prefix="/api/admin", description="For administrators")


class StatsSchema(Schema):
    """Jobs by kind and state, and what waits."""

    jobs = fields.List(fields.Dict(), required=True)
    queues = fields.List(fields.Dict(), required=True)


@blp.route("/users")
class Users(MethodView):
    """All accounts."""

    @blp.guarded(ADMIN)
    @blp.arguments(schemas.UserQuerySchema, location="query")
    @blp.response(200, schemas.UserListSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List accounts, newest first; the cursor is the last id of the page before."""
        with current_container().new_uow() as uow:
            return {"items": uow.users.page(query.get("cursor"), query["limit"])}


@blp.route("/users/<uuid:user_id>")
class OneUser(MethodView):
    """One account."""

    @blp.guarded(ADMIN)
    @blp.response(200, schemas.UserSchema)
    def get(self, user_id: UUID) -> Any:
        """Show an account."""
        with current_container().new_uow() as uow:
            user = uow.users.get(user_id)
        if user is None:
            raise NotFound("There is no such user.", code="user_not_found")
        return user

    @blp.guarded(ADMIN)
    @blp.arguments(schemas.AdminUserChangeSchema)
    @blp.response(200, schemas.UserSchema)
    def patch(self, body: dict[str, Any], user_id: UUID) -> Any:
        """Change role, activity or quota; takes effect with the next request."""
        with current_container().new_uow() as uow:
            user = uow.users.get(user_id)
            if user is None:
                raise NotFound("There is no such user.", code="user_not_found")
            for name, value in body.items():
                setattr(user, name, value)
            uow.commit()
            return user


@blp.route("/stats")
class Stats(MethodView):
    """The platform's figures."""

    @blp.guarded(ADMIN)
    @blp.response(200, StatsSchema)
    def get(self) -> Any:
        """Count jobs and show the queues."""
        with current_container().new_uow() as uow:
            jobs = [
                {"kind": kind, "state": state, "count": count}
                for kind, state, count in uow.jobs.counts()
            ]
            queues = [
                {
                    "queue": row.queue,
                    "ready": row.ready,
                    "running": row.running,
                    "oldest_s": round(row.oldest_s, 3),
                }
                for row in uow.steps.backlog()
            ]
        return {"jobs": jobs, "queues": queues}
