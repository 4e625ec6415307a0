"""/api/analytics: what was spoken, saved and stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView

from mynah.db.clock import utc_now
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest, NotFound, PermissionDenied
from services.api.auth.caller import current_caller
from services.api.auth.scopes import ADMIN
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.schemas import analytics as schemas
from services.api.use_cases.analytics import analyse, choose_period

blp = ApiBlueprint("analytics", __name__, url_prefix="/api/analytics", description="Figures")


@blp.route("")
class Analytics(MethodView):
    """Figures of a period."""

    @blp.guarded("usage:read")
    @blp.arguments(schemas.AnalyticsQuerySchema, location="query")
    @blp.response(200, schemas.AnalyticsSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """Show speech per day, its size and savings, and what is stored with its cost.

        Days are those of the request, in UTC; jobs older than the platform's history are gone.
        """
        container = current_container()
        period = choose_period(query.get("from_"), query.get("to"), utc_now().date())
        with container.new_uow() as uow:
            user_id = _whose(uow, query)
            return analyse(uow, container.settings, user_id, period)


def _whose(uow: UnitOfWork, query: dict[str, Any]) -> UUID | None:
    """The user whose figures are asked for; None = everybody's."""
    caller = current_caller()
    asked: UUID | None = query.get("user_id")
    if asked is not None and query["all"]:
        raise InvalidRequest("Ask for one user or for all.", code="invalid_request")
    if (query["all"] or asked not in (None, caller.user_id)) and ADMIN not in caller.scopes:
        raise PermissionDenied("Figures of others are for administrators.", code="missing_scope")
    if query["all"]:
        return None
    if asked is not None and uow.users.get(asked) is None:
        raise NotFound("There is no such user.", code="user_not_found")
    return asked or caller.user_id
