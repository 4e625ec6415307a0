"""Commands for operators: ``python -m services.api.manage migrate|create-user|create-key|…``.

Every command can be repeated. What programs read is printed as JSON. What only one command
needs is imported by it: the others start in half the time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from mynah.errors import Conflict, MynahError
from mynah.settings import load_settings
from services.api.auth.scopes import ADMIN_ROLE, DEFAULT_KEY_SCOPES, scopes_of_role
from services.api.bootstrap import Container, build_container
from services.api.use_cases.accounts import create_user
from services.api.use_cases.api_keys import create_key
from services.api.use_cases.voices import seed_builtin_voices

ROOT = Path(__file__).resolve().parents[2]
PASSWORD_VARIABLE = "MYNAH_NEW_PASSWORD"  # noqa: S105 - a name, not a password


def main() -> int:
    """Run one command; the exit status is 0 unless it failed."""
    arguments = _parser().parse_args()
    try:
        arguments.run(build_container(load_settings()), arguments)
    except MynahError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return 1
    return 0


def _migrate(container: Container, _: argparse.Namespace) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    command.upgrade(Config(str(ROOT / "alembic.ini")), "head")
    container.store.create()
    with container.new_uow() as uow:
        count = seed_builtin_voices(uow)
        uow.commit()
    _print({"migrated": True, "builtin_voices": count})


def _create_user(container: Container, arguments: argparse.Namespace) -> None:
    role = ADMIN_ROLE if arguments.admin else "user"
    with container.new_uow() as uow:
        try:
            user = create_user(
                uow, arguments.email, os.environ[PASSWORD_VARIABLE], arguments.name, role
            )
            uow.commit()
            _print({"user_id": str(user.id), "created": True})
        except Conflict:
            _print({"email": arguments.email, "created": False})


def _create_key(container: Container, arguments: argparse.Namespace) -> None:
    with container.new_uow() as uow:
        user = uow.users.by_email(arguments.email)
        if user is None:
            raise MynahError(f"There is no user {arguments.email}.", code="user_not_found")
        allowed = scopes_of_role(user.role)
        row, key = create_key(
            uow, user.id, allowed, arguments.name, scopes=arguments.scopes, expires_at=None
        )
        uow.commit()
        _print({"key_id": str(row.id), "key": key})


def _openapi(container: Container, _: argparse.Namespace) -> None:
    from services.api.app import create_app  # noqa: PLC0415

    app = create_app(container)
    response = app.test_client().get("/openapi.json")
    _print(response.get_json())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.api.manage", description=__doc__)
    commands = parser.add_subparsers(required=True)
    migrate = commands.add_parser("migrate", help="bring database, store and voices up to date")
    migrate.set_defaults(run=_migrate)
    user = commands.add_parser("create-user", help=f"the password comes in {PASSWORD_VARIABLE}")
    user.add_argument("--email", required=True)
    user.add_argument("--name", default="")
    user.add_argument("--admin", action="store_true")
    user.set_defaults(run=_create_user)
    key = commands.add_parser("create-key", help="make an API key and print it once")
    key.add_argument("--email", required=True)
    key.add_argument("--name", required=True)
    key.add_argument("--scopes", nargs="+", default=list(DEFAULT_KEY_SCOPES))
    key.set_defaults(run=_create_key)
    openapi = commands.add_parser("openapi", help="print the OpenAPI document")
    openapi.set_defaults(run=_openapi)
    return parser


def _print(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
