"""From a speech order to a plan: voices found, languages chosen, text cut into spoken pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from mynah.contracts.speech import DictionaryRef, Markup, PhonemeSpan, PieceSpeech
from mynah.contracts.states import Lane, VoiceState
from mynah.contracts.tasks import ASSEMBLE, SYNTHESIZE
from mynah.db.models import Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.base import EngineInfo
from mynah.engines.catalog import engine_info, resolve_language
from mynah.errors import Conflict, InvalidRequest, NotFound, TextTooLong
from mynah.jobs.submission import PiecePlan, StepPlan
from mynah.settings import Settings
from mynah.text.cleaning import clean_text
from mynah.text.language import detect_language
from mynah.text.planning import PlannedPiece, PlanOptions, VoiceContext, plan_script, plan_speech
from mynah.text.pronunciation import PronunciationRule, parse_rules
from services.api.use_cases.dictionaries import resolve_dictionaries
from services.api.use_cases.speech_order import SpeechOrder

ASSEMBLY_SHARE = 0.02  # of a story's work, in the unit of its pieces' weights
DETECT = "auto"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a speech will take, before it is spoken."""

    duration_s: float
    cost: float


@dataclass(frozen=True, slots=True)
class SpeechPlan:
    """A speech that can be submitted. ``text`` is what the pieces point into."""

    text: str
    characters: int
    voice: Voice
    language: str
    dictionaries: tuple[DictionaryRef, ...]
    steps: tuple[StepPlan, ...]
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class _Speaker:
    """A voice in this job: whom it is, with which engine and in which language."""

    voice: Voice
    info: EngineInfo
    language: str


@dataclass(slots=True)
class _Cast:
    """The speakers of a job, found by the names that its markup or script gives them."""

    uow: UnitOfWork
    user_id: UUID
    wanted_language: str | None
    main: _Speaker
    found: dict[str, _Speaker] = field(default_factory=dict)

    def speaker(self, name: str | None) -> _Speaker:
        """The speaker of a name or an id. Raises NotFound, Conflict, InvalidRequest."""
        if name is None:
            return self.main
        if name not in self.found:
            voice = find_voice(self.uow, self.user_id, name)
            self.found[name] = _speaker(voice, self.wanted_language)
        return self.found[name]

    def context(self, name: str | None) -> VoiceContext:
        """What cutting and normalising need to know of a speaker."""
        speaker = self.speaker(name)
        return VoiceContext(speaker.language, speaker.info.max_piece_characters)


def plan_order(
    uow: UnitOfWork, settings: Settings, user_id: UUID, order: SpeechOrder, lane: Lane
) -> SpeechPlan:
    """Find what an order names and cut its text.

    Raises NotFound (voice, dictionary), Conflict (voice not ready), InvalidRequest (markup,
    language), TextTooLong.
    """
    limit = settings.max_sync_characters if lane is Lane.LIVE else settings.max_text_characters
    lines = [(str(line.voice_id), _checked_text(line.text, limit)) for line in order.script]
    text = "\n".join(line for _, line in lines) if lines else _checked_text(order.text, limit)
    _check_length(text, limit)
    voice = speakable_voice(uow, user_id, order.voice_id)
    wanted = _wanted_language(order.language, text)
    main = _speaker(voice, wanted, is_guess=order.language == DETECT)
    refs, rules = resolve_dictionaries(uow, user_id, order.dictionaries, voice)
    cast = _Cast(uow, user_id, None if order.language == DETECT else wanted, main)
    options = PlanOptions(
        voice_context=cast.context,
        markup=order.markup,
        unknown_tags=order.unknown_tags,
        rules=_parse_once(_Rules(tuple(refs), rules)),
        pacing=order.pacing,
        pause_scale=order.pause_scale,
        max_added_characters=limit,
    )
    pieces = plan_script(lines, options) if lines else plan_speech(text, options)
    steps = _plan_steps(cast, pieces, order, lane)
    return SpeechPlan(
        text=text,
        characters=_count_characters(text, pieces, order.markup),
        voice=voice,
        language=main.language,
        dictionaries=tuple(refs),
        steps=tuple(steps),
        estimate=_estimate(cast, pieces, steps),
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of some dictionaries; a version never changes, so its number stands for them."""

    refs: tuple[DictionaryRef, ...]
    documents: list[dict[str, Any]] = field(compare=False)


@lru_cache(maxsize=16)
def _parse_once(rules: _Rules) -> tuple[PronunciationRule, ...]:
    """The rules, kept for the next job: checking thousands takes longer than planning a page,
    and the items of a batch share them."""
    return parse_rules(rules.documents)


def speakable_voice(uow: UnitOfWork, user_id: UUID, voice_id: UUID) -> Voice:
    """A voice that the user may speak as now. Raises NotFound, Conflict (not ready)."""
    voice = uow.voices.visible(user_id, voice_id)
    if voice is None:
        raise NotFound("There is no such voice.", code="voice_not_found")
    return _ready(voice)


def find_voice(uow: UnitOfWork, user_id: UUID, name: str) -> Voice:
    """A voice by its id or its name, an own one first. Raises NotFound, Conflict (not ready)."""
    try:
        voice = uow.voices.visible(user_id, UUID(name))
    except ValueError:
        voice = uow.voices.visible_by_name(user_id, name)
    if voice is None:
        raise NotFound(f"There is no voice {name!r}.", code="voice_not_found")
    return _ready(voice)


def _ready(voice: Voice) -> Voice:
    if voice.state != VoiceState.READY:
        raise Conflict(f"The voice {voice.name!r} is {voice.state}.", code="voice_not_ready")
    return voice


def _checked_text(text: str, limit: int) -> str:
    _check_length(text, limit)
    return clean_text(text)


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit:
        raise TextTooLong(f"The text has {len(text)} characters; {limit} are allowed.")


def _wanted_language(asked: str | None, text: str) -> str | None:
    return detect_language(text) if asked == DETECT else asked


def _speaker(voice: Voice, wanted: str | None, *, is_guess: bool = False) -> _Speaker:
    """The voice reading ``wanted``, or its own language; a guess may be wrong or not spoken."""
    info = engine_info(voice.engine)
    if wanted is None or _is_of(voice.language, wanted):
        return _Speaker(voice, info, voice.language)
    try:
        return _Speaker(voice, info, resolve_language(info, wanted))
    except InvalidRequest:
        if is_guess:
            return _Speaker(voice, info, voice.language)
        raise


def _is_of(tag: str, wanted: str) -> bool:
    """Whether a voice's ``en-gb`` is what ``en`` asks for."""
    return tag == wanted.lower() or tag.startswith(f"{wanted.lower()}-")


def _plan_steps(
    cast: _Cast, pieces: Sequence[PlannedPiece], order: SpeechOrder, lane: Lane
) -> list[StepPlan]:
    speed = order.voice_settings.speed
    steps = [_plan_piece(cast.speaker(piece.voice), piece, speed, lane) for piece in pieces]
    weight = ASSEMBLY_SHARE * sum(step.weight for step in steps)
    return [*steps, StepPlan(ASSEMBLE, ASSEMBLE.queue_for(), 1, weight=weight)]


def _plan_piece(speaker: _Speaker, piece: PlannedPiece, speed: float, lane: Lane) -> StepPlan:
    info = speaker.info
    speech = PieceSpeech(
        voice_id=speaker.voice.id,
        engine=info.id,
        language=_language_of(speaker, piece.language),
        rate=piece.rate,
        pitch_semitones=piece.pitch_semitones,
        volume=piece.volume,
        phonemes=_phonemes_for(info, piece),
        words=piece.words,
    )
    plan = PiecePlan(
        text=piece.text,
        pause_after_ms=piece.pause_after_ms,
        source_start=piece.source_start,
        source_end=piece.source_end,
        speech=speech,
        chapter=piece.chapter,
    )
    spoken_s = len(piece.text) / info.pace(speed * piece.rate)
    weight = spoken_s + piece.pause_after_ms / 1000
    return StepPlan(SYNTHESIZE, SYNTHESIZE.queue_for(info.id, lane), 0, plan, weight)


def _language_of(speaker: _Speaker, language: str) -> str:
    """The engine's tag for what a ``lang`` tag says. Raises InvalidRequest."""
    if language == speaker.language:
        return language
    return resolve_language(speaker.info, language)


def _phonemes_for(info: EngineInfo, piece: PlannedPiece) -> tuple[PhonemeSpan, ...]:
    """An engine that takes no phonemes reads what is written."""
    return piece.phonemes if info.supports_phonemes else ()


def _count_characters(text: str, pieces: Sequence[PlannedPiece], markup: Markup) -> int:
    """What counts against the quota: the text; of marked text its words, a space after each.

    What rules and markup have read for it counts where it is longer than what is written.
    """
    if markup is Markup.PLAIN:
        return len(text) + sum(piece.added_characters for piece in pieces)
    return sum(map(_counted_characters, pieces))


def _counted_characters(piece: PlannedPiece) -> int:
    return piece.written_characters + piece.added_characters


def _estimate(cast: _Cast, pieces: Sequence[PlannedPiece], steps: Sequence[StepPlan]) -> Estimate:
    """Length and cost, from the engines' usual pace and prices."""
    duration_s = sum(step.weight for step in steps if step.piece is not None)
    cost = sum(
        cast.speaker(piece.voice).info.cost_of(_counted_characters(piece)) for piece in pieces
    )
    return Estimate(round(duration_s, 2), round(cost, 6))
