"""POST /voices: recordings in, a voice out, in one request, or nothing at all."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart

from mynah.errors import StorageUnavailable
from mynah.storage.local import LocalObjectStore
from services.api.bootstrap import EXTENSION
from services.api.use_cases import voices
from tests.integration.api.gateway import CONSENT, error_of
from tests.integration.voices.studio import Studio, json_of

FORM = {
    "name": "Ann",
    "consent_statement": CONSENT["statement"],
    "consent_given_by": CONSENT["given_by"],
}


def clone_from(studio: Studio, *recordings: bytes) -> TestResponse:
    """A clone through the small API, of files sent under one name."""
    fields = MultiDict[str, Any](FORM)
    for number, data in enumerate(recordings):
        fields.add("files", FileStorage(io.BytesIO(data), f"{number}.wav"))
    boundary, body = encode_multipart(fields)
    content_type = f'multipart/form-data; boundary="{boundary}"'
    return studio.post("/voices", data=body, content_type=content_type)


def assert_left_nothing(studio: Studio) -> None:
    assert studio.objects(str(studio.account.id)) == set()
    assert json_of(studio.get("/api/samples"))["items"] == []
    assert json_of(studio.get("/api/voices?mine=true"))["items"] == []
    assert studio.ready_steps() == []


@pytest.mark.parametrize("later", [b"", bytes(2_000_000)], ids=["empty", "too large"])
def test_the_small_api_keeps_no_recording_when_a_later_one_is_refused(
    studio: Studio,
    building: Studio,
    recording: bytes,
    later: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = building.container.settings.model_copy(update={"max_upload_bytes": 1_000_000})
    monkeypatch.setitem(
        studio.gateway.app.extensions, EXTENSION, replace(studio.container, settings=settings)
    )
    error_of(clone_from(studio, recording, later), 422 if not later else 413)
    assert_left_nothing(studio)


def test_the_small_api_keeps_no_recording_when_the_store_or_the_clone_fails(
    studio: Studio, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, stored = LocalObjectStore.put_file, []

    def put_one(store: LocalObjectStore, key: str, *rest: Any) -> None:
        if stored:
            raise StorageUnavailable
        stored.append(key)
        real(store, key, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(LocalObjectStore, "put_file", put_one)
        error_of(clone_from(studio, recording, recording), 503)
    assert_left_nothing(studio)
    monkeypatch.setattr(voices, "submit_clone_job", lambda *_: 1 / 0)
    error_of(clone_from(studio, recording, recording), 500)
    assert_left_nothing(studio)


def test_the_small_api_clones_from_several_recordings(studio: Studio, recording: bytes) -> None:
    response = clone_from(studio, recording, recording)
    assert response.status_code == 202, response.get_data(as_text=True)
    studio.work()
    voice = json_of(studio.get(f"/voices/{json_of(response)['voice_id']}"))
    assert voice["status"] == "ready"
    assert len(json_of(studio.get("/api/samples"))["items"]) == 2
