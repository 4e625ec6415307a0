"""Accounts, logins and keys: who gets in, and whose things they see."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import ApiKey, User
from services.api.auth.api_keys import hash_key
from services.api.auth.scopes import DEFAULT_KEY_SCOPES
from services.api.auth.tokens import issue_token
from tests.integration.api.gateway import (
    ADA,
    NOBODY,
    PASSWORD,
    VENDOR_PATHS,
    Account,
    Gateway,
    error_of,
)
from tests.parts import wait_for

PUBLIC = {
    "/health",
    "/ready",
    "/metrics",
    "/docs",
    "/docs/<path:name>",
    "/openapi.json",
    "/api/auth/register",
    "/api/auth/login",
    "/api/auth/refresh",
    "/ws/tts",  # who connects may say who they are in the first message
}
#: Their credentials are a part of their address.
LINKED = {("GET", "/api/tts/stream")}


def guarded_routes(app: Flask) -> list[tuple[str, str]]:
    """(method, path) of every route of ours that needs credentials; ids are of nothing."""
    return [
        (method, fill_in(rule))
        for rule in app.url_map.iter_rules()
        if rule.rule not in PUBLIC and not rule.rule.startswith(VENDOR_PATHS)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if (method, rule.rule) not in LINKED
    ]


def fill_in(rule: Rule) -> str:
    with_ids = re.sub(r"<uuid:\w+>", str(NOBODY), rule.rule)
    with_numbers = re.sub(r"<int:\w+>", "1", with_ids)
    return re.sub(r"<[^>]+>", "nothing", with_numbers)


def new_key(api: Gateway, account: Account, **body: Any) -> dict[str, Any]:
    order = {"name": "app", **body}
    response = api.client.post("/api/auth/keys", json=order, headers=account.auth)
    assert response.status_code == 201, response.get_data(as_text=True)
    created: dict[str, Any] = response.get_json()
    return created


def set_user(api: Gateway, account: Account, **columns: Any) -> None:
    with api.container.new_uow() as uow:
        user = uow.session.get_one(User, account.id)
        for name, value in columns.items():
            setattr(user, name, value)
        uow.commit()


def test_a_visitor_registers_logs_in_and_is_known(api: Gateway) -> None:
    body = {"email": "New.Person@Example.org", "password": PASSWORD, "name": "New Person"}
    response = api.client.post("/api/auth/register", json=body)
    assert response.status_code == 201
    registered = response.get_json()
    assert (registered["email"], registered["role"]) == ("new.person@example.org", "user")
    assert "password" not in response.get_data(as_text=True)
    login = {"email": "NEW.person@example.org", "password": PASSWORD}
    pair = api.client.post("/api/auth/login", json=login).get_json()
    assert pair["token_type"] == "Bearer"
    assert pair["expires_in"] == api.container.settings.access_token_ttl_s
    auth = {"Authorization": f"Bearer {pair['access_token']}"}
    assert api.client.get("/api/auth/me", headers=auth).get_json()["id"] == registered["id"]


def test_an_email_is_registered_once(api: Gateway, ann: Account) -> None:
    body = {"email": ann.email.upper(), "password": PASSWORD}
    error = error_of(api.client.post("/api/auth/register", json=body), 409)
    assert error["error_code"] == "email_taken"


def test_an_email_that_two_take_at_once_goes_to_one(api: Gateway) -> None:
    email = f"{secrets.token_hex(6)}@example.org"
    body = {"email": email, "password": PASSWORD}
    with api.container.new_uow() as uow, ThreadPoolExecutor(1) as pool:
        uow.users.add(User(id=new_id(), email=email, password_hash="-"))
        uow.session.flush()
        later = pool.submit(api.client.post, "/api/auth/register", json=body)
        wait_for(lambda: count_waiting(api), 10, "the later request waits for the first")
        uow.commit()
        error_of(later.result(), 409)


def count_waiting(api: Gateway) -> int:
    """Connections that wait for a lock in this test's database."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with api.container.new_uow() as uow:
        return uow.session.scalar(query) or 0


def test_registration_can_be_closed(new_gateway: Callable[..., Gateway]) -> None:
    closed = new_gateway(registration_open=False)
    body = {"email": "new@example.org", "password": PASSWORD}
    error = error_of(closed.client.post("/api/auth/register", json=body), 403)
    assert error["error_code"] == "registration_closed"


def test_a_wrong_password_and_an_unknown_email_are_refused_alike(
    api: Gateway, ann: Account
) -> None:
    wrong = error_of(api.login(ann, "not the password"), 401)
    body = {"email": "nobody@example.org", "password": PASSWORD}
    unknown = error_of(api.client.post("/api/auth/login", json=body), 401)
    assert (wrong["message"], wrong["error_code"]) == (unknown["message"], unknown["error_code"])


def renew(api: Gateway, refresh_token: str) -> TestResponse:
    return api.client.post("/api/auth/refresh", json={"refresh_token": refresh_token})


def test_a_refresh_token_gives_the_next_one(api: Gateway, ann: Account) -> None:
    token = api.login(ann).get_json()["refresh_token"]
    for _ in range(3):
        renewed = renew(api, token)
        assert renewed.status_code == 200
        token = renewed.get_json()["refresh_token"]


def test_a_refresh_token_that_comes_twice_ends_its_login_and_no_other(
    api: Gateway, ann: Account
) -> None:
    stolen = api.login(ann).get_json()["refresh_token"]
    other = api.login(ann).get_json()["refresh_token"]
    newest = renew(api, renew(api, stolen).get_json()["refresh_token"])
    assert error_of(renew(api, stolen), 401)["error_code"] == "invalid_token"
    error_of(renew(api, newest.get_json()["refresh_token"]), 401)
    assert renew(api, other).status_code == 200


def test_of_two_uses_at_once_of_a_refresh_token_none_leaves_a_login(
    api: Gateway, ann: Account
) -> None:
    token = api.login(ann).get_json()["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: renew(api, token), range(4)))
    given = [answer.get_json() for answer in answers if answer.status_code == 200]
    assert len(given) == 1
    error_of(renew(api, given[0]["refresh_token"]), 401)


def test_access_and_refresh_tokens_are_not_interchangeable(api: Gateway, ann: Account) -> None:
    pair = api.login(ann).get_json()
    as_access = {"Authorization": f"Bearer {pair['refresh_token']}"}
    error_of(api.client.get("/api/auth/me", headers=as_access), 401)
    as_refresh = {"refresh_token": pair["access_token"]}
    error_of(api.client.post("/api/auth/refresh", json=as_refresh), 401)


def test_an_expired_access_token_says_so(api: Gateway, ann: Account) -> None:
    past = api.container.settings.model_copy(update={"access_token_ttl_s": -1})
    token, _ = issue_token(past, ann.id, "access")
    response = api.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert error_of(response, 401)["error_code"] == "token_expired"


def test_logging_out_ends_every_login(api: Gateway) -> None:
    account = api.register()
    tokens = [api.login(account).get_json()["refresh_token"] for _ in range(2)]
    assert api.client.post("/api/auth/logout", headers=account.auth).status_code == 204
    for token in tokens:
        error_of(api.client.post("/api/auth/refresh", json={"refresh_token": token}), 401)


def test_a_new_password_needs_the_old_one_and_ends_logins(api: Gateway) -> None:
    account = api.register()
    token = api.login(account).get_json()["refresh_token"]
    wrong = {"old_password": "not the password", "new_password": "another password"}
    refused = api.client.patch("/api/auth/me", json=wrong, headers=account.auth)
    assert error_of(refused, 401)["error_code"] == "wrong_credentials"
    alone = {"new_password": "another password"}
    error_of(api.client.patch("/api/auth/me", json=alone, headers=account.auth), 422)
    right = {"old_password": PASSWORD, "new_password": "another password"}
    changed = api.client.patch("/api/auth/me", json=right, headers=account.auth)
    assert changed.status_code == 200
    error_of(api.client.post("/api/auth/refresh", json={"refresh_token": token}), 401)
    error_of(api.login(account), 401)
    assert api.login(account, "another password").status_code == 200


def test_a_name_is_changed(api: Gateway) -> None:
    account = api.register()
    body = {"name": "Änn"}
    assert api.client.patch("/api/auth/me", json=body, headers=account.auth).status_code == 200
    assert api.client.get("/api/auth/me", headers=account.auth).get_json()["name"] == "Änn"


def test_a_key_is_shown_once_and_stored_as_a_hash(api: Gateway, ann: Account) -> None:
    created = new_key(api, ann)
    key = created["key"]
    assert key.startswith(f"{created['prefix']}_")
    listed = api.client.get("/api/auth/keys", headers=ann.auth)
    assert created["id"] in listed.get_data(as_text=True)
    assert key not in listed.get_data(as_text=True)
    with api.container.new_uow() as uow:
        row = uow.session.get_one(ApiKey, UUID(created["id"]))
    stored = {str(getattr(row, column.key)) for column in ApiKey.__table__.columns}
    assert hash_key(key) in stored
    assert not any(key in value for value in stored)


def test_a_key_works_in_its_own_header_and_as_a_bearer(api: Gateway, ann: Account) -> None:
    as_bearer = {"Authorization": f"Bearer {ann.key}"}
    for headers in (ann.key_auth, as_bearer):
        answer = api.client.get("/api/auth/me", headers=headers)
        assert answer.get_json()["id"] == str(ann.id)


def test_a_key_is_listed_with_its_last_use(api: Gateway) -> None:
    account = api.register()
    created = new_key(api, account)
    assert created["last_used_at"] is None
    api.client.get("/api/voices", headers={"X-API-Key": created["key"]})
    items = api.client.get("/api/auth/keys", headers=account.auth).get_json()["items"]
    used = {item["id"]: item["last_used_at"] for item in items}
    assert used[created["id"]] is not None


def test_a_key_may_do_what_its_scopes_say_and_no_more(api: Gateway, ann: Account) -> None:
    headers = {"X-API-Key": new_key(api, ann, scopes=["speech:read"])["key"]}
    assert api.client.get("/api/tts/jobs", headers=headers).status_code == 200
    order = {"text": "Hello.", "voice_id": str(ADA)}
    refused = api.client.post("/api/tts/generate", json=order, headers=headers)
    assert error_of(refused, 403)["error_code"] == "missing_scope"
    error_of(api.client.get("/api/voices", headers=headers), 403)
    error_of(api.client.post("/api/auth/keys", json={"name": "x"}, headers=headers), 403)


def test_a_key_does_not_manage_the_account_unless_asked_for(api: Gateway, ann: Account) -> None:
    created = new_key(api, ann)
    assert set(created["scopes"]) == set(DEFAULT_KEY_SCOPES)
    headers = {"X-API-Key": created["key"]}
    error_of(api.client.patch("/api/auth/me", json={"name": "x"}, headers=headers), 403)
    error_of(api.client.post("/api/auth/logout", headers=headers), 403)


def test_a_key_cannot_make_a_stronger_key(api: Gateway, ann: Account) -> None:
    weak = new_key(api, ann, scopes=["account:write", "speech:read"])["key"]
    headers = {"X-API-Key": weak}
    body = {"name": "stronger", "scopes": ["voices:write"]}
    error_of(api.client.post("/api/auth/keys", json=body, headers=headers), 403)
    body = {"name": "admin", "scopes": ["admin"]}
    error_of(api.client.post("/api/auth/keys", json=body, headers=ann.auth), 403)


def test_a_revoked_key_is_refused_at_once(api: Gateway, ann: Account) -> None:
    created = new_key(api, ann)
    headers = {"X-API-Key": created["key"]}
    assert api.client.get("/api/voices", headers=headers).status_code == 200
    for _ in range(2):  # revoking twice is no error
        revoked = api.client.delete(f"/api/auth/keys/{created['id']}", headers=ann.auth)
        assert revoked.status_code == 204
    error = error_of(api.client.get("/api/voices", headers=headers), 401)
    assert error["error_code"] == "invalid_api_key"


def test_a_key_ends_at_its_time(api: Gateway, ann: Account) -> None:
    end = (utc_now() + timedelta(hours=1)).isoformat()
    created = new_key(api, ann, expires_at=end)
    headers = {"X-API-Key": created["key"]}
    assert api.client.get("/api/voices", headers=headers).status_code == 200
    with api.container.new_uow() as uow:
        row = uow.session.get_one(ApiKey, UUID(created["id"]))
        row.expires_at = utc_now() - timedelta(seconds=1)
        uow.commit()
    error_of(api.client.get("/api/voices", headers=headers), 401)


@pytest.mark.parametrize(
    "end", ["2001-01-01T00:00:00Z", "2100-01-01T00:00:00", "9999-12-31T23:59:59-14:00"]
)
def test_an_end_that_cannot_be_is_refused(api: Gateway, ann: Account, end: str) -> None:
    body = {"name": "app", "expires_at": end}
    error_of(api.client.post("/api/auth/keys", json=body, headers=ann.auth), 422)
    assert api.client.get("/api/auth/keys", headers=ann.auth).status_code == 200


def test_every_route_needs_credentials_and_takes_both_kinds(api: Gateway, admin: Account) -> None:
    routes = guarded_routes(api.app)
    assert len(routes) > 25
    for method, path in routes:
        bare = api.client.open(path, method=method)
        assert bare.status_code == 401, (method, path)
        assert bare.headers["WWW-Authenticate"].startswith("Bearer")
        error_of(bare, 401)
        for headers in (admin.auth, admin.key_auth):
            answer = api.client.open(path, method=method, headers=headers)
            assert answer.status_code not in (401, 403), (method, path)
            assert answer.status_code < 500, (method, path)


def test_credentials_that_are_made_up_are_refused(api: Gateway, ann: Account) -> None:
    for headers in (
        {"X-API-Key": "mynah_00000000_made-up"},
        {"X-API-Key": "\xff\xfe"},
        {"Authorization": "Bearer made.up.token"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YW5uOmFubg=="},
        {"Authorization": ann.token},
        {"Authorization": "Bearer mynah_00000000_made-up"},
    ):
        error_of(api.client.get("/api/auth/me", headers=headers), 401)


def test_a_disabled_account_is_locked_out_everywhere(api: Gateway, admin: Account) -> None:
    account = api.register()
    token = api.login(account).get_json()["refresh_token"]
    path = f"/api/admin/users/{account.id}"
    disabled = api.client.patch(path, json={"is_active": False}, headers=admin.auth)
    assert disabled.get_json()["is_active"] is False
    error_of(api.client.get("/api/auth/me", headers=account.auth), 401)
    error_of(api.client.get("/api/auth/me", headers=account.key_auth), 401)
    error_of(api.login(account), 401)
    error_of(api.client.post("/api/auth/refresh", json={"refresh_token": token}), 401)


def test_administration_is_for_administrators(api: Gateway, ann: Account, admin: Account) -> None:
    for path in ("/api/admin/users", f"/api/admin/users/{ann.id}", "/api/admin/stats"):
        assert api.client.get(path, headers=admin.auth).status_code == 200
        assert api.client.get(path, headers=admin.key_auth).status_code == 200
        error_of(api.client.get(path, headers=ann.auth), 403)
        error_of(api.client.get(path, headers=ann.key_auth), 403)
    promote = {"role": "admin"}
    path = f"/api/admin/users/{ann.id}"
    error_of(api.client.patch(path, json=promote, headers=ann.auth), 403)


def test_a_role_that_is_taken_away_is_gone_with_the_next_request(api: Gateway) -> None:
    former = api.register(role="admin")
    assert api.client.get("/api/admin/stats", headers=former.key_auth).status_code == 200
    set_user(api, former, role="user")
    error_of(api.client.get("/api/admin/stats", headers=former.key_auth), 403)
    error_of(api.client.get("/api/admin/stats", headers=former.auth), 403)


def test_what_belongs_to_another_user_is_not_found(
    api: Gateway, ann: Account, bob: Account
) -> None:
    sample, voice = api.add_sample(ann), api.add_voice(ann)
    job = api.generate(ann).get_json()["job_id"]
    clone = api.clone(ann, sample_ids=[str(sample.id)]).get_json()["job_id"]
    key = new_key(api, ann)["id"]
    for method, path in (
        ("GET", f"/api/samples/{sample.id}"),
        ("DELETE", f"/api/samples/{sample.id}"),
        ("GET", f"/api/samples/{sample.id}/audio"),
        ("GET", f"/api/voices/{voice.id}"),
        ("PATCH", f"/api/voices/{voice.id}"),
        ("DELETE", f"/api/voices/{voice.id}"),
        ("GET", f"/api/voices/{voice.id}/recording"),
        ("GET", f"/api/voices/{voice.id}/sample"),
        ("GET", f"/voices/{voice.id}"),
        ("DELETE", f"/voices/{voice.id}"),
        ("GET", f"/api/tts/job/{job}"),
        ("POST", f"/api/tts/job/{job}/cancel"),
        ("GET", f"/api/tts/job/{job}/result"),
        ("GET", f"/api/tts/job/{job}/download"),
        ("GET", f"/api/voices/job/{clone}"),
        ("POST", f"/api/voices/job/{clone}/cancel"),
        ("DELETE", f"/api/auth/keys/{key}"),
    ):
        body = {"name": "Bob's now"} if method == "PATCH" else None
        for headers in (bob.auth, bob.key_auth):
            error_of(api.client.open(path, method=method, json=body, headers=headers), 404)
    error_of(api.generate(bob, voice_id=str(voice.id)), 404)
    error_of(api.clone(bob, sample_ids=[str(sample.id)]), 404)
    assert api.client.get(f"/api/voices/{voice.id}", headers=ann.auth).status_code == 200
    assert api.client.get(f"/api/samples/{sample.id}/audio", headers=ann.auth).status_code == 200
    kept = api.client.get(f"/api/tts/job/{job}", headers=ann.auth).get_json()
    assert kept["status"] == "pending"


def test_lists_hold_only_what_the_caller_may_see(api: Gateway) -> None:
    one, other = api.register(), api.register()
    for account in (one, other):
        api.add_sample(account)
        api.add_voice(account)
        api.generate(account)
        new_key(api, account)
    ids = {}
    for account in (one, other):
        for path in ("/api/samples", "/api/voices?limit=100", "/api/tts/jobs", "/api/auth/keys"):
            items = api.client.get(path, headers=account.auth).get_json()["items"]
            mine = [item for item in items if item.get("visibility") != "public"]
            ids[account.id, path] = {item.get("id") or item.get("job_id") for item in mine}
            assert ids[account.id, path]
    for (owner, path), found in ids.items():
        assert all(
            not found & theirs
            for (someone, place), theirs in ids.items()
            if someone != owner and place == path
        )


def test_a_public_voice_is_seen_by_all_and_changed_by_nobody(api: Gateway, ann: Account) -> None:
    path = f"/api/voices/{ADA}"
    shown = api.client.get(path, headers=ann.auth).get_json()
    assert (shown["visibility"], shown["is_own"], shown["consent"]) == ("public", False, None)
    error_of(api.client.patch(path, json={"name": "Mine"}, headers=ann.auth), 403)
    error_of(api.client.delete(path, headers=ann.auth), 403)


def test_usage_is_the_callers_own(api: Gateway, ann: Account, bob: Account) -> None:
    account = api.register()
    before = api.client.get("/api/auth/usage", headers=account.auth).get_json()
    assert (before["characters"], before["jobs"]) == (0, 0)
    api.generate(account, text="Twelve chars")
    api.generate(bob, text="Something else altogether.")
    after = api.client.get("/api/auth/usage", headers=account.auth).get_json()
    assert (after["characters"], after["jobs"]) == (12, 1)


def test_too_many_logins_are_put_off(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(auth_rate_limit_per_minute=3)
    account = gateway.register()
    # Two windows of a minute may lie in the test; a seventh login is over the limit in any case.
    refused = [
        answer
        for answer in (gateway.login(account, "not the password") for _ in range(7))
        if answer.status_code == 429
    ]
    assert refused
    error = error_of(refused[-1], 429)
    assert error["error_code"] == "rate_limited"
    assert 1 <= int(refused[-1].headers["Retry-After"]) <= 61
    # Who is logged in already goes on.
    assert gateway.client.get("/api/auth/me", headers=account.auth).status_code == 200


def logins_from(gateway: Gateway, *forwarded: str) -> set[int]:
    """How a proxy's logins are answered that name these addresses, more than a budget each."""
    body = {"email": "nobody@example.org", "password": PASSWORD}
    return {
        gateway.client.post(
            "/api/auth/login", json=body, headers={"X-Forwarded-For": address}
        ).status_code
        for address in forwarded
    }


def test_behind_a_proxy_each_address_has_its_own_budget_of_logins(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(auth_rate_limit_per_minute=3, trusted_proxies=1)
    assert 429 in logins_from(gateway, *["198.51.100.1"] * 7)
    assert logins_from(gateway, "198.51.100.2") == {401}
    # What comes before the proxy's own word is the caller's invention.
    invented = [f"203.0.113.{number}, 198.51.100.3" for number in range(7)]
    assert 429 in logins_from(gateway, *invented)


def test_without_a_proxy_a_forwarded_address_counts_for_nothing(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(auth_rate_limit_per_minute=3)
    assert 429 in logins_from(gateway, *(f"198.51.100.{number}" for number in range(7)))


def test_requests_are_limited_per_caller(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(rate_limit_per_minute=5)
    busy, calm = gateway.register(), gateway.register()
    answers = [gateway.client.get("/api/auth/me", headers=busy.auth) for _ in range(11)]
    assert 429 in {answer.status_code for answer in answers}
    assert gateway.client.get("/api/auth/me", headers=calm.auth).status_code == 200


def test_an_answer_says_how_much_of_the_budget_is_left_and_until_when(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(rate_limit_per_minute=5)
    busy = gateway.register()
    answers = [gateway.client.get("/api/auth/me", headers=busy.auth) for _ in range(7)]
    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers]
    assert left[-2:] == [0, 0]
    assert left[:5] in ([4, 3, 2, 1, 0], [3, 2, 1, 0, 0])  # the registration may count too
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"5"}
    resets_in_s = float(answers[0].headers["X-RateLimit-Reset"]) - time.time()
    assert 50 < resets_in_s <= 61


def test_one_budget_covers_all_routes(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(rate_limit_per_minute=5)
    busy = gateway.register()
    paths = ("/api/auth/me", "/api/auth/usage", "/api/voices", "/api/samples") * 3
    answers = [gateway.client.get(path, headers=busy.auth).status_code for path in paths]
    assert 429 in answers


def test_spelling_the_credentials_anew_earns_no_new_budget(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(rate_limit_per_minute=5)
    busy = gateway.register()
    spellings = [
        *({"Authorization": f"Bearer{' ' * spaces}{busy.token}"} for spaces in range(1, 7)),
        *({"Authorization": f"{word} {busy.token}"} for word in ("bearer", "BEARER", "bEarer")),
        *({"Authorization": f"Bearer {issue(gateway, busy)}"} for _ in range(3)),
    ]
    answers = [gateway.client.get("/api/auth/me", headers=each).status_code for each in spellings]
    assert 429 in answers


def issue(gateway: Gateway, account: Account) -> str:
    return issue_token(gateway.container.settings, account.id, "access")[0]


def test_a_key_has_a_budget_of_its_own(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(rate_limit_per_minute=5)
    owner = gateway.register()
    answers = [gateway.client.get("/api/auth/me", headers=owner.auth) for _ in range(11)]
    assert 429 in {answer.status_code for answer in answers}
    assert gateway.client.get("/api/auth/me", headers=owner.key_auth).status_code == 200


def test_inventing_credentials_is_limited_by_address(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(rate_limit_per_minute=5)
    known = gateway.register()
    invented = [{"X-API-Key": f"mynah_00000000_{number}"} for number in range(11)]
    answers = [gateway.client.get("/api/auth/me", headers=each).status_code for each in invented]
    assert 429 in answers
    assert gateway.client.get("/api/auth/me", headers=known.auth).status_code == 200
