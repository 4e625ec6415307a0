"""What becomes of an order: markup, scripts, dictionaries and languages, down to the pieces."""

from __future__ import annotations

from typing import Any

import pytest

from mynah.contracts.speech import PieceSpeech
from mynah.db.models import Piece, Step
from tests.integration.api.gateway import ADA, NOBODY, Account, Gateway, error_of


def pieces_of(api: Gateway, account: Account, **body: Any) -> list[Piece]:
    """Order a speech; the pieces that it was cut into."""
    response = api.generate(account, **body)
    assert response.status_code == 202, response.get_data(as_text=True)
    with api.container.new_uow() as uow:
        return list(uow.pieces.of_job(response.get_json()["job_id"]))


def speech_of(piece: Piece) -> PieceSpeech:
    return PieceSpeech.model_validate(piece.speech)


def voice_id(api: Gateway, account: Account, name: str) -> str:
    page = api.client.get("/api/voices", query_string={"name": name}, headers=account.auth)
    return str(page.get_json()["items"][0]["id"])


def test_a_text_is_put_into_words_and_points_into_the_request(api: Gateway, ann: Account) -> None:
    text = "Dr. Fox has 3 hens. They live at No. 5."
    (piece,) = pieces_of(api, ann, text=text)
    assert "Doctor Fox" in piece.text
    assert "three hens" in piece.text
    assert (piece.source_start, piece.source_end) == (0, len(text))
    spoken = {
        piece.text[word.start : word.end]: text[word.source_start : word.source_end]
        for word in speech_of(piece).words
    }
    assert spoken["Doctor"] == "Dr."
    assert spoken["three"] == "3"


def test_a_long_text_begins_with_a_short_piece(api: Gateway, ann: Account) -> None:
    pieces = pieces_of(api, ann, text="The fox ran over the hill and into the wood. " * 60)
    assert len(pieces[0].text) < 120 < max(len(piece.text) for piece in pieces) <= 600
    assert len(pieces) > 5


def test_steps_weigh_what_their_pieces_will_last(api: Gateway, ann: Account) -> None:
    pieces = pieces_of(api, ann, text="A short one.\n\n" + "The fox ran over the hill. " * 20)
    with api.container.new_uow() as uow:
        steps = {step.id: step for step in uow.session.query(Step).filter_by(
            job_id=pieces[0].job_id)}  # fmt: skip
        job = uow.jobs.by_id(pieces[0].job_id)
    assert steps[pieces[0].step_id].weight < steps[pieces[1].step_id].weight
    assert job.work_total == pytest.approx(sum(step.weight for step in steps.values()))
    assert job.estimated_duration_s is not None
    assert job.work_total == pytest.approx(job.estimated_duration_s * 1.02, rel=0.01)


def test_ssml_changes_voice_rate_and_pauses(api: Gateway, ann: Account) -> None:
    ssml = (
        "<speak>Once upon a time. <break time='2s'/>"
        "<voice name='konrad'><prosody rate='slow'>Guten Abend!</prosody></voice></speak>"
    )
    first, second = pieces_of(api, ann, text=ssml, markup="ssml")
    assert first.pause_after_ms == 2000
    assert str(speech_of(first).voice_id) == str(ADA)
    assert str(speech_of(second).voice_id) == voice_id(api, ann, "Konrad")
    assert speech_of(second).language == "de"
    assert speech_of(second).rate < 1


def test_only_what_is_spoken_of_ssml_counts_against_the_quota(api: Gateway, ann: Account) -> None:
    response = api.generate(
        ann, text="<speak>Hello <sub alias='you'>u</sub>.</speak>", markup="ssml"
    )
    assert response.get_json()["characters"] == len("Hello you. ")


def test_a_script_is_spoken_by_several_voices(api: Gateway, ann: Account) -> None:
    grace = voice_id(api, ann, "Grace")
    script = [
        {"voice_id": str(ADA), "text": "Who is there?"},
        {"voice_id": grace, "text": "It is only me."},
    ]
    response = api.generate(ann, text=None, voice_id=None, script=script)
    assert response.status_code == 202, response.get_data(as_text=True)
    job = response.get_json()
    assert job["text"] == "Who is there?\nIt is only me."
    assert job["voice_model_id"] == str(ADA)
    with api.container.new_uow() as uow:
        pieces = uow.pieces.of_job(job["job_id"])
    assert [str(speech_of(piece).voice_id) for piece in pieces] == [str(ADA), grace]


def test_text_and_script_exclude_each_other(api: Gateway, ann: Account) -> None:
    script = [{"voice_id": str(ADA), "text": "Hello."}]
    error_of(api.generate(ann, text="Hello.", script=script), 422)
    error_of(api.generate(ann, text=None, voice_id=None), 422)
    error_of(api.generate(ann, text="Hello.", voice_id=None), 422)


@pytest.mark.parametrize(
    "text",
    [
        "<speak>Hello",
        "<speak>" + "<p>" * 10_000 + "Hi" + "</p>" * 10_000 + "</speak>",
        "<speak><prosody rate='0'>Hi</prosody></speak>",
        "<speak><prosody rate='1000000000'>Hi</prosody></speak>",
        "<speak>Hi<break time='31536000s'/> you</speak>",
        "<speak><dance>Hi</dance></speak>",
    ],
)
def test_markup_that_cannot_be_right_is_refused(api: Gateway, ann: Account, text: str) -> None:
    body = error_of(api.generate(ann, text=text, markup="ssml"), 422)
    assert body["error_code"] == "invalid_markup"
    assert "line" in body["message"]


def test_an_unknown_tag_may_be_spoken(api: Gateway, ann: Account) -> None:
    text = "<speak>Hello <dance>you</dance></speak>"
    assert pieces_of(api, ann, text=text, markup="ssml", unknown_tags="speak")


def test_a_voice_that_the_user_does_not_have_is_not_found(
    api: Gateway, ann: Account, bob: Account
) -> None:
    other = api.add_voice(bob, name="Bob's own")
    for name in (str(other.id), "Bob's own", "nobody", str(NOBODY)):
        text = f'<speak><voice name="{name}">Hi</voice></speak>'
        body = error_of(api.generate(ann, text=text, markup="ssml"), 404)
        assert body["error_code"] == "voice_not_found"
    body = error_of(
        api.generate(
            ann, text=None, voice_id=None, script=[{"voice_id": str(other.id), "text": "Hi"}]
        ),
        404,
    )
    assert body["error_code"] == "voice_not_found"


def test_bedtime_pauses_are_longer_and_can_be_scaled(api: Gateway, ann: Account) -> None:
    text = "The end of the day.\n\nThe night came."
    (normal, _), (bedtime, _), (half, _) = (
        pieces_of(api, ann, text=text, **options)
        for options in ({}, {"pacing": "bedtime"}, {"pause_scale": 0.5})
    )
    assert half.pause_after_ms < normal.pause_after_ms < bedtime.pause_after_ms


def test_a_dictionary_of_the_job_says_how_to_read(api: Gateway, ann: Account) -> None:
    rules = [
        {"kind": "alias", "written": "GIF", "spoken": "jif"},
        {"kind": "alias", "written": "fox", "spoken": "red-brown fox"},
    ]
    dictionary = api.add_dictionary(ann, name="House words", rules=rules)
    choice = [{"dictionary_id": dictionary["id"]}]
    response = api.generate(ann, text="A GIF of a fox.", dictionaries=choice)
    job = response.get_json()
    with api.container.new_uow() as uow:
        (piece,) = uow.pieces.of_job(job["job_id"])
        request = uow.jobs.by_id(job["job_id"]).request
    assert piece.text == "A jif of a red-brown fox."
    assert job["characters"] == len(piece.text), "what is spoken counts"
    assert request["dictionaries"] == [{"dictionary_id": dictionary["id"], "version": 1}]


def test_a_language_may_be_told_or_detected(api: Gateway, ann: Account) -> None:
    german = "Es war einmal ein kleines Mädchen, das in einem Haus im Wald wohnte."
    (told,) = pieces_of(api, ann, text=german, language="de")
    (heard,) = pieces_of(api, ann, text=german, language="auto")
    (own,) = pieces_of(api, ann, text=german)
    languages = [speech_of(piece).language for piece in (told, heard, own)]
    assert languages == ["de", "de", "en-us"]


def test_emoji_alone_are_nothing_to_speak(api: Gateway, ann: Account) -> None:
    body = error_of(api.generate(ann, text="😀🎉👍🏽"), 422)
    assert body["error_code"] == "nothing_to_speak"


def test_a_word_without_an_end_is_refused(api: Gateway, ann: Account) -> None:
    body = error_of(api.generate(ann, text="a" * 90_000), 422)
    assert body["error_code"] == "word_too_long"


def test_fifty_thousand_characters_are_one_job(api: Gateway, ann: Account) -> None:
    text = "The lamplighter went from house to house.\n\n" * 1200
    pieces = pieces_of(api, ann, text=text)
    assert sum(piece.source_end - piece.source_start for piece in pieces) > 48_000
