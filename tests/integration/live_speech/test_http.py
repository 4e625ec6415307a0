"""Speech over HTTP while it is spoken: order, no sample lost, leaving, and what breaks."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import groupby

import httpx
import numpy as np
import pytest

from mynah.audio.conversions import decode_blocks
from mynah.audio.mp3_format import iter_frames
from mynah.contracts.states import JobState
from mynah.db.clock import utc_now
from mynah.db.repositories.usage import period_of
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import (
    MAX_STREAMS_PER_USER,
    Stage,
    assert_same_sound,
)
from tests.parts import wait_for

QUICK = "The fox ran over the hill. Then it drank from the river there. At night it slept well."
SLOW = "One slowly told tale of a fox on a hill. Two slowly told tales of an old river."


@pytest.fixture
def listen(stage: Stage, ann: Account) -> Iterator[httpx.Client]:
    with stage.client(ann) as client:
        yield client


def test_the_answer_is_every_sample_of_every_piece_in_order(
    stage: Stage, listen: httpx.Client
) -> None:
    with listen.stream("POST", "/api/tts/stream", json=stage.order(QUICK, store=True)) as answer:
        got = answer.read()
    assert answer.status_code == 200, got
    assert answer.headers["Content-Type"] == "audio/pcm"
    assert answer.headers["X-Sample-Rate"] == "16000"
    assert answer.headers["X-Voice-ID"] == str(stage.voice_id)
    job_id = answer.headers["X-Job-ID"]
    assert len(stage.pieces(job_id)) > 1
    assert_same_sound(got, stage.expected(job_id))
    wait_for(lambda: completed(stage, job_id), 20, "a stored stream is an ordinary job")
    assert listen.get(f"/api/tts/job/{job_id}/download").status_code == 200
    assert job_id in listen.get("/api/tts/jobs").text


def test_the_first_sound_comes_before_the_text_is_spoken(
    stage: Stage, listen: httpx.Client
) -> None:
    with listen.stream("POST", "/api/tts/stream", json=stage.order(SLOW)) as answer:
        chunks = answer.iter_raw()
        got = next(chunks)
        spoken = [text for _, text in stage.notes() if text in SLOW]
        got += b"".join(chunks)
    whole_s = len(SLOW) / 14
    assert len(spoken) * 0.05 < whole_s / 3, "the first sound waited for the others"
    assert_same_sound(got, stage.expected(answer.headers["X-Job-ID"]))


@pytest.mark.parametrize("fmt", ["mp3", "wav", "opus"])
def test_every_format_is_one_stream_that_decodes(
    stage: Stage, listen: httpx.Client, fmt: str
) -> None:
    order = stage.order(QUICK, output_format=fmt)
    answer = listen.post("/api/tts/stream", json=order)
    assert answer.status_code == 200, answer.text
    expected_s = len(stage.expected(answer.headers["X-Job-ID"])) / 2 / 16000
    blocks = [block.to_mono() for block in decode_blocks(io.BytesIO(answer.content))]
    assert abs(sum(block.duration_s for block in blocks) - expected_s) < 0.1
    assert max(float(np.abs(block.samples).max()) for block in blocks) > 0.1


def test_speech_that_is_not_stored_leaves_only_sums(
    stage: Stage, listen: httpx.Client, ann: Account
) -> None:
    job_id = listen.post("/api/tts/stream", json=stage.order(QUICK)).headers["X-Job-ID"]
    assert listen.get("/api/tts/jobs").json()["items"] == []
    assert listen.get(f"/api/tts/job/{job_id}").status_code == 404
    wait_for(lambda: completed(stage, job_id), 10, "the job did not end")
    wait_for(lambda: usage_of(stage, ann)[1] > 3, 10, "the audio was not counted")
    assert usage_of(stage, ann)[0] == len(QUICK)


def test_leaving_stops_the_engine_within_a_second_and_frees_the_slot(
    stage: Stage, listen: httpx.Client, ann: Account
) -> None:
    with listen.stream("POST", "/api/tts/stream", json=stage.order(SLOW * 3)) as answer:
        chunks = answer.iter_raw()  # kept: httpx closes the answer with it
        next(chunks)
        assert stage.listeners() == 1
    left_at = time.time()
    wait_for(lambda: stage.listeners() == 0, 2, "the slot was not freed")
    wait_for(lambda: state_of(stage, answer) == JobState.CANCELLED, 3, "the job goes on")
    wait_for(lambda: time.time() - stage.notes()[-1][0] > 1, 5, "the engine goes on")
    assert stage.notes()[-1][0] - left_at < 1
    assert 0 < usage_of(stage, ann)[0] < len(SLOW * 3), "what was not spoken is given back"


def test_leaving_a_stored_stream_lets_its_job_go_on(stage: Stage, listen: httpx.Client) -> None:
    with listen.stream("POST", "/api/tts/stream", json=stage.order(SLOW, store=True)) as answer:
        chunks = answer.iter_raw()  # kept: httpx closes the answer with it
        next(chunks)
    wait_for(lambda: completed(stage, answer.headers["X-Job-ID"]), 30, "the job was not finished")


def test_too_many_streams_are_refused_without_a_job(stage: Stage, listen: httpx.Client) -> None:
    opened = []
    try:
        for _ in range(MAX_STREAMS_PER_USER):
            request = listen.build_request("POST", "/api/tts/stream", json=stage.order(SLOW))
            opened.append(listen.send(request, stream=True))
        refused = listen.post("/api/tts/stream", json=stage.order(SLOW))
        assert (refused.status_code, refused.json()["error_code"]) == (429, "too_many_streams")
    finally:
        for answer in opened:
            answer.close()
    wait_for(lambda: stage.listeners() == 0, 3, "the slots were not freed")


def test_a_killed_worker_costs_no_word_and_repeats_none(stage: Stage, listen: httpx.Client) -> None:
    with listen.stream("POST", "/api/tts/stream", json=stage.order(SLOW)) as answer:
        chunks = answer.iter_raw()
        got = b"".join(next(chunks) for _ in range(10))
        try:
            stage.kill_speakers()
        finally:
            stage.start_speaker("speaker-1")
            stage.start_speaker("speaker-2")
        got += b"".join(chunks)
    assert_same_sound(got, stage.expected(answer.headers["X-Job-ID"]))


def test_a_flushed_redis_costs_no_word(stage: Stage, listen: httpx.Client) -> None:
    with listen.stream("POST", "/api/tts/stream", json=stage.order(SLOW)) as answer:
        chunks = answer.iter_raw()
        got = next(chunks)
        stage.redis.flush()
        got += b"".join(chunks)
    assert_same_sound(got, stage.expected(answer.headers["X-Job-ID"]))


def test_a_redis_that_restarts_costs_no_word(stage: Stage, listen: httpx.Client) -> None:
    with listen.stream("POST", "/api/tts/stream", json=stage.order(SLOW)) as answer:
        chunks = answer.iter_raw()
        got = next(chunks)
        stage.redis.kill()
        time.sleep(0.3)
        stage.redis.restart()
        got += b"".join(chunks)
    assert_same_sound(got, stage.expected(answer.headers["X-Job-ID"]))
    wait_for(lambda: stage.listeners() == 0, 3, "the slot was not freed")


def test_an_engine_that_fails_on_the_way_breaks_the_answer_off(
    stage: Stage, listen: httpx.Client
) -> None:
    order = stage.order("They choke slowly on this rather long sentence.")
    with listen.stream("POST", "/api/tts/stream", json=order) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    wait_for(lambda: stage.listeners() == 0, 3, "the slot was not freed")


def test_a_link_speaks_for_players_that_send_no_headers(stage: Stage, listen: httpx.Client) -> None:
    link = listen.post("/api/tts/stream/link", json=stage.order(QUICK, output_format="mp3"))
    assert link.status_code == 201, link.text
    for _ in range(2):
        answer = httpx.get(link.json()["url"], timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "audio/mpeg"
        assert len(answer.content) > 10_000


@pytest.mark.parametrize(
    ("token", "status"), [("", 401), ("nonsense", 401), ("an access token", 401)]
)
def test_what_is_no_link_is_refused(stage: Stage, ann: Account, token: str, status: int) -> None:
    token = ann.token if token == "an access token" else token
    answer = httpx.get(f"{stage.url}/api/tts/stream", params={"token": token})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"output_format": "flac"}, 422),
        ({"channels": 2}, 422),
        ({"text": "a" * 3000}, 422),
        ({"text": "..."}, 422),
        ({"voice_id": "01890000-0000-7000-8000-000000000000"}, 404),
    ],
)
def test_what_cannot_be_streamed_is_refused(
    stage: Stage, listen: httpx.Client, body: dict[str, object], status: int
) -> None:
    answer = listen.post("/api/tts/stream", json={**stage.order(QUICK), **body})
    assert answer.status_code == status, answer.text
    assert stage.listeners() == 0


def test_a_stream_takes_no_idempotency_key(stage: Stage, listen: httpx.Client) -> None:
    order = {**stage.order(QUICK), "store": True}
    refused = listen.post("/api/tts/stream", json=order, headers={"Idempotency-Key": "one"})
    assert refused.status_code == 422
    assert refused.json()["error_code"] == "idempotency_not_for_streams"


def test_listeners_at_the_same_time_each_get_their_own(stage: Stage, ann: Account) -> None:
    got: dict[str, bytes] = {}

    def hear() -> None:
        with stage.client(ann) as client:
            answer = client.post("/api/tts/stream", json=stage.order(QUICK))
            got[answer.headers["X-Job-ID"]] = answer.content

    threads = [threading.Thread(target=hear) for _ in range(MAX_STREAMS_PER_USER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == MAX_STREAMS_PER_USER
    for job_id, sound in got.items():
        assert_same_sound(sound, stage.expected(job_id))


def test_a_slow_connection_is_given_less_and_a_quick_one_more_again(
    stage: Stage, ann: Account
) -> None:
    order = stage.order(QUICK * 12, output_format="mp3", quality="premium", seed=1)
    head, data = slowly_read(stage, ann, order, paces=((56, 7), (400, 8)))
    assert "X-Bitrates-Kbps: 128, 96, 64, 48" in head
    found = [header.bitrate_kbps for _, header in iter_frames(data[id3_length(data) :])]
    runs = [rate for rate, group in groupby(found) if len(list(group)) > 20]
    assert (runs[0], runs[-1]) == (128, 128), runs
    assert 48 in runs
    job_id = re.findall(r"X-Job-ID: (\S+)", head)[0]
    expected = np.frombuffer(stage.expected(job_id), "<i2") / 32768
    blocks = decode_blocks(io.BytesIO(data))
    heard = np.concatenate([block.to_mono().samples for block in blocks])
    # The bare stream has the encoder's and the decoder's delay in front (1,105 samples).
    likeness = max(
        np.corrcoef(heard[delay : delay + len(expected)], expected)[0, 1]
        for delay in (0, 576, 1105)
    )
    assert likeness > 0.99
    metrics = httpx.get(f"{stage.url}/metrics").text
    for direction in ("down", "up"):
        assert re.search(rf'mynah_bitrate_changes_total{{direction="{direction}"}} [1-9]', metrics)


@pytest.mark.parametrize(("query", "is_adaptive"), [("", True), ("?bitrate_kbps=96", False)])
def test_a_slow_listener_of_a_story_is_given_less_unless_the_bitrate_is_asked_for(
    stage: Stage, listen: httpx.Client, ann: Account, query: str, *, is_adaptive: bool
) -> None:
    order = stage.order(QUICK * 30, output_format="wav")  # so it is encoded for whoever listens
    job_id = listen.post("/api/tts/generate", json=order).json()["job_id"]
    path = f"/api/tts/job/{job_id}/stream{query}"
    head, data = slowly_read(stage, ann, None, ((40, 5),), path)
    found = [header.bitrate_kbps for _, header in iter_frames(data[id3_length(data) :])]
    assert found[0] == 96
    assert (found.count(48) > 20) is is_adaptive
    assert f"X-Bitrates-Kbps: {'96, 64, 48' if is_adaptive else '96'}\r\n" in head


@pytest.mark.parametrize(
    ("wish", "bitrates"),
    [
        ({}, "96, 64, 48"),
        ({"bitrate_kbps": 96}, "96"),
        ({"adaptive_bitrate": False}, "96"),
        ({"bitrate_kbps": 64, "adaptive_bitrate": True}, "64, 48"),
    ],
)
def test_a_bitrate_that_is_asked_for_is_fixed(
    listen: httpx.Client, stage: Stage, wish: dict[str, object], bitrates: str
) -> None:
    order = stage.order(QUICK, output_format="mp3", **wish)
    assert listen.post("/api/tts/stream", json=order).headers["X-Bitrates-Kbps"] == bitrates


def test_live_speech_does_not_wait_for_batch_pieces_in_its_pool(
    stage: Stage, listen: httpx.Client
) -> None:
    told = "A slowly told tale number {} of a fox that never ends at all. "
    order = {"text": "".join(told.format(n) for n in range(8)), "voice_id": str(stage.voice_id)}
    story = listen.post("/api/tts/generate", json=order).json()["job_id"]
    wait_for(lambda: "tale number" in stage.notes()[-1][1], 10, "the story was not begun")
    started = time.monotonic()
    with listen.stream("POST", "/api/tts/stream", json=stage.order(QUICK)) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        took_s = time.monotonic() - started
        b"".join(chunks)
    assert took_s < 2, "a batch piece of four seconds was waited for"
    wait_for(lambda: completed(stage, story), 60, "the story was not spoken again")


def completed(stage: Stage, job_id: str) -> bool:
    job = stage.job(job_id)
    return job is not None and job.state == JobState.COMPLETED


def state_of(stage: Stage, answer: httpx.Response) -> str:
    job = stage.job(answer.headers["X-Job-ID"])
    assert job is not None
    return job.state


def usage_of(stage: Stage, account: Account) -> tuple[int, float]:
    """Characters and seconds of audio this month."""
    with stage.gateway.container.new_uow() as uow:
        usage = uow.usage.get(account.id, period_of(utc_now()))
    return (usage.characters, usage.audio_s) if usage else (0, 0.0)


def slowly_read(
    stage: Stage,
    account: Account,
    order: dict[str, object] | None,
    paces: Sequence[tuple[int, float]],
    path: str = "/api/tts/stream",
) -> tuple[str, bytes]:
    """Head and body of an answer, read at so many kbit/s for so many seconds, then the rest.

    An order is posted; without one it is a GET.
    """
    body = json.dumps(order) if order else ""
    request = (
        f"{'POST' if order else 'GET'} {path} HTTP/1.0\r\n"
        f"Authorization: {account.auth['Authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(stage.address)
        raw.sendall(request.encode())
        got = raw.recv(1)
        for kbps, duration_s in paces:
            began, before = time.monotonic(), len(got)
            while (passed_s := time.monotonic() - began) < duration_s:
                if (allowed := round(passed_s * kbps * 125) - len(got) + before) > 0:
                    got += raw.recv(allowed)
                time.sleep(0.02)
        while data := raw.recv(65536):
            got += data
    head, _, data = got.partition(b"\r\n\r\n")
    return head.decode(), data


def id3_length(data: bytes) -> int:
    """How long the tag in front is (ID3v2.4, 3.1)."""
    if data[:3] != b"ID3":
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
