"""Requests that cannot be right get a clear 4xx in the one error body, never a crash."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.api.gateway import (
    ADA,
    CONSENT,
    NOBODY,
    PASSWORD,
    VENDOR_PATHS,
    Account,
    Gateway,
    error_of,
)

CONSENT_FORM = {
    "consent_statement": "I agree that my voice is cloned.",
    "consent_given_by": "Ann Example",
}
_ID = str(NOBODY)
_ADA = str(ADA)

#: (method, path) → a valid body. ``{me}`` is the caller's id, ``{voice}`` an own voice,
#: ``{dictionary}`` an own dictionary.
JSON_ROUTES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/auth/register"): {
        "email": "new@example.org",
        "password": PASSWORD,
        "name": "New",
    },
    ("POST", "/api/auth/login"): {"email": "new@example.org", "password": PASSWORD},
    ("POST", "/api/auth/refresh"): {"refresh_token": "token"},
    ("PATCH", "/api/auth/me"): {
        "name": "Ann",
        "old_password": PASSWORD,
        "new_password": "another password",
    },
    ("POST", "/api/auth/keys"): {
        "name": "app",
        "scopes": ["speech:read"],
        "expires_at": "2100-01-01T00:00:00Z",
    },
    ("PATCH", "/api/admin/users/{me}"): {
        "role": "admin",
        "is_active": True,
        "monthly_character_quota": 5,
    },
    ("POST", "/api/voices"): {
        "name": "Ann",
        "language": "en",
        "sample_ids": [_ID],
        "consent": CONSENT,
        "description": "",
        "kids": False,
        "engine": "espeak",
        "sample_text": "Hello.",
        "voice_id": _ID,
    },
    ("PATCH", "/api/voices/{voice}"): {"name": "Ann", "description": ""},
    ("PUT", "/api/voices/{voice}/dictionaries"): {"dictionaries": []},
    ("POST", "/api/dictionaries"): {"name": "Names", "description": "", "rules": []},
    ("PATCH", "/api/dictionaries/{dictionary}"): {"name": "Names", "description": ""},
    ("PUT", "/api/dictionaries/{dictionary}/rules"): {"rules": []},
    ("POST", "/api/tts/generate"): {
        "text": "Hello.",
        "voice_id": _ADA,
        "language": "en",
        "output_format": "mp3",
        "quality": "standard",
        "bitrate_kbps": 96,
        "voice_settings": {"speed": 1.0},
        "title": "A tale",
        "seed": 1,
        "markup": "plain",
        "unknown_tags": "error",
        "vbr_quality": 4,
        "sample_rate": 22050,
        "channels": 1,
        "pacing": "bedtime",
        "pause_scale": 1.5,
        "loudness_lufs": -20.0,
        "dictionaries": [],
    },
    ("POST", "/api/tts/job/{job}/renditions"): {"output_format": "flac"},
    ("POST", "/api/tts/stream"): {
        "text": "Hello.",
        "voice_id": _ADA,
        "voice_settings": {"speed": 1.0},
        "store": False,
    },
    ("POST", "/api/tts/stream/link"): {"text": "Hello.", "voice_id": _ADA, "store": False},
    ("POST", "/api/tts/batch"): {
        "title": "Tales",
        "defaults": {"voice_id": _ADA},
        "items": [{"text": "Hello.", "custom_id": "a"}],
    },
    ("POST", "/api/webhooks"): {
        "url": "https://93.184.216.34/hook",
        "events": ["speech.completed"],
        "description": "",
    },
    ("PATCH", "/api/webhooks/{webhook}"): {
        "url": "https://93.184.216.34/hook",
        "events": ["speech.completed"],
        "description": "",
        "enabled": True,
    },
    ("POST", "/tts/generate"): {
        "text": "Hello.",
        "voice_id": _ADA,
        "language": "en",
        "output_format": "wav",
        "voice_settings": {"speed": 1.0},
    },
}
BODILESS_ROUTES = (
    "/api/auth/logout",
    f"/api/tts/job/{NOBODY}/cancel",
    f"/api/tts/batch/{NOBODY}/cancel",
    f"/api/voices/job/{NOBODY}/cancel",
    f"/api/audio/job/{NOBODY}/cancel",
    f"/api/webhooks/{NOBODY}/rotate-secret",
    f"/api/webhooks/{NOBODY}/test",
    f"/api/webhooks/{NOBODY}/deliveries/{NOBODY}/replay",
)
FORM_ROUTES: dict[str, tuple[str, dict[str, str]]] = {
    "/api/samples": ("file", {"name": "Ann reads"}),
    "/voices": ("files", {"name": "Ann", "language": "en", **CONSENT_FORM}),
    "/api/audio/analyze": ("files", {"width": "400"}),
    "/api/audio/enhance": ("files", {"denoise_db": "12"}),
    "/api/audio/convert": ("files", {"output_format": "mp3"}),
}
WRONG_DOCUMENTS = ("[]", '"text"', "17", "null", "true", "[[]]", "{}[]")
UNREADABLE = (b"{", b"{'text': 1}", b'{"text": "\xff"}', b"\x00", b"\xff\xfe{\x00}\x00", b"nul")


@pytest.fixture(scope="module")
def caller(api: Gateway, admin: Account) -> Callable[..., Any]:
    """Send a request as an administrator to a path of the tables above."""
    own = {"me": admin.id, "voice": api.add_voice(admin).id}
    own["dictionary"] = api.add_dictionary(admin)["id"]
    hook = {"url": "https://93.184.216.34/", "events": ["speech.completed"]}
    made = api.client.post("/api/webhooks", json=hook, headers=admin.auth).get_json()
    own["webhook"] = made["webhook_id"]
    own["job"] = api.generate(admin).get_json()["job_id"]

    def send(method: str, path: str, **options: Any) -> Any:
        filled = path.format(**own)
        return api.client.open(filled, method=method, headers=admin.auth, **options)

    return send


def refused(response: Any, *allowed: int) -> dict[str, Any]:
    """The error body of a refusal: a 4xx of the one shape."""
    assert 400 <= response.status_code < 500, response.get_data(as_text=True)[:500]
    assert not allowed or response.status_code in allowed, response.get_data(as_text=True)[:500]
    return error_of(response, response.status_code)


each_json_route = pytest.mark.parametrize(
    ("method", "path"), JSON_ROUTES, ids=[f"{method} {path}" for method, path in JSON_ROUTES]
)
each_form_route = pytest.mark.parametrize("path", FORM_ROUTES)


def test_every_route_that_takes_a_body_is_in_these_tables(api: Gateway) -> None:
    from tests.integration.api.test_accounts import fill_in  # noqa: PLC0415

    known = {(method, re.sub(r"{\w+}", "", path)) for method, path in JSON_ROUTES}
    known |= {("POST", path) for path in (*FORM_ROUTES, *BODILESS_ROUTES)}
    # Files of voices and dictionaries have tests of their own.
    known |= {("POST", "/api/voices/import"), ("POST", "/api/dictionaries/import")}
    for rule in api.app.url_map.iter_rules():
        if rule.rule.startswith(VENDOR_PATHS):
            continue
        for method in {"POST", "PATCH", "PUT"} & (rule.methods or set()):
            path = fill_in(rule)
            assert (method, path) in known or (method, path.replace(_ID, "")) in known


@each_json_route
def test_every_field_refuses_every_wrong_type(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    valid = JSON_ROUTES[method, path]
    for name, value in valid.items():
        wrong: list[Any] = [{"a": 1}, [{"a": [1]}], "\u0001", 1e308, -1]
        wrong = [candidate for candidate in wrong if not _could_be(value, candidate)]
        for candidate in wrong:
            answer = caller(method, path, json={**valid, name: candidate})
            refused(answer, 400, 422)


def _could_be(value: Any, candidate: Any) -> bool:
    is_flag = isinstance(value, bool)
    return isinstance(value, str) and isinstance(candidate, str) and not is_flag


@each_json_route
def test_missing_fields_are_named(caller: Callable[..., Any], method: str, path: str) -> None:
    if method == "PATCH":  # a change may leave out anything
        return
    body = refused(caller(method, path, json={}), 422)
    assert "required" in json.dumps(body["errors"]).lower()


@each_json_route
def test_unknown_keys_are_refused(caller: Callable[..., Any], method: str, path: str) -> None:
    valid = JSON_ROUTES[method, path]
    body = refused(caller(method, path, json={**valid, "voice_setings": 1}), 422)
    assert "voice_setings" in json.dumps(body["errors"])


@each_json_route
def test_documents_that_are_no_objects_are_refused(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    for document in WRONG_DOCUMENTS:
        refused(caller(method, path, data=document, content_type="application/json"), 400, 422)


@each_json_route
def test_bodies_that_are_no_json_are_refused(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    for body in UNREADABLE:
        refused(caller(method, path, data=body, content_type="application/json"), 400)


@each_json_route
def test_another_content_type_is_refused(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    document = json.dumps(JSON_ROUTES[method, path])
    for content_type in ("text/plain", "text/json", "application/x-www-form-urlencoded"):
        refused(caller(method, path, data=document, content_type=content_type), 415)


@each_json_route
def test_json_nested_ten_thousand_deep_is_refused(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    depth = 10_000
    for document in (
        "[" * depth + "]" * depth,
        '{"text":' * depth + "1" + "}" * depth,
        '{"text":' + "[" * 900 + "]" * 900 + "}",
        "[" * depth,
    ):
        refused(caller(method, path, data=document, content_type="application/json"), 400, 422)


@each_json_route
def test_nul_and_lone_surrogates_are_refused_in_every_text(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    valid = JSON_ROUTES[method, path]
    for bad in ("a\x00b", "a\ud800b", "\udfff"):
        for name, value in valid.items():
            if isinstance(value, str):
                document = json.dumps({**valid, name: bad})  # escaped: \u0000, \ud800
                answer = caller(method, path, data=document, content_type="application/json")
                refused(answer, 422)
        document = json.dumps({**valid, bad: 1})
        refused(caller(method, path, data=document, content_type="application/json"), 422)


@each_json_route
def test_texts_far_over_their_limit_are_refused(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    valid = JSON_ROUTES[method, path]
    for name, value in valid.items():
        if isinstance(value, str):
            refused(caller(method, path, json={**valid, name: "a" * 200_001}), 422)


@each_json_route
def test_numbers_beyond_all_bounds_are_refused(
    caller: Callable[..., Any], method: str, path: str
) -> None:
    valid = JSON_ROUTES[method, path]
    for number in ("1e999", "-1e999", "NaN", "Infinity", "9" * 400, "9" * 5000):
        for name in valid:
            others = {key: value for key, value in valid.items() if key != name}
            document = f'{json.dumps(others)[:-1]}, "{name}": {number}}}'
            answer = caller(method, path, data=document, content_type="application/json")
            refused(answer, 400, 422)


def test_numbers_inside_voice_settings_have_bounds(api: Gateway, ann: Account) -> None:
    for name in ("stability", "similarity_boost", "style", "speed", "pitch", "volume"):
        for number in ("1e999", "NaN", "-99", "99", '"fast"', "[]", "{}", "null"):
            order = json.dumps({"text": "Hello.", "voice_id": _ADA, "voice_settings": "here"})
            document = order.replace('"here"', f'{{"{name}": {number}}}')
            answer = api.client.post(
                "/api/tts/generate",
                data=document,
                content_type="application/json",
                headers=ann.auth,
            )
            refused(answer, 422)


@pytest.mark.parametrize("path", BODILESS_ROUTES)
def test_routes_without_a_body_survive_one(
    api: Gateway, path: str, caller: Callable[..., Any]
) -> None:
    for body in (b"{", b"[" * 10_000, b"\x00"):
        refused(caller("POST", path, data=body, content_type="application/json"), 400, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/api/samples/{}",
        "/api/samples/{}/audio",
        "/api/voices/{}",
        "/api/voices/{}/recording",
        "/api/voices/{}/sample",
        "/api/voices/job/{}",
        "/api/dictionaries/{}",
        "/api/dictionaries/{}/versions",
        "/api/dictionaries/{}/export",
        "/api/tts/job/{}",
        "/api/tts/job/{}/result",
        "/api/tts/job/{}/download",
        "/api/tts/models/{}/info",
        "/voices/{}",
        "/docs/{}",
        "/api/{}",
        "/{}",
    ],
)
@pytest.mark.parametrize(
    "name",
    [_ID, "1", "%00", "a%00b", "%FF", "%ED%A0%80", "..%2F..%2Fetc%2Fpasswd", "a" * 3000, "%25FF"],
)
def test_paths_of_nothing_are_not_found(api: Gateway, admin: Account, path: str, name: str) -> None:
    refused(api.client.get(path.format(name), headers=admin.auth), 400, 404, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/api/samples",
        "/api/voices",
        "/api/dictionaries",
        "/api/tts/jobs",
        "/voices",
        "/api/admin/users",
    ],
)
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=many",
        "limit=" + "9" * 5000,
        "limit=1e1",
        "limit=",
        "limit=%00",
        "limit=%FF",
        "cursor=here",
        "cursor=%00",
        "cursor=",
        "cursor=%ED%A0%80",
        "a%00b=1",
        "unknown=1",
        "x=" + "a" * 9000,
    ],
)
def test_queries_that_cannot_be_are_refused(
    api: Gateway, admin: Account, path: str, query: str
) -> None:
    refused(api.client.get(f"{path}?{query}", headers=admin.auth), 400, 413, 422)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/samples", "state=gone"),
        ("/api/voices", "state=gone"),
        ("/api/voices", "visibility=secret"),
        ("/api/voices", "kids=perhaps"),
        ("/api/voices", "language=x"),
        ("/api/voices", "name=" + "a" * 201),
        ("/api/voices", "name=a%00b"),
        ("/api/tts/jobs", "status=gone"),
    ],
)
def test_filters_that_cannot_be_are_refused(
    api: Gateway, ann: Account, path: str, query: str
) -> None:
    refused(api.client.get(f"{path}?{query}", headers=ann.auth), 422)


def test_a_method_that_a_route_lacks_is_refused_with_those_it_has(
    api: Gateway, ann: Account
) -> None:
    answer = api.client.put("/api/tts/generate", json={}, headers=ann.auth)
    assert refused(answer, 405)["error_code"] == "method_not_allowed"
    assert "POST" in answer.headers["Allow"]


def test_unknown_samples_are_refused(api: Gateway, ann: Account) -> None:
    assert refused(api.clone(ann, sample_ids=[_ID]), 404)["error_code"] == "sample_not_found"
    refused(api.clone(ann, sample_ids=[]), 422)
    refused(api.clone(ann, sample_ids=["here"]), 422)
    sample = str(api.add_sample(ann).id)
    assert refused(api.clone(ann, sample_ids=[sample], engine="none"), 422)
    assert refused(api.clone(ann, sample_ids=[sample], language="tlh"), 422)
    assert refused(api.clone(ann, sample_ids=[sample], voice_id=_ADA), 409)


# Uploads


@pytest.fixture(scope="module")
def small(module_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A gateway that takes files of up to 64 KiB."""
    from tests.integration.api.gateway import open_gateway  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("small")
    limits = {"max_upload_bytes": 64 * 1024, "max_import_bytes": 128 * 1024}
    with open_gateway(module_database, redis_url, folder, **limits) as gateway:
        yield gateway


def file_of(data: bytes = b"RIFF....WAVE", name: str = "ann.wav") -> tuple[io.BytesIO, str, str]:
    return io.BytesIO(data), name, "audio/wav"


def multipart(*parts: tuple[bytes, bytes]) -> dict[str, Any]:
    """A request's body of (Content-Disposition's parameters, content) parts, byte for byte."""
    lines = b"".join(
        b"--frontier\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return {
        "data": lines + b"--frontier--\r\n",
        "content_type": "multipart/form-data; boundary=frontier",
    }


@each_form_route
def test_an_upload_without_its_file_is_refused(api: Gateway, ann: Account, path: str) -> None:
    _, form = FORM_ROUTES[path]
    refused(api.client.post(path, headers=ann.auth, **multipart((b'name="x"', b"1"))), 422)
    refused(api.client.post(path, data=form, headers=ann.auth), 415)
    refused(api.client.post(path, json=form, headers=ann.auth), 415)
    refused(api.client.post(path, headers=ann.auth), 422)
    without_boundary = {"data": b"--x", "content_type": "multipart/form-data"}
    refused(api.client.post(path, headers=ann.auth, **without_boundary), 400, 422)


@each_form_route
def test_an_upload_with_unknown_parts_is_refused(api: Gateway, ann: Account, path: str) -> None:
    name, form = FORM_ROUTES[path]
    extra_field = {**form, name: file_of(), "unknown": "1"}
    refused(api.client.post(path, data=extra_field, headers=ann.auth), 422)
    extra_file = {**form, name: file_of(), "unknown": file_of()}
    refused(api.client.post(path, data=extra_file, headers=ann.auth), 422)


@each_form_route
def test_an_empty_file_is_refused(api: Gateway, ann: Account, path: str) -> None:
    name, form = FORM_ROUTES[path]
    answer = api.client.post(path, data={**form, name: file_of(b"")}, headers=ann.auth)
    assert refused(answer, 422)["error_code"] == "empty_audio"


@each_form_route
@pytest.mark.parametrize("bad", [b"a\x00b", b"a\xed\xa0\x80\x00", b"a" * 200_001])
def test_fields_of_a_form_are_checked(api: Gateway, ann: Account, path: str, bad: bytes) -> None:
    name, form = FORM_ROUTES[path]
    file_part = (b'name="%s"; filename="a.wav"' % name.encode(), b"RIFF")
    for field in form:
        others = [(b'name="%s"' % key.encode(), form[key].encode()) for key in form if key != field]
        body = multipart(file_part, (b'name="%s"' % field.encode(), bad), *others)
        refused(api.client.post(path, headers=ann.auth, **body), 422)


@pytest.mark.parametrize(
    "disposition",
    [
        b'filename="a\x00b.wav"',
        b"filename*=UTF-8''a%00b.wav",
        b"filename*=UTF-8''%ED%A0%80.wav",
        b'filename="\xed\xa0\x80.wav"',
        b"filename*=UTF-8''a%0D%0ASet-Cookie%3A%20a=b.wav",
        b'filename="../../etc/passwd"',
        b'filename="' + b"a" * 5000 + b'.wav"',
        b'filename="\\"; x=\\"\xff.wav"',
    ],
)
def test_a_files_name_does_no_harm(api: Gateway, ann: Account, disposition: bytes) -> None:
    body = multipart((b'name="file"; ' + disposition, b"RIFF....WAVE"))
    stored = api.client.post("/api/samples", headers=ann.auth, **body)
    if stored.status_code != 201:
        refused(stored, 422)
        return
    sent = api.client.get(stored.get_json()["audio_url"], headers=ann.auth)
    assert (sent.status_code, sent.data) == (200, b"RIFF....WAVE")
    disposition_sent = sent.headers["Content-Disposition"]
    assert disposition_sent.isprintable()
    assert len(disposition_sent) < 4000
    assert "Set-Cookie" not in sent.headers


def test_a_voices_name_does_no_harm_to_its_downloads(api: Gateway, ann: Account) -> None:
    voice = api.add_voice(ann)
    path = f"/api/voices/{voice.id}"
    body = {"name": 'A\r\nSet-Cookie: a=b\x7f"\\é'}
    assert api.client.patch(path, json=body, headers=ann.auth).status_code == 200
    for file in ("sample", "recording", "export"):
        sent = api.client.get(f"{path}/{file}", headers=ann.auth)
        assert sent.status_code == 200
        assert sent.headers["Content-Disposition"].isprintable()
        sent.close()


@pytest.mark.parametrize("content_type", ["audio/\x7f", "a" * 5000, "", "audio/wav; a=\xff"])
def test_a_files_claimed_type_does_no_harm(api: Gateway, ann: Account, content_type: str) -> None:
    form = {"file": (io.BytesIO(b"RIFF"), "a.wav", content_type)}
    stored = api.client.post("/api/samples", data=form, headers=ann.auth)
    assert stored.status_code in (201, 422)
    if stored.status_code == 201:
        sent = api.client.get(stored.get_json()["audio_url"], headers=ann.auth)
        assert sent.mimetype == "application/octet-stream"


def uploaded_bytes(gateway: Gateway) -> list[str]:
    return list(gateway.container.store.list("uploads/"))


@each_form_route
def test_a_file_over_the_limit_is_refused_and_not_kept(small: Gateway, path: str) -> None:
    account = small.register()
    name, form = FORM_ROUTES[path]
    before = uploaded_bytes(small)
    # Over the limit of the request, and over that of a file by its form's few bytes.
    for size in (200 * 1024, 64 * 1024 + 1):
        data = {**form, name: file_of(b"a" * size)}
        answer = small.client.post(path, data=data, headers=account.auth)
        assert refused(answer, 413)["error_code"] == "payload_too_large"
    assert uploaded_bytes(small) == before


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/api/samples", "multipart/form-data; boundary=frontier"),
        ("/voices", "multipart/form-data; boundary=frontier"),
        ("/api/tts/generate", "application/json"),
    ],
)
@pytest.mark.usefixtures("dropped_files")
def test_a_body_of_unknown_length_is_limited_too(
    small: Gateway, path: str, content_type: str
) -> None:
    account = small.register()
    name = FORM_ROUTES[path][0] if path in FORM_ROUTES else ""
    part = (b'name="%s"; filename="a.wav"' % name.encode(), b"a" * 3 * 1024 * 1024)
    body = io.BytesIO(multipart(part)["data"])
    answer = small.client.post(
        path,
        input_stream=body,
        content_type=content_type,
        headers={**account.auth, "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert refused(answer, 413)["error_code"] == "payload_too_large"


def test_a_claim_of_a_huge_body_is_refused_unread(api: Gateway, ann: Account) -> None:
    for path in ("/api/samples", "/api/tts/generate", "/api/auth/login"):
        for claim in (str(10**12), "9" * 4000):
            answer = api.client.post(
                path,
                content_type="multipart/form-data"
                if path == "/api/samples"
                else "application/json",
                headers=ann.auth,
                environ_overrides={"CONTENT_LENGTH": claim},
            )
            assert refused(answer, 413)["error_code"] == "payload_too_large"
    for odd in ("-5", "many", "1e3"):
        answer = api.client.post(
            "/api/auth/login",
            content_type="application/json",
            environ_overrides={"CONTENT_LENGTH": odd},
        )
        refused(answer, 400, 422)


def test_a_form_of_many_parts_is_refused(api: Gateway, ann: Account) -> None:
    parts = [(b'name="n%d"' % number, b"1") for number in range(1000)]
    answer = api.client.post("/api/samples", headers=ann.auth, **multipart(*parts))
    assert refused(answer, 413)


def test_a_new_voice_that_cannot_be_made_keeps_no_recording(api: Gateway) -> None:
    account = api.register()
    _, form = FORM_ROUTES["/voices"]
    data = {**form, "language": "tlh", "files": file_of()}
    answer = api.client.post("/voices", data=data, headers=account.auth)
    assert refused(answer, 422)["error_code"] == "unsupported_language"
    listed = api.client.get("/api/samples", headers=account.auth).get_json()
    assert listed["items"] == []
