"""Schemas of accounts and API keys."""

from __future__ import annotations

from datetime import UTC, datetime

from marshmallow import Schema, fields, validate

from services.api.auth.scopes import ALL_SCOPES, DEFAULT_KEY_SCOPES, ROLES
from services.api.schemas.common import PageQuerySchema, RequestSchema, text_field

_MAX_QUOTA = 2_000_000_000
# Python knows no year 10000, into which a zone could carry a later end.
_LAST_EXPIRY = datetime(9999, 1, 1, tzinfo=UTC)


class RegisterSchema(RequestSchema):
    """A new account."""

    email = fields.Email(required=True, validate=validate.Length(max=254))
    password = text_field(256, 10, required=True, load_only=True)
    name = text_field(200, load_default="")


class LoginSchema(RequestSchema):
    """Credentials of a person."""

    email = text_field(254, 1, required=True)
    password = text_field(256, 1, required=True, load_only=True)


class RefreshSchema(RequestSchema):
    """A refresh token."""

    refresh_token = text_field(4096, 1, required=True)


class TokenPairSchema(Schema):
    """Tokens."""

    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "seconds"})


class UserSchema(Schema):
    """An account as its owner sees it."""

    id = fields.UUID(required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    monthly_character_quota = fields.Integer(allow_none=True)
    created_at = fields.DateTime(required=True)


class UserChangeSchema(RequestSchema):
    """What an account's owner may change."""

    name = text_field(200)
    old_password = text_field(256, 1, load_only=True)
    new_password = text_field(256, 10, load_only=True)


class AdminUserChangeSchema(RequestSchema):
    """What an administrator may change."""

    role = fields.String(validate=validate.OneOf(ROLES))
    is_active = fields.Boolean()
    monthly_character_quota = fields.Integer(
        strict=True, allow_none=True, validate=validate.Range(0, _MAX_QUOTA)
    )


class UserListSchema(Schema):
    """Accounts, newest first."""

    items = fields.List(fields.Nested(UserSchema), required=True)


class UserQuerySchema(PageQuerySchema):
    """A page of accounts."""


class ApiKeyCreateSchema(RequestSchema):
    """A new key."""

    name = text_field(200, 1, required=True)
    scopes = fields.List(
        fields.String(validate=validate.OneOf(ALL_SCOPES)),
        load_default=lambda: list(DEFAULT_KEY_SCOPES),
        validate=validate.Length(1, len(ALL_SCOPES)),
    )
    expires_at = fields.AwareDateTime(
        load_default=None, allow_none=True, validate=validate.Range(max=_LAST_EXPIRY)
    )


class ApiKeySchema(Schema):
    """A key without its secret."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    expires_at = fields.DateTime(allow_none=True)
    revoked_at = fields.DateTime(allow_none=True)
    last_used_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime(required=True)


class NewApiKeySchema(ApiKeySchema):
    """A key with its secret, shown this once."""

    key = fields.String(required=True)


class ApiKeyListSchema(Schema):
    """All keys of an account."""

    items = fields.List(fields.Nested(ApiKeySchema), required=True)


class UsageSchema(Schema):
    """What an account used in a month."""

    period = fields.String(required=True)
    characters = fields.Integer(required=True)
    character_quota = fields.Integer(required=True)
    jobs = fields.Integer(required=True)
    audio_s = fields.Float(required=True)
    cost = fields.Float(required=True)
    output_bytes = fields.Integer(required=True)
    saved_bytes = fields.Integer(required=True)
