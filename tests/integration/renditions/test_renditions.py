"""A finished job in other formats, on both object stores, with workers in this process."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import av
import pytest
from pydantic import SecretStr

from mynah.contracts.states import JobState
from mynah.db.clock import utc_now
from mynah.db.models import Job, Piece
from mynah.jobs.transitions import cancel_job
from services.audio_proc.retention import expire
from tests.integration.api.gateway import ADA, NOBODY, error_of
from tests.integration.voices.studio import Studio, json_of, open_studio
from tests.parts import RedisPart

#: A Redis database of its own: nobody takes these messages.
REDIS_DATABASE = 14
TEXT = "Once upon a time there was a bear. He slept all winter long."


@pytest.fixture(scope="module", params=["local", "s3"])
def building(
    request: pytest.FixtureRequest,
    module_database: str,
    redis: RedisPart,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Studio]:
    with redis.client(REDIS_DATABASE) as client:
        client.flushdb()
    settings: dict[str, Any] = {}
    if request.param == "s3":
        swift = request.getfixturevalue("swift")
        settings = {
            "storage": "minio",
            "minio_endpoint": swift.endpoint,
            "minio_access_key": swift.access_key,
            "minio_secret_key": SecretStr(swift.secret_key),
            "minio_bucket": "renditions",
        }
    folder = tmp_path_factory.mktemp("objects")
    with open_studio(module_database, redis.url(REDIS_DATABASE), folder, **settings) as opened:
        yield opened


@pytest.fixture
def studio(building: Studio) -> Iterator[Studio]:
    """The studio for an account that has nothing yet."""
    with building.for_one_test() as own:
        yield own


def speak(studio: Studio, **body: Any) -> dict[str, Any]:
    """A finished speech job."""
    order = {"text": TEXT, "voice_id": str(ADA), "title": "The bear", "seed": 1, **body}
    response = studio.post("/api/tts/generate", json=order)
    assert response.status_code == 202, response.get_data(as_text=True)
    studio.work()
    job = json_of(studio.get(f"/api/tts/job/{json_of(response)['job_id']}"))
    assert job["status"] == "completed", job
    return job


def ask(studio: Studio, job: dict[str, Any], status: int = 202, **wish: Any) -> dict[str, Any]:
    response = studio.post(f"/api/tts/job/{job['job_id']}/renditions", json=wish)
    assert response.status_code == status, response.get_data(as_text=True)
    return json_of(response)


def listed(studio: Studio, job: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json_of(studio.get(f"/api/tts/job/{job['job_id']}/renditions"))[
        "items"
    ]
    return items


def download(studio: Studio, url: str) -> tuple[bytes, str]:
    with studio.get(url) as response:
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_data(), response.headers["Content-Type"]


WISHES = [
    ({"output_format": "wav"}, "audio/wav", 22050, 1),
    ({"output_format": "flac", "channels": 2}, "audio/flac", 22050, 2),
    ({"output_format": "ogg", "bitrate_kbps": 48}, "audio/ogg", 22050, 1),
    ({"output_format": "opus", "bitrate_kbps": 32}, "audio/ogg", 48000, 1),
    ({"output_format": "aac", "bitrate_kbps": 64}, "audio/mp4", 22050, 1),
    ({"output_format": "m4b", "sample_rate": 44100}, "audio/mp4", 44100, 1),
    ({"output_format": "mp3", "vbr_quality": 4}, "audio/mpeg", 22050, 1),
    ({"output_format": "mp3", "bitrate_kbps": 32, "sample_rate": 16000}, "audio/mpeg", 16000, 1),
]


def test_a_finished_job_is_fetched_in_every_format(studio: Studio) -> None:
    job = speak(studio)
    asked = [ask(studio, job, **wish) for wish, *_ in WISHES]
    assert [one["status"] for one in asked] == ["pending"] * len(WISHES)
    studio.work()
    for (wish, content_type, rate, channels), one in zip(WISHES, listed(studio, job), strict=True):
        assert one["status"] == "completed", one
        assert one["expires_at"] == job["expires_at"]
        data, sent_type = download(studio, one["download_url"])
        assert (len(data), sent_type) == (one["size_bytes"], content_type)
        with av.open(io.BytesIO(data)) as container:
            context = container.streams.audio[0].codec_context
            assert (context.sample_rate, context.channels) == (rate, channels)
            assert (container.duration or 0) / 1e6 == pytest.approx(
                job["actual_duration_s"], abs=0.01
            )
            title = {**container.streams[0].metadata, **container.metadata}.get("title")
        assert title == (None if one["output_format"] == "wav" else "The bear")
        assert ask(studio, job, 200, **wish) == one


@pytest.mark.parametrize(
    ("fmt", "bytes_per_s"), [("pcm", 44_100), ("ulaw", 8_000), ("alaw", 8_000)]
)
def test_raw_formats_are_as_long_as_the_job(studio: Studio, fmt: str, bytes_per_s: int) -> None:
    job = speak(studio, text="Good night.")
    ask(studio, job, output_format=fmt)
    studio.work()
    (one,) = listed(studio, job)
    data, _ = download(studio, one["download_url"])
    assert len(data) == pytest.approx(job["actual_duration_s"] * bytes_per_s, abs=bytes_per_s / 500)


def test_chapters_are_kept(studio: Studio) -> None:
    text = "First there was a bear.\n\nThen there was a fox."
    response = studio.post("/api/tts/generate", json={"text": text, "voice_id": str(ADA)})
    job_id = json_of(response)["job_id"]
    with studio.worker.new_uow() as uow:
        pieces = uow.session.query(Piece).filter_by(job_id=UUID(job_id)).order_by(Piece.ordinal)
        for piece, chapter in zip(pieces, ("The bear", "The fox"), strict=False):
            piece.chapter = chapter
        count = pieces.count()
        uow.commit()
    studio.work()
    job = json_of(studio.get(f"/api/tts/job/{job_id}"))
    found = studio.job(job_id).result or {}
    titles = ["The bear", "The fox"][:count]
    assert [chapter["title"] for chapter in found["chapters"]] == titles
    assert [chapter["start_s"] for chapter in found["chapters"]] == [
        span["start_s"] for span in found["spans"]
    ]
    ask(studio, job, output_format="m4b")
    studio.work()
    (one,) = listed(studio, job)
    with av.open(io.BytesIO(download(studio, one["download_url"])[0])) as container:
        chapters = container.chapters()
    assert [chapter["metadata"]["title"] for chapter in chapters] == titles


def test_a_range_of_a_rendition_is_downloaded(studio: Studio) -> None:
    job = speak(studio)
    ask(studio, job, output_format="flac")
    studio.work()
    (one,) = listed(studio, job)
    whole, _ = download(studio, one["download_url"])
    headers = {**studio.account.auth, "Range": "bytes=10-19"}
    with studio.client.get(one["download_url"], headers=headers) as part:
        assert (part.status_code, part.get_data()) == (206, whole[10:20])
        assert "The bear.flac" in part.headers["Content-Disposition"]


def test_the_download_takes_a_format_once_it_is_made(studio: Studio) -> None:
    job = speak(studio)
    path = f"/api/tts/job/{job['job_id']}/download"
    own, _ = download(studio, path)
    assert download(studio, f"{path}?format=mp3")[0] == own
    missing = error_of(studio.get(f"{path}?format=flac"), 409)
    assert missing["error_code"] == "rendition_not_ready"
    assert f"{job['job_id']}/renditions" in missing["message"]
    ask(studio, job, output_format="flac")
    assert error_of(studio.get(f"{path}?format=flac"), 409)["error_code"] == "rendition_not_ready"
    (one,) = listed(studio, job)
    url = f"/api/tts/job/{job['job_id']}/renditions/{one['rendition_id']}/download"
    assert error_of(studio.get(url), 409)["error_code"] == "rendition_not_ready"
    studio.work()
    assert download(studio, f"{path}?format=flac")[0][:4] == b"fLaC"
    error_of(studio.get(f"{path}?format=aiff"), 422)


def test_two_who_ask_at_once_get_one_file(studio: Studio) -> None:
    job = speak(studio)
    answers: list[dict[str, Any]] = []

    def ask_once() -> None:
        answers.append(ask(studio, job, output_format="opus"))

    threads = [threading.Thread(target=ask_once) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["rendition_id"] for answer in answers}) == 1
    assert len(studio.ready_steps()) == 1
    assert len(listed(studio, job)) == 1
    # The same layout in other words.
    assert ask(studio, job, output_format="opus", sample_rate=24000, channels=1) in answers


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"output_format": "opus", "bitrate_kbps": 900}, "unsupported_bitrate"),
        ({"output_format": "wav", "bitrate_kbps": 96}, "unsupported_bitrate"),
        ({"output_format": "ulaw", "sample_rate": 16000}, "unsupported_sample_rate"),
        ({"output_format": "alaw", "channels": 2}, "unsupported_channels"),
        ({"output_format": "m4a", "vbr_quality": 2}, "unsupported_vbr"),
        ({"output_format": "aiff"}, "invalid_request"),
        ({"output_format": "mp3", "loudness": 1}, "invalid_request"),
        ({}, "invalid_request"),
    ],
)
def test_what_a_format_does_not_allow_is_refused(
    studio: Studio, wish: dict[str, Any], code: str
) -> None:
    response = studio.post(f"/api/tts/job/{NOBODY}/renditions", json=wish)
    assert error_of(response, 422)["error_code"] == code


def test_only_finished_jobs_of_ones_own_have_renditions(studio: Studio) -> None:
    body = {"text": TEXT, "voice_id": str(ADA)}
    job = json_of(studio.post("/api/tts/generate", json=body))
    path = f"/api/tts/job/{job['job_id']}/renditions"
    wish = {"output_format": "wav"}
    assert error_of(studio.post(path, json=wish), 409)["error_code"] == "job_not_completed"
    assert listed(studio, job) == []
    studio.work()
    same = {"output_format": "mp3", "bitrate_kbps": 96}
    assert error_of(studio.post(path, json=same), 409)["error_code"] == "same_as_output"
    made = ask(studio, job, **wish)
    stranger = studio.with_new_account()
    error_of(stranger.post(path, json=wish), 404)
    error_of(stranger.get(path), 404)
    error_of(stranger.get(f"{path}/{made['rendition_id']}/download"), 404)
    error_of(studio.get(f"{path}/{NOBODY}/download"), 404)


def test_a_rendition_that_failed_is_made_again(studio: Studio) -> None:
    job = speak(studio)
    first = ask(studio, job, output_format="wav")
    (payload,) = studio.ready_steps()
    with studio.worker.new_uow() as uow:
        uow.session.get_one(Job, payload.job_id).state = JobState.FAILED
        uow.steps.cancel_all(payload.job_id)
        uow.commit()
    second = ask(studio, job, output_format="wav")
    assert (second["rendition_id"], second["status"]) == (first["rendition_id"], "pending")
    studio.work()
    assert [one["status"] for one in listed(studio, job)] == ["completed"]


def cancelled_while_stored(
    studio: Studio, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rendition's job that is cancelled after its upload; long enough ago to be swept."""
    ask(studio, job, output_format="wav")
    (payload,) = studio.ready_steps()
    store = studio.worker.store
    put_file = store.put_file

    def put_and_cancel(*arguments: Any) -> None:
        put_file(*arguments)
        with studio.worker.new_uow() as uow:
            row = uow.session.get_one(Job, payload.job_id)
            cancel_job(uow, row)
            row.ended_at = utc_now() - timedelta(hours=1)
            uow.commit()

    with monkeypatch.context() as patched:
        patched.setattr(store, "put_file", put_and_cancel)
        studio.work()


@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_rendition_that_is_cancelled_while_it_is_stored_leaves_nothing(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, is_made_again: bool
) -> None:
    job = speak(studio)
    cancelled_while_stored(studio, job, monkeypatch)
    (cancelled,) = listed(studio, job)
    assert (cancelled["status"], cancelled["download_url"]) == ("cancelled", None)
    assert len(studio.objects(f"{job['job_id']}.")) == 2
    if is_made_again:
        ask(studio, job, output_format="wav")
        studio.work()
    expire(studio.worker)
    assert len(studio.objects(f"{job['job_id']}.")) == 1 + is_made_again
    if is_made_again:
        (made,) = listed(studio, job)
        download(studio, made["download_url"])


def test_a_job_has_a_bounded_number_of_renditions(studio: Studio) -> None:
    job = speak(studio, text="Good night.")
    for bitrate in range(10, 30):
        ask(studio, job, output_format="opus", bitrate_kbps=bitrate)
    path = f"/api/tts/job/{job['job_id']}/renditions"
    refused = studio.post(path, json={"output_format": "wav"})
    assert error_of(refused, 409)["error_code"] == "too_many_renditions"
    assert ask(studio, job, output_format="opus", bitrate_kbps=12)["status"] == "pending"


def test_renditions_go_with_the_jobs_output(studio: Studio) -> None:
    job = speak(studio)
    ask(studio, job, output_format="wav")
    studio.work()
    ask(studio, job, output_format="flac")  # not made yet when the output goes
    assert len(studio.objects(f"{job['job_id']}.")) == 2
    with studio.worker.new_uow() as uow:
        uow.session.get_one(Job, UUID(job["job_id"])).expires_at = utc_now() - timedelta(seconds=1)
        uow.commit()
    expire(studio.worker)
    assert studio.objects(f"{job['job_id']}.") == set()
    wav, _ = listed(studio, job)
    assert wav["download_url"] is None
    path = f"/api/tts/job/{job['job_id']}/renditions"
    gone = studio.get(f"{path}/{wav['rendition_id']}/download")
    assert error_of(gone, 410)["error_code"] == "output_expired"
    refused = studio.post(path, json={"output_format": "wav"})
    assert error_of(refused, 410)["error_code"] == "output_expired"
    studio.work()
    _, flac = listed(studio, job)
    assert (flac["status"], flac["error_code"]) == ("failed", "output_expired")
    assert studio.objects(f"{job['job_id']}.") == set()


def test_what_a_job_notes_for_subtitles_and_savings(studio: Studio) -> None:
    job = speak(studio)
    details = studio.job(job["job_id"]).result or {}
    with studio.worker.new_uow() as uow:
        pieces = uow.pieces.of_job(UUID(job["job_id"]))
    assert len(details["spans"]) == len(pieces)
    spoken_s = sum(piece.segment_duration_s or 0.0 for piece in pieces)
    assert details["pcm_bytes"] == pytest.approx(spoken_s * 22050 * 2, abs=2 * len(pieces))
    assert details["spans"][-1]["end_s"] == pytest.approx(job["actual_duration_s"], abs=1e-3)
    assert all(0 <= span["lead_trimmed_s"] < 1 for span in details["spans"])
    assert details["true_peak_dbtp"] <= -1.0
    assert details["loudness_lufs"] == pytest.approx(-18.0, abs=1.0)


def test_a_swept_segment_fails_the_job_for_good(studio: Studio) -> None:
    body = {"text": TEXT, "voice_id": str(ADA)}
    job_id = json_of(studio.post("/api/tts/generate", json=body))["job_id"]
    while studio.task_of(studio.ready_steps()[0]) == "tts.synthesize":
        studio.work(1)
    for key in studio.objects(f"work/{job_id}"):
        studio.container.store.delete(key)
    studio.work()
    job = json_of(studio.get(f"/api/tts/job/{job_id}"))
    assert (job["status"], job["error_code"]) == ("failed", "segment_missing")
    assert "work/" not in job["error_message"]
