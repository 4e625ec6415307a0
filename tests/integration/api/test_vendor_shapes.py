"""Every route of the vendors' shapes: credentials, bad input, and the vendor's own errors."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.api.compat.vendors import Vendor
from tests.integration.api.gateway import ADA, NOBODY, VENDOR_PATHS, Account, Gateway, open_gateway
from tests.integration.api.test_accounts import fill_in

JSON = "application/json"


@pytest.fixture(scope="module")
def api(
    module_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway that does not wait for speech: nobody speaks here."""
    folder = tmp_path_factory.mktemp("objects")
    with open_gateway(module_database, redis_url, folder, sync_timeout_s=0.01) as gateway:
        yield gateway


def routes(api: Gateway) -> list[tuple[str, str]]:
    """(method, path) of every route of the vendors' shapes but sockets; ids are of nothing."""
    return [
        (method, fill_in(rule))
        for rule in api.app.url_map.iter_rules()
        if rule.rule.startswith(VENDOR_PATHS) and not rule.websocket
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def vendor_of(path: str) -> Vendor:
    is_openai = path.startswith(("/v1/audio/", "/v1/models", "/openai/"))
    return Vendor.OPENAI if is_openai else Vendor.ELEVENLABS


def error_of(path: str, answer: TestResponse) -> Any:
    """The vendor's envelope, which an error has to be in."""
    body = answer.get_json()
    if vendor_of(path) is Vendor.OPENAI:
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["message"]
    else:
        assert set(body) == {"detail"}
        details = body["detail"]
        for detail in details if isinstance(details, list) else [details]:
            assert set(detail) in ({"status", "message"}, {"loc", "msg", "type"})
        assert answer.headers["request-id"]
    return body


def test_every_route_needs_credentials_and_takes_the_vendors_and_ours(
    api: Gateway, admin: Account
) -> None:
    for method, path in routes(api):
        bare = api.client.open(path, method=method)
        assert bare.status_code == 401, path
        error_of(path, bare)
        own = {Vendor.OPENAI: "api-key", Vendor.ELEVENLABS: "xi-api-key"}[vendor_of(path)]
        ways = (
            {"Authorization": f"Bearer {admin.key}"},
            {own: admin.key},
            {own: admin.token},
            admin.key_auth,
        )
        for headers in ways:
            answer = api.client.open(path, method=method, headers=headers)
            assert answer.status_code not in (401, 403), (method, path)
            assert answer.status_code < 500, (method, path)
            if answer.status_code >= 400:
                error_of(path, answer)


def test_a_vendors_header_is_no_credential_elsewhere(api: Gateway, ann: Account) -> None:
    for name in ("api-key", "xi-api-key"):
        answer = api.client.get("/api/auth/me", headers={name: ann.key})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "body", [b"{", b'"text"', b"[]", b"17", b'{"text": "\xff"}', b"\x00", b"nul", b"{}", b""]
)
def test_a_body_that_is_not_the_one_wanted_is_refused(
    api: Gateway, ann: Account, body: bytes
) -> None:
    # Settings and names may all be left out; what asks for no body reads none.
    lenient = ("settings/edit", "/edit", "/pronunciation-dictionaries/nothing")
    for method, path in routes(api):
        if method not in ("POST", "PATCH"):
            continue
        answer = api.client.open(
            path, method=method, data=body, content_type=JSON, headers=ann.key_auth
        )
        is_lenient = body == b"{}" and path.endswith(lenient)
        assert 400 <= answer.status_code < 500 or is_lenient, (path, answer.get_data())
        error_of(path, answer)


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], 17, True, "\x01", "a" * 300_000, "\x00"])
def test_no_wrong_field_crashes(api: Gateway, ann: Account, value: Any) -> None:
    orders = {
        "/v1/audio/speech": {"model": "tts-1", "voice": "alloy", "input": "Hello."},
        f"/v1/text-to-speech/{ADA}": {
            "text": "Hello.",
            "model_id": "eleven_v3",
            "language_code": "en",
            "seed": 1,
            "voice_settings": {},
            "pronunciation_dictionary_locators": [],
        },
        "/v1/text-to-dialogue": {"inputs": [{"text": "Hello.", "voice_id": str(ADA)}]},
    }
    for path, order in orders.items():
        for name in order:
            answer = api.client.post(path, json={**order, name: value}, headers=ann.key_auth)
            # A text that could be spoken waits for nobody here.
            assert 400 <= answer.status_code < 500 or answer.status_code == 504, (path, name)
            error_of(path, answer)


QUERIES = {
    "/v1/history": (
        *("page_size", "start_after_history_item_id", "voice_id", "model_id", "search"),
        *("date_before_unix", "date_after_unix", "sort_direction"),
    ),
    "/v2/voices": (
        *("next_page_token", "page_size", "search", "sort", "sort_direction", "voice_ids"),
        *("voice_type", "category", "language", "collection_id"),
    ),
    "/v1/pronunciation-dictionaries": ("cursor", "page_size"),
    "/v1/audio/voice_consents": ("after", "limit"),
    "/v1/usage/character-stats": (
        *("start_unix", "end_unix", "breakdown_type", "aggregation_interval", "metric"),
    ),
}


@pytest.mark.parametrize(
    "value", ["-1", "99999999999999999999", "x", "%27%22", "", "1e9", "%F0%9F"]
)
def test_no_wrong_query_crashes(api: Gateway, ann: Account, value: str) -> None:
    for path, names in QUERIES.items():
        for name in names:
            answer = api.client.get(f"{path}?{name}={value}", headers=ann.key_auth)
            assert answer.status_code in (200, 400, 404, 422), (path, name)
            if answer.status_code >= 400:
                error_of(path, answer)


FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "/v1/audio/voices": ("audio_sample", {"name": "Ann", "consent": str(NOBODY)}),
    "/v1/audio/voice_consents": ("recording", {"name": "Ann", "language": "en"}),
    "/v1/voices/add": ("files", {"name": "Ann", "labels": "{}"}),
    "/v1/pronunciation-dictionaries/add-from-file": ("file", {"name": "Names"}),
}


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.usefixtures("dropped_files")
def test_no_wrong_form_crashes(api: Gateway, ann: Account, path: str) -> None:
    file_name, fields = FORMS[path]
    wrong: list[dict[str, Any]] = [{**fields}, {}, {**fields, file_name: "text"}]
    wrong += [
        {**fields, name: value, file_name: (io.BytesIO(b"x"), "a.wav")}
        for name in fields
        for value in ("", "a\x00b", "[1]", "x" * 3000)
    ]
    wrong.append({**fields, file_name: (io.BytesIO(b""), "a.wav")})
    for form in wrong:
        answer = api.client.post(path, data=form, headers=ann.key_auth)
        # What could be a recording is judged later, by a worker that is not here.
        assert answer.status_code < 500, (path, form)
        if answer.status_code >= 400:
            error_of(path, answer)


@pytest.mark.usefixtures("dropped_files")
def test_a_recording_above_the_vendors_limit_is_413(api: Gateway, ann: Account) -> None:
    form = {"name": "A", "language": "en", "recording": (io.BytesIO(bytes(10485761)), "a.wav")}
    answer = api.client.post("/v1/audio/voice_consents", data=form, headers=ann.key_auth)
    assert answer.status_code == 413


def test_speech_that_nobody_waits_for_any_more_is_cancelled(api: Gateway, ann: Account) -> None:
    order = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "flac"}
    answer = api.client.post("/v1/audio/speech", json=order, headers=ann.key_auth)
    assert answer.status_code == 504
    assert answer.get_json()["error"]["type"] == "server_error"
    jobs = api.client.get("/api/tts/jobs?limit=1", headers=ann.auth).get_json()["items"]
    assert jobs[0]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "headers", "key"),
    [
        ("/v1/chat/completions", {}, "error"),
        ("/v1/sound-generation", {"xi-api-key": "x"}, "detail"),
        ("/v1/voices/a/b/c", {}, "detail"),
        ("/openai/deployments", {}, "error"),
    ],
)
def test_a_path_that_the_vendor_has_and_we_do_not_is_404_in_its_envelope(
    api: Gateway, path: str, headers: dict[str, str], key: str
) -> None:
    answer = api.client.post(path, headers=headers)
    assert answer.status_code == 404
    assert key in answer.get_json()


def test_the_limiters_refusal_has_the_vendors_shape(new_gateway: Any) -> None:
    gateway = new_gateway(rate_limit_per_minute=2)
    account = gateway.register()
    for _ in range(2):
        known = gateway.client.get("/v1/models", headers=account.key_auth)
        assert known.status_code == 200
        assert known.headers["x-ratelimit-limit-requests"] == "2"
    refused = gateway.client.get("/v1/models", headers=account.key_auth)
    assert refused.status_code == 429
    assert refused.get_json()["error"]["type"] == "rate_limit_error"
    assert int(refused.headers["Retry-After"]) > 0


def test_a_key_without_the_scope_is_403(api: Gateway) -> None:
    reader = api.register(scopes=("voices:read",))
    answer = api.client.post("/v1/audio/speech", json={}, headers=reader.key_auth)
    assert answer.status_code == 403
    assert answer.get_json()["error"]["type"] == "permission_error"


def test_another_users_things_are_not_found(api: Gateway, ann: Account, bob: Account) -> None:
    voice = api.add_voice(ann, name="Only Ann's").id
    order = {"model": "tts-1", "input": "Hello."}
    for name in (str(voice), "Only Ann's", str(NOBODY)):
        answer = api.client.post(
            "/v1/audio/speech", json={**order, "voice": name}, headers=bob.key_auth
        )
        assert answer.status_code == 404


#: They stream, or change what stays one thing however often they are asked.
KEYLESS = (
    *("/stream", "/stream/with-timestamps", "/edit", "/history/download"),
    "/voice_consents/nothing",
)


def test_every_route_that_creates_takes_an_idempotency_key(api: Gateway, admin: Account) -> None:
    creating = [
        path for method, path in routes(api) if method == "POST" and not path.endswith(KEYLESS)
    ]
    assert len(creating) >= 14
    for path in creating:
        headers = {**admin.auth, "Idempotency-Key": ""}
        refused = api.client.post(path, headers=headers)
        assert refused.status_code == 422, path
        assert "invalid_idempotency_key" in refused.text, path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/v1/text-to-speech/{ADA}/stream", {"text": "Hello."}),
        (f"/v1/text-to-speech/{ADA}/stream/with-timestamps", {"text": "Hello."}),
        ("/v1/text-to-dialogue/stream", {"inputs": [{"text": "Hello.", "voice_id": str(ADA)}]}),
        (
            "/v1/audio/speech",
            {"model": "tts-1", "voice": "alloy", "input": "Hello.", "stream_format": "sse"},
        ),
    ],
)
def test_a_stream_takes_no_idempotency_key(
    api: Gateway, ann: Account, path: str, body: dict[str, Any]
) -> None:
    headers = {**ann.auth, "Idempotency-Key": "one"}
    refused = api.client.post(path, json=body, headers=headers)
    assert refused.status_code == 422
    assert "idempotency_not_for_streams" in str(error_of(path, refused))
