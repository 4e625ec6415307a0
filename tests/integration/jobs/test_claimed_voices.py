"""With a piece its claim brings the voice that speaks it, as long as the user may speak as it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from mynah.contracts.speech import PieceSpeech
from mynah.contracts.states import JobKind, Visibility, VoiceState
from mynah.contracts.tasks import ASSEMBLE, SYNTHESIZE
from mynah.db.ids import new_id
from mynah.db.models import Job, Voice
from mynah.jobs.claims import Claim, claim_step
from mynah.jobs.submission import PiecePlan, StepPlan, submit_job
from tests.factories import QUEUE, Database, add_user


def add_voice(database: Database, owner: UUID | None, visibility: str) -> UUID:
    """A voice that is ready."""
    voice = Voice(
        id=new_id(),
        user_id=owner,
        name="Ann",
        language="en",
        engine="espeak",
        state=VoiceState.READY,
        visibility=visibility,
        objects={},
        facts={},
    )
    with database.new_uow() as uow:
        uow.voices.add(voice)
        uow.commit()
    return voice.id


def claim_piece(database: Database, user_id: UUID, main: UUID, own: UUID | None) -> Claim:
    """Claim the only piece of a job whose voice is ``main``; ``own``: the piece's."""
    speech = own and PieceSpeech(voice_id=own, engine="espeak", language="en")
    plan = StepPlan(SYNTHESIZE, QUEUE, 0, PiecePlan("Hello.", 0, speech=speech))
    job = Job(id=new_id(), user_id=user_id, kind=JobKind.SPEECH, request={}, voice_id=main)
    with database.new_uow() as uow:
        submit_job(uow, job, [plan, StepPlan(ASSEMBLE, "audio", 1)], 8)
        uow.commit()
    [message] = database.sender.take()
    claim = claim_step(database.new_uow, message, timedelta(seconds=60), 3)
    assert claim is not None
    return claim


@pytest.mark.parametrize("is_own", [True, False])
def test_a_claim_brings_the_voice_of_its_piece_else_of_its_job(
    database: Database, *, is_own: bool
) -> None:
    user_id = add_user(database.new_uow)
    public = add_voice(database, None, Visibility.PUBLIC)
    private = add_voice(database, user_id, Visibility.PRIVATE)
    claim = claim_piece(database, user_id, public, private if is_own else None)
    assert claim.voice is not None
    assert claim.voice.id == (private if is_own else public)
    assert claim.voice.name == "Ann"


def test_a_claim_brings_no_voice_that_the_user_may_not_speak_as(database: Database) -> None:
    user_id, other = add_user(database.new_uow), add_user(database.new_uow)
    public = add_voice(database, None, Visibility.PUBLIC)
    foreign = add_voice(database, other, Visibility.PRIVATE)
    assert claim_piece(database, user_id, public, foreign).voice is None


def test_a_claim_brings_no_voice_that_was_deleted(database: Database) -> None:
    user_id = add_user(database.new_uow)
    public = add_voice(database, None, Visibility.PUBLIC)
    assert claim_piece(database, user_id, public, new_id()).voice is None
