"""Pieces with a speech of their own, the times of their words, subtitles and reports."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np
import pytest

from mynah.audio.flac import decode_flac
from mynah.audio.joining import trim_silence
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import PhonemeSpan, PieceSpeech, WordSpan
from mynah.contracts.states import Visibility
from mynah.db.models import Piece
from tests.integration.api.gateway import ADA, NOBODY, error_of
from tests.integration.voices.studio import Studio, json_of

WALTER = uuid5(NAMESPACE_URL, "mynah:voice:espeak:walter")
TEXT = "The lamp is lit. Good night, said 12 foxes."
#: Where each of the two pieces lies in the text, and what is read for it.
PIECES = ((0, 16, "The lamp is lit."), (17, 43, "Good night, said twelve foxes."))


def order(studio: Studio, **body: Any) -> str:
    """A job of one piece that waits to be spoken."""
    request = {"text": TEXT, "voice_id": str(ADA), "seed": 1, **body}
    response = studio.post("/api/tts/generate", json=request)
    assert response.status_code == 202, response.get_data(as_text=True)
    return str(json_of(response)["job_id"])


def pieces_of(studio: Studio, job_id: str) -> list[Piece]:
    with studio.worker.new_uow() as uow:
        return list(uow.pieces.of_job(UUID(job_id)))


def change_piece(studio: Studio, job_id: str, **columns: Any) -> None:
    """Write the only piece of a job as the splitting of its text would."""
    with studio.worker.new_uow() as uow:
        (piece,) = uow.pieces.of_job(UUID(job_id))
        for name, value in columns.items():
            setattr(piece, name, value)
        uow.commit()


def speech_of(voice_id: object, **fields: Any) -> dict[str, Any]:
    values = {"voice_id": voice_id, "engine": "espeak", "language": "en-us", **fields}
    return PieceSpeech.model_validate(values).model_dump(mode="json")


def segment_of(studio: Studio, piece: Piece) -> Waveform:
    return decode_flac(studio.container.store.get(str(piece.segment_key)))


def spoken(studio: Studio, **columns: Any) -> tuple[Piece, Waveform]:
    """A job's only piece after it was spoken, and its segment."""
    job_id = order(studio)
    own = {"source_start": 0, "source_end": len(TEXT), "text": TEXT, "speech": None}
    values = {**own, **columns}
    change_piece(studio, job_id, **values)
    studio.work()
    (piece,) = pieces_of(studio, job_id)
    return piece, segment_of(studio, piece)


def finished(studio: Studio, **body: Any) -> str:
    """A completed job whose pieces are known to its result as the assembly tells them."""
    job_id = order(studio, **body)
    change_piece(studio, job_id, text=TEXT, source_start=0, source_end=len(TEXT), speech=None)
    studio.work()
    (piece,) = pieces_of(studio, job_id)
    segment = segment_of(studio, piece)
    trimmed = trim_silence(segment)
    lead = int(np.flatnonzero(segment.samples == trimmed.samples[0])[0]) / segment.sample_rate
    span = {"start_s": 2.0, "end_s": 2.0 + trimmed.duration_s, "lead_trimmed_s": lead}
    studio.gateway.change_job(job_id, result={"spans": [span]})
    return job_id


def words_of(piece: Piece) -> list[tuple[str, float]]:
    return [
        (TEXT[word["source_start"] : word["source_end"]], word["start_s"])
        for word in piece.words or []
    ]


def test_a_piece_keeps_its_words_in_the_requests_text(studio: Studio) -> None:
    piece, segment = spoken(studio)
    assert [name for name, _ in words_of(piece)] == [
        *("The", "lamp", "is", "lit"),
        *("Good", "night", "said", "12", "foxes"),
    ]
    assert piece.words is not None
    assert piece.words[-1]["end_s"] <= segment.duration_s


def test_what_is_read_otherwise_maps_to_what_is_written(studio: Studio) -> None:
    start, end, text = PIECES[1]
    speech = speech_of(
        ADA,
        words=[
            WordSpan(start=0, end=17, source_start=17, source_end=34),
            WordSpan(start=17, end=23, source_start=34, source_end=36),
            WordSpan(start=23, end=30, source_start=36, source_end=43),
        ],
    )
    piece, _ = spoken(studio, text=text, source_start=start, source_end=end, speech=speech)
    assert [name for name, _ in words_of(piece)] == ["Good", "night", "said", "12", "foxes"]


def test_a_piece_may_have_another_voice_rate_pitch_and_volume(studio: Studio) -> None:
    _, plain = spoken(studio)
    _, other = spoken(studio, speech=speech_of(WALTER))
    assert plain.frames != other.frames or not np.array_equal(plain.samples, other.samples)
    slow_piece, slow = spoken(studio, speech=speech_of(ADA, rate=0.5, volume=0.5))
    assert slow.duration_s > 1.6 * plain.duration_s
    assert float(np.abs(slow.samples).max()) < 0.7 * float(np.abs(plain.samples).max())
    assert slow_piece.report is not None
    assert slow_piece.report["attempts"][0]["reasons"] == []


def test_phonemes_of_a_piece_are_pronounced(studio: Studio) -> None:
    spans = (PhonemeSpan(start=4, end=8, ipa="ˈkændəl"),)
    piece, changed = spoken(studio, speech=speech_of(ADA, phonemes=spans))
    _, plain = spoken(studio)
    assert changed.frames != plain.frames
    assert words_of(piece)[1][0] == "lamp"


def test_a_cloned_voice_reads_in_the_language_of_the_piece(
    studio: Studio, recording: bytes
) -> None:
    voice = studio.cloned(recording)
    german, english = (
        spoken(studio, text="Die Rose blüht.", speech=speech_of(voice["id"], language=language))[1]
        for language in ("de", "en-us")
    )
    assert german.frames != english.frames


def test_a_voice_that_is_not_the_users_fails_the_job(studio: Studio) -> None:
    other = studio.gateway.register()
    for voice_id in (studio.gateway.add_voice(other).id, NOBODY):
        job_id = order(studio)
        change_piece(studio, job_id, speech=speech_of(voice_id))
        studio.work()
        job = json_of(studio.get(f"/api/tts/job/{job_id}"))
        assert (job["status"], job["error_code"]) == ("failed", "voice_not_found")
    public = studio.gateway.add_voice(
        other, visibility=Visibility.PUBLIC, engine_voice="en-us+m3", objects={}
    )
    piece, _ = spoken(studio, speech=speech_of(public.id))
    assert piece.segment_key is not None


def test_a_sound_that_a_language_lacks_fails_the_job_by_name(studio: Studio) -> None:
    job_id = order(studio)
    spans = (PhonemeSpan(start=0, end=3, ipa="ʘa"),)
    change_piece(studio, job_id, speech=speech_of(ADA, phonemes=spans))
    studio.work()
    job = json_of(studio.get(f"/api/tts/job/{job_id}"))
    assert (job["status"], job["error_code"]) == ("failed", "unsupported_phoneme")
    assert "ʘ" in job["error_message"]


def test_subtitles_come_in_three_forms_in_the_time_of_the_file(studio: Studio) -> None:
    job_id = finished(studio, title="Good night: a “story”")
    (piece,) = pieces_of(studio, job_id)
    url = f"/api/tts/job/{job_id}/subtitles"
    document = json_of(studio.get(f"{url}?format=json"))
    assert document["job_id"] == job_id
    assert [cue["lines"] for cue in document["cues"]] == [
        ["The lamp is lit."],
        ["Good night, said 12 foxes."],
    ]
    assert [word["text"] for word in document["words"]] == [name for name, _ in words_of(piece)]
    first = document["words"][0]
    assert first["start_s"] == pytest.approx(2.0, abs=0.05)
    assert document["cues"][0]["start_s"] == first["start_s"]
    offsets = [
        word["start_s"] - start_s
        for word, (_, start_s) in zip(document["words"], words_of(piece), strict=True)
    ]
    assert max(offsets) - min(offsets) < 0.05
    srt, vtt = studio.get(url), studio.get(f"{url}?format=vtt")
    assert srt.mimetype == "application/x-subrip"
    assert srt.get_data(as_text=True).startswith("1\n00:00:02,0")
    assert (vtt.mimetype, vtt.get_data(as_text=True)[:6]) == ("text/vtt", "WEBVTT")
    assert "attachment" in srt.headers["Content-Disposition"]
    assert 'filename="Good night a ' in vtt.headers["Content-Disposition"]
    assert vtt.headers["Content-Disposition"].endswith(".vtt")


def test_subtitles_are_refused_clearly_where_there_are_none(studio: Studio) -> None:
    job_id = order(studio)
    url = f"/api/tts/job/{job_id}/subtitles"
    assert error_of(studio.get(url), 409)["error_code"] == "job_not_completed"
    studio.work()
    studio.gateway.change_job(job_id, result={})
    assert error_of(studio.get(url), 404)["error_code"] == "no_word_times"
    error_of(studio.get(f"{url}?format=ass"), 422)
    other = studio.with_new_account()
    assert error_of(other.get(url), 404)["error_code"] == "job_not_found"
    assert error_of(other.get(f"/api/tts/job/{job_id}/report"), 404)


def test_the_report_tells_every_piece_with_its_attempts(studio: Studio) -> None:
    job_id = order(studio)
    url = f"/api/tts/job/{job_id}/report"
    (waiting,) = json_of(studio.get(url))["pieces"]
    assert (waiting["verdict"], waiting["attempts"]) == (None, [])
    studio.work()
    report = json_of(studio.get(url))
    (piece,) = report["pieces"]
    assert report["quality_score"] > 0.9
    assert (piece["ordinal"], piece["verdict"], piece["chosen"]) == (0, "good", 0)
    (attempt,) = piece["attempts"]
    assert (attempt["seed"], attempt["score"], attempt["reasons"]) == (1, 1.0, [])
    assert attempt["measures"]["level_dbfs"] < 0
    assert attempt["measures"]["character_error_rate"] is None
