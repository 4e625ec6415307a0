"""Downloads: ranges of a file, and the name under which it is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, Response
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_options_header

from mynah.errors import NotFound
from mynah.storage.local import LocalObjectStore
from services.api.downloads import send_object

DATA = bytes(range(100))
KEY = "stories/en/user/1.mp3"


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    filled = LocalObjectStore(tmp_path)
    filled.create()
    filled.put(KEY, DATA, "audio/mpeg")
    return filled


def send(
    store: LocalObjectStore, wanted: str | None, method: str = "GET", name: str = "a.mp3"
) -> tuple[int, bytes, str | None]:
    headers = {} if wanted is None else {"Range": wanted}
    with Flask("test").test_request_context(method=method, headers=headers):
        response = send_object(store, KEY, name)
        data = b"".join(response.iter_encoded())
        assert response.content_length == (len(data) if method == "GET" else len(DATA))
        assert response.headers["Accept-Ranges"] == "bytes"
        return response.status_code, data, response.headers.get("Content-Range")


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=90-", 90, 100),
        ("bytes=90-5000", 90, 100),
        ("bytes=-10", 90, 100),
        ("bytes=99-99", 99, 100),
    ],
)
def test_a_range_is_sent_as_such(
    store: LocalObjectStore, wanted: str, start: int, stop: int
) -> None:
    said = f"bytes {start}-{stop - 1}/100"
    assert send(store, wanted) == (206, DATA[start:stop], said)


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        "bytes=0-",
        "bytes=0-99",
        "bytes=-100",
        "bytes=-5000",  # the last 5000 bytes of 100 are all of them
        "bytes=0-1,5-6",  # several ranges: the whole is allowed, and simpler
        "lines=1-2",
        "bytes=5-1",
        "bytes=a-b",
        "bytes",
        "bytes=",
    ],
)
def test_what_is_no_single_range_sends_the_whole(
    store: LocalObjectStore, wanted: str | None
) -> None:
    assert send(store, wanted) == (200, DATA, None)


@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=5000-5001", "bytes=" + "9" * 30 + "-"])
def test_a_range_outside_the_file_cannot_be_sent(store: LocalObjectStore, wanted: str) -> None:
    with pytest.raises(RequestedRangeNotSatisfiable):
        send(store, wanted)


def test_head_says_the_length_and_sends_nothing(store: LocalObjectStore) -> None:
    assert send(store, None, "HEAD") == (200, b"", None)


def answer(store: LocalObjectStore, method: str = "GET", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with Flask("test").test_request_context(method=method, headers=named):
        response = send_object(store, KEY, "a.mp3")
        response.get_data()
        return response


def test_a_caller_who_has_the_file_gets_nothing_again(store: LocalObjectStore) -> None:
    tag = answer(store).headers["ETag"]
    again = answer(store, If_None_Match=tag)
    assert (again.status_code, again.get_data(), again.headers["ETag"]) == (304, b"", tag)
    assert answer(store, If_None_Match='"of something else"').status_code == 200
    assert answer(store, "POST", If_None_Match=tag).status_code == 200


def test_a_download_is_resumed_only_on_the_same_file(store: LocalObjectStore) -> None:
    tag = answer(store).headers["ETag"]
    assert answer(store, Range="bytes=90-", If_Range=tag).status_code == 206
    for other in ('"of something else"', "Sat, 21 Nov 2026 04:00:00 GMT", ""):
        assert answer(store, Range="bytes=90-", If_Range=other).status_code == 200
    store.put(KEY, DATA * 2, "audio/mpeg")
    assert answer(store, Range="bytes=90-", If_Range=tag).status_code == 200


def test_a_file_that_is_gone_is_not_found(store: LocalObjectStore) -> None:
    store.delete(KEY)
    with pytest.raises(NotFound):
        send(store, None)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a tale.mp3", "a tale.mp3"),
        ("Ünï.mp3", "Ünï.mp3"),
        ('"quoted" \\ 100%.mp3', '"quoted" \\ 100%.mp3'),
        ("a\r\nSet-Cookie: b=c\x00\x7f\u202e.mp3", "a__Set-Cookie: b=c___.mp3"),
    ],
)
def test_a_name_is_shown_as_it_is_but_for_what_breaks_headers(
    store: LocalObjectStore, name: str, shown: str
) -> None:
    with Flask("test").test_request_context(method="HEAD"):
        header = send_object(store, KEY, name).headers["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    kind, parameters = parse_options_header(header)
    assert (kind, parameters["filename"]) == ("attachment", shown)
