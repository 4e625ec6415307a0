"""Listening to a story while it is made: in order, without gaps, the same as the finished file."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from werkzeug.test import TestResponse

from mynah.audio.mp3 import Mp3Encoder
from mynah.contracts.object_keys import work_folder
from mynah.contracts.states import JobState
from services.api.live.connection import StreamCut
from tests.integration.api.gateway import error_of
from tests.integration.live.listening import (
    decode,
    finish,
    from_pcm,
    likeness,
    listening,
    ordered,
)
from tests.integration.voices.studio import Studio
from tests.parts import wait_for

#: What a decoder may add to or take from a finished MP3: one frame.
FRAME = 576


def chunks_of(response: TestResponse) -> Iterator[bytes]:
    for chunk in response.response:
        yield chunk if isinstance(chunk, bytes) else chunk.encode()


def output_of(studio: Studio, job_id: str) -> bytes:
    """The finished file."""
    with studio.get(f"/api/tts/job/{job_id}/download") as response:
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_data()


def heard_while_made(studio: Studio, job_id: str, query: str) -> bytes:
    """All that a listener gets who is there from the start, one step of work after the other."""
    heard = b""
    with listening(studio, job_id, f"stream?{query}") as response:
        assert response.status_code == 200
        chunks = chunks_of(response)
        while studio.ready_steps():
            heard += next(chunks)
            studio.work(most=1)
        return heard + b"".join(chunks)


def remove_segments(studio: Studio, job_id: str) -> None:
    """As a minute after the job's end."""
    folder = work_folder(studio.job(job_id).id)
    for key in list(studio.container.store.list(folder)):
        studio.container.store.delete(key)


def assert_same_speech(
    heard: npt.NDArray[np.float32], finished: npt.NDArray[np.float32], least: float = 0.99
) -> None:
    assert abs(len(heard) - len(finished)) <= FRAME
    assert likeness(heard, finished) > least


def test_a_stream_is_the_finished_file(studio: Studio) -> None:
    job_id = ordered(studio, output_format="wav")
    heard = from_pcm(heard_while_made(studio, job_id, "format=pcm"))
    finished = decode(output_of(studio, job_id))
    assert len(heard) == len(finished)
    np.testing.assert_allclose(heard, finished, atol=2 / 32768)


def test_an_mp3_stream_is_one_encoders_work(studio: Studio) -> None:
    job_id = ordered(studio)
    data = heard_while_made(studio, job_id, "bitrate_kbps=64")
    assert data[:3] == b"ID3"
    seconds = studio.job(job_id).actual_duration_s
    assert seconds is not None
    assert len(data) * 8 / 64_000 == pytest.approx(seconds, abs=0.2)
    delay = 576 + 529  # what the encoder and every decoder put in front
    heard, finished = decode(data)[delay:], decode(output_of(studio, job_id))
    assert -FRAME <= len(heard) - len(finished) <= 3 * FRAME
    assert likeness(heard, finished) > 0.98
    assert np.abs(heard).mean() == pytest.approx(np.abs(finished).mean(), rel=0.02)


def test_a_wav_stream_has_a_header_of_open_length(studio: Studio) -> None:
    job_id = ordered(studio, "Hello there.")
    data = heard_while_made(studio, job_id, "format=wav")
    assert (data[:4], data[8:12], data[36:40]) == (b"RIFF", b"WAVE", b"data")
    assert int.from_bytes(data[24:28], "little") == 22050
    assert_same_speech(from_pcm(data[44:]), decode(output_of(studio, job_id)))


def test_the_first_piece_is_heard_while_the_others_are_made(studio: Studio) -> None:
    job_id = ordered(studio)
    with listening(studio, job_id, "stream?format=pcm") as response:
        assert response.content_type == "audio/pcm"
        assert response.headers["X-Sample-Rate"] == "22050"
        chunks = chunks_of(response)
        assert next(chunks) == b""
        studio.work(most=1)
        assert len(next(chunks)) > 1000
        assert studio.job(job_id).state == JobState.PROCESSING


def test_pieces_that_are_done_come_at_once(studio: Studio) -> None:
    job_id = ordered(studio, output_format="wav")
    while len(studio.ready_steps()) > 1:
        studio.work(most=1)
    with listening(studio, job_id, "stream?format=pcm") as response:
        finish(studio)
        heard = from_pcm(b"".join(chunks_of(response)))
    assert_same_speech(heard, decode(output_of(studio, job_id)))


@pytest.mark.parametrize("output_format", ["wav", "mp3"])
def test_a_slow_listener_goes_on_when_the_segments_are_gone(
    studio: Studio, output_format: str
) -> None:
    job_id = ordered(studio, output_format=output_format)
    with listening(studio, job_id, "stream?format=pcm") as response:
        studio.work(most=1)
        chunks = chunks_of(response)
        heard = next(chunks) + next(chunks)
        finish(studio)
        remove_segments(studio, job_id)
        heard += b"".join(chunks)
    assert_same_speech(from_pcm(heard), decode(output_of(studio, job_id)))


def test_a_finished_job_is_sent_in_the_form_that_is_wanted(studio: Studio) -> None:
    job_id = ordered(studio)
    finish(studio)
    remove_segments(studio, job_id)
    finished = output_of(studio, job_id)
    with listening(studio, job_id, "stream?format=pcm") as response:
        assert_same_speech(from_pcm(b"".join(chunks_of(response))), decode(finished))
    with listening(studio, job_id, "stream?bitrate_kbps=32") as response:
        assert len(b"".join(chunks_of(response))) == pytest.approx(len(finished) / 3, rel=0.1)


def test_a_finished_job_is_sent_by_range_in_its_own_form(studio: Studio) -> None:
    job_id = ordered(studio, "Hello there.")
    finish(studio)
    finished = output_of(studio, job_id)
    for query in ("", "?format=mp3&bitrate_kbps=96"):
        with listening(studio, job_id, f"stream{query}", Range="bytes=100-199") as response:
            assert response.status_code == 206
            assert response.get_data() == finished[100:200]
    assert studio.container.slots.taken == 0


@pytest.mark.parametrize("end", ["cancel", "fail"])
def test_a_job_that_ends_otherwise_cuts_the_stream(studio: Studio, end: str) -> None:
    job_id = ordered(studio)
    with listening(studio, job_id, "stream?format=pcm") as response:
        studio.work(most=1)
        chunks = chunks_of(response)
        assert not next(chunks)
        assert next(chunks)
        if end == "cancel":
            studio.post(f"/api/tts/job/{job_id}/cancel")
        else:
            studio.gateway.change_job(job_id, state=JobState.FAILED, error_code="engine_failed")
        with pytest.raises(StreamCut) as cut:
            b"".join(chunks)
    assert cut.value.errno == errno.ECONNRESET
    assert studio.container.slots.taken == 0
    refused = studio.get(f"/api/tts/job/{job_id}/stream")
    assert error_of(refused, 409)["error_code"] == "job_not_completed"


def test_a_stream_whose_audio_is_gone_is_cut(studio: Studio) -> None:
    job_id = ordered(studio)
    with listening(studio, job_id, "stream?format=pcm") as response:
        studio.work(most=1)
        chunks = chunks_of(response)
        assert not next(chunks)
        assert next(chunks)
        finish(studio)
        remove_segments(studio, job_id)
        studio.gateway.change_job(job_id, output_key=None)
        with pytest.raises(StreamCut):
            b"".join(chunks)
    gone = studio.get(f"/api/tts/job/{job_id}/stream")
    assert error_of(gone, 410)["error_code"] == "output_expired"


def test_a_store_that_is_away_for_a_moment_is_waited_for(studio: Studio) -> None:
    job_id = ordered(studio, output_format="wav")
    folder = studio.container.settings.storage_dir / "objects"
    away = folder.with_name("away")
    with listening(studio, job_id, "stream?format=pcm") as response:
        studio.work(most=1)
        chunks = chunks_of(response)
        heard = next(chunks) + next(chunks)
        finish(studio)
        folder.rename(away)
        back = threading.Timer(0.7, away.rename, [folder])
        back.start()
        heard += b"".join(chunks)
        back.join()
    assert_same_speech(from_pcm(heard), decode(output_of(studio, job_id)))


def test_who_leaves_frees_everything(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    encode = Mp3Encoder.encode

    def counted(self: Mp3Encoder, block: Any) -> bytes:
        encoded.append(block.frames)
        return encode(self, block)

    monkeypatch.setattr(Mp3Encoder, "encode", counted)
    job_id = ordered(studio)
    with listening(studio, job_id, "stream") as response:
        studio.work(most=1)
        chunks = chunks_of(response)
        assert next(chunks)[:3] == b"ID3"
        assert next(chunks)
        assert studio.container.slots.taken == 1
        assert studio.container.watcher.watched
    assert studio.container.slots.taken == 0
    wait_for(lambda: not studio.container.watcher.watched, 5, "the job is still watched")
    assert sum(encoded) < 5 * 22050, "it was encoded ahead of the listener"


@pytest.mark.parametrize("query", ["format=ogg", "format=", "bitrate_kbps=1", "bitrate_kbps=x"])
def test_what_cannot_be_streamed_is_refused(studio: Studio, query: str) -> None:
    error_of(studio.get(f"/api/tts/job/{ordered(studio)}/stream?{query}"), 422)
