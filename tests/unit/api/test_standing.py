"""When a grant is looked at again, and who waits for that; the looks are the test's own."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, Self

import pytest

from mynah.db.ids import new_id
from mynah.errors import NotAuthenticated
from services.api.auth.standing import Grant, Standing
from tests.parts import wait_for


class HangingDatabase:
    """A unit of work that finds no account, once it is let."""

    def __init__(self) -> None:
        self.looks = 0
        self.may_answer = threading.Event()
        self.users = SimpleNamespace(get=lambda _: None)

    def __call__(self) -> Any:
        return self

    def __enter__(self) -> Self:
        self.looks += 1
        assert self.may_answer.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def each_by_itself(self) -> Self:
        return self


def is_refused(standing: Standing) -> bool:
    try:
        standing.ensure_beside(0)
    except NotAuthenticated as refusal:
        return refusal.code == "account_inactive"
    return False


def test_a_database_that_hangs_holds_up_nobody_who_listens() -> None:
    database = HangingDatabase()
    standing = Standing(database, Grant(new_id()))
    for _ in range(5):
        standing.ensure_beside(0)
    wait_for(lambda: database.looks == 1, 5, "nobody looked")
    database.may_answer.set()
    wait_for(lambda: is_refused(standing), 5, "the account was not missed")
    assert database.looks == 1
    with pytest.raises(NotAuthenticated):
        standing.ensure(60)


def test_a_look_at_the_grant_before_says_nothing_of_the_newer_one() -> None:
    database = HangingDatabase()
    standing = Standing(database, Grant(new_id()))
    standing.ensure_beside(0)
    wait_for(lambda: database.looks == 1, 5, "nobody looked")
    standing.renew(Grant(standing.user_id))
    database.may_answer.set()
    wait_for(lambda: not standing._is_looking, 5, "the look goes on")
    standing.ensure(60)
