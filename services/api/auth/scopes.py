"""What a caller may be allowed to do."""

from __future__ import annotations

ADMIN = "admin"
ADMIN_ROLE = "admin"
ROLES = ("user", ADMIN_ROLE)

USER_SCOPES = (
    "account:read",
    "account:write",
    "voices:read",
    "voices:write",
    "speech:read",
    "speech:write",
    "usage:read",
)
ALL_SCOPES = (*USER_SCOPES, ADMIN)
# A key is for apps: it speaks and clones, but does not manage the account, unless asked for.
DEFAULT_KEY_SCOPES = tuple(scope for scope in USER_SCOPES if scope != "account:write")


def scopes_of_role(role: str) -> frozenset[str]:
    """All that an account of a role may do."""
    return frozenset(ALL_SCOPES if role == ADMIN_ROLE else USER_SCOPES)
