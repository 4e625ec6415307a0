"""/api/auth: register, login, refresh, logout, me, API keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView

from mynah.db.clock import utc_now
from mynah.db.repositories.usage import period_of
from mynah.errors import InvalidRequest, NotAuthenticated
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.schemas import accounts as schemas
from services.api.use_cases import accounts, api_keys
from services.api.use_cases.speech import quota_of

blp = ApiBlueprint("accounts", __name__, url_prefix="/api/auth", description="Accounts and keys")


@blp.route("/register")
class Register(MethodView):
    """New accounts."""

    @blp.fails(403, 409)
    @blp.arguments(schemas.RegisterSchema)
    @blp.response(201, schemas.UserSchema)
    def post(self, body: dict[str, Any]) -> Any:
        """Register."""
        container = current_container()
        with container.new_uow() as uow:
            user = accounts.register(uow, container.settings, **body)
            uow.commit()
            uow.session.refresh(user)
            return user


@blp.route("/login")
class Login(MethodView):
    """Logins."""

    @blp.fails(401)
    @blp.arguments(schemas.LoginSchema)
    @blp.response(200, schemas.TokenPairSchema)
    def post(self, body: dict[str, Any]) -> Any:
        """Log in with email and password."""
        container = current_container()
        with container.new_uow() as uow:
            pair = accounts.log_in(uow, container.settings, **body)
            uow.commit()
            return pair


@blp.route("/refresh")
class Refresh(MethodView):
    """Fresh tokens."""

    @blp.fails(401)
    @blp.arguments(schemas.RefreshSchema)
    @blp.response(200, schemas.TokenPairSchema)
    def post(self, body: dict[str, Any]) -> Any:
        """Spend a refresh token for new tokens."""
        container = current_container()
        with container.new_uow() as uow:
            pair = accounts.refresh(uow, container.settings, **body)
            uow.commit()
            return pair


@blp.route("/logout")
class Logout(MethodView):
    """The end of logins."""

    @blp.guarded("account:write")
    @blp.response(204)
    def post(self) -> None:
        """Revoke all refresh tokens of the account."""
        with current_container().new_uow() as uow:
            accounts.log_out(uow, current_caller().user_id)
            uow.commit()


@blp.route("/me")
class Me(MethodView):
    """The caller's own account."""

    @blp.guarded("account:read")
    @blp.response(200, schemas.UserSchema)
    def get(self) -> Any:
        """Show the account."""
        with current_container().new_uow() as uow:
            return uow.users.get(current_caller().user_id)

    @blp.guarded("account:write")
    @blp.arguments(schemas.UserChangeSchema)
    @blp.response(200, schemas.UserSchema)
    def patch(self, body: dict[str, str]) -> Any:
        """Change the name, or the password (with the old one)."""
        if ("old_password" in body) != ("new_password" in body):
            raise InvalidRequest("Send the old and the new password.")
        with current_container().new_uow() as uow:
            user = uow.users.get(current_caller().user_id)
            if user is None:
                raise NotAuthenticated("The account is gone.")
            user.name = body.get("name", user.name)
            if "new_password" in body:
                accounts.change_password(uow, user.id, body["old_password"], body["new_password"])
            uow.commit()
            return user


@blp.route("/usage")
class UsageOfMonth(MethodView):
    """The caller's usage."""

    @blp.guarded("usage:read")
    @blp.response(200, schemas.UsageSchema)
    def get(self) -> Any:
        """Show this month's usage and quota."""
        container, caller = current_container(), current_caller()
        period = period_of(utc_now())
        with container.new_uow() as uow:
            usage = uow.usage.get(caller.user_id, period)
        names = ("characters", "jobs", "audio_s", "cost", "output_bytes", "saved_bytes")
        sums = {name: getattr(usage, name) if usage else 0 for name in names}
        quota = quota_of(caller, container.settings)
        return {"period": period, "character_quota": quota, **sums}


@blp.route("/keys")
class Keys(MethodView):
    """API keys."""

    @blp.guarded("account:read")
    @blp.response(200, schemas.ApiKeyListSchema)
    def get(self) -> Any:
        """List the account's keys."""
        with current_container().new_uow() as uow:
            return {"items": uow.api_keys.of_user(current_caller().user_id)}

    @blp.creates("account:write")
    @blp.arguments(schemas.ApiKeyCreateSchema)
    @blp.response(201, schemas.NewApiKeySchema)
    def post(self, body: dict[str, Any]) -> Any:
        """Create a key. Its text is in this answer and nowhere else."""
        caller = current_caller()
        with current_container().new_uow() as uow:
            row, key = api_keys.create_key(uow, caller.user_id, caller.scopes, **body)
            uow.commit()
        return {
            **schemas.ApiKeySchema().dump(row),
            "id": row.id,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "last_used_at": None,
            "key": key,
        }


@blp.route("/keys/<uuid:key_id>")
class Key(MethodView):
    """One API key."""

    @blp.guarded("account:write")
    @blp.response(204)
    def delete(self, key_id: UUID) -> None:
        """Revoke a key."""
        with current_container().new_uow() as uow:
            api_keys.revoke_key(uow, current_caller().user_id, key_id)
            uow.commit()
