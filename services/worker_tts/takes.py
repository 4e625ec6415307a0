"""Speaking a text until it is spoken well: takes, their checks, and which one is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import structlog

from mynah.audio.segment_checks import find_faults, measure_segment
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import PieceReport, SegmentMeasures, SpokenAttempt
from mynah.engines.base import Profile, SpeechBlock, SpeechEngine, SynthesisSettings, WordEvent
from mynah.errors import EngineFailed
from mynah.jobs.claims import Claim
from mynah.observability.metrics import FIRST_AUDIO_SECONDS, SPEECH_ATTEMPTS
from mynah.recognition.base import Recognizer
from mynah.recognition.error_rates import compare_texts

log = structlog.get_logger(__name__)

Hear = Callable[[Waveform], None]
"""Takes each block as it is spoken. Raises ClaimLost when nobody wants the rest."""

_SEED_STEP = 0x9E3779B1  # far from the seeds of the neighbours, which are one apart
_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Reading:
    """What to say, as whom and how."""

    text: str
    profile: Profile
    settings: SynthesisSettings


@dataclass(frozen=True, slots=True)
class Take:
    """An utterance as it was spoken, and the times of its words where the engine gives them."""

    waveform: Waveform
    words: tuple[WordEvent, ...]


@dataclass(frozen=True, slots=True)
class TakeChecks:
    """How takes are judged: how many there may be, and who listens to them.

    ``between`` runs between two blocks, and may raise what ends the work.
    """

    max_attempts: int
    recognizer: Recognizer | None = None
    between: Callable[[Claim], None] | None = None


@dataclass(frozen=True, slots=True)
class SpokenText:
    """The take that was kept, how all were judged, and the engine's time for all of them."""

    take: Take
    report: PieceReport
    synthesis_s: float


def collect(claim: Claim, blocks: Iterator[SpeechBlock], hear: Hear | None = None) -> Take:
    """Join an engine's blocks, which ``hear`` gets at once.

    Stops the engine when the claim is lost. Raises ClaimLost, EngineFailed when nothing was spoken.
    """
    collected: list[SpeechBlock] = []
    for block in blocks:
        claim.ensure_held()
        if hear is not None:
            hear(block.waveform)
        collected.append(block)
    if not collected:
        raise EngineFailed("The engine spoke nothing for this text.", code="nothing_spoken")
    samples = np.concatenate([block.waveform.samples for block in collected])
    words = tuple(word for block in collected for word in block.words)
    return Take(Waveform(samples, collected[0].waveform.sample_rate), words)


def speak_well(
    claim: Claim,
    engine: SpeechEngine,
    reading: Reading,
    checks: TakeChecks,
    hear: Hear | None = None,
) -> SpokenText:
    """Speak a text, again with other seeds while it is not without fault; the best take.

    An engine for which another seed changes nothing speaks once, and so does every engine that
    somebody hears: what was heard is what is kept. Raises what the engine raises, ClaimLost.
    """
    takes: list[Take] = []
    attempts: list[SpokenAttempt] = []
    synthesis_s = 0.0
    may_repeat = engine.info.is_seeded and hear is None
    for number in range(checks.max_attempts if may_repeat else 1):
        seed = (reading.settings.seed + number * _SEED_STEP) % _SEEDS
        settings = replace(reading.settings, seed=seed)
        started = time.perf_counter()
        blocks = _timed(engine.synthesize(reading.text, reading.profile, settings), engine.info.id)
        take = collect(claim, _watched(claim, blocks, checks.between), hear)
        synthesis_s += time.perf_counter() - started
        attempt = _judge(engine, reading, take, seed, checks.recognizer)
        takes.append(take)
        attempts.append(attempt)
        SPEECH_ATTEMPTS.labels(engine.info.id, "poor" if attempt.reasons else "good").inc()
        if not attempt.reasons:
            break
        log.info("take_is_poor", piece=str(claim.step.id), seed=seed, reasons=attempt.reasons)
    chosen = max(range(len(attempts)), key=lambda index: attempts[index].score)
    report = PieceReport(attempts=tuple(attempts), chosen=chosen)
    return SpokenText(takes[chosen], report, synthesis_s)


def _timed(blocks: Iterator[SpeechBlock], engine_id: str) -> Iterator[SpeechBlock]:
    """The blocks; how long the first one took is measured."""
    asked_at = time.perf_counter()
    for number, block in enumerate(blocks):
        if number == 0:
            FIRST_AUDIO_SECONDS.labels(engine_id).observe(time.perf_counter() - asked_at)
        yield block


def _watched(
    claim: Claim, blocks: Iterator[SpeechBlock], between: Callable[[Claim], None] | None
) -> Iterator[SpeechBlock]:
    for block in blocks:
        if between is not None:
            between(claim)
        yield block


def _judge(
    engine: SpeechEngine, reading: Reading, take: Take, seed: int, recognizer: Recognizer | None
) -> SpokenAttempt:
    pace = engine.info.pace(reading.settings.rate)
    measures = measure_segment(take.waveform, reading.text, pace)
    if recognizer is not None and measures.level_dbfs is not None:
        measures = _listen(recognizer, reading, take, measures)
    reasons, score = find_faults(measures)
    return SpokenAttempt(seed=seed, measures=measures, reasons=reasons, score=score)


def _listen(
    recognizer: Recognizer, reading: Reading, take: Take, measures: SegmentMeasures
) -> SegmentMeasures:
    """The measures with the recogniser's; without, when it does not know the language or fails."""
    language = reading.profile.language
    if not recognizer.supports(language):
        return measures
    try:
        heard = recognizer.transcribe(take.waveform, language)
    except Exception:  # a check that fails must not cost the speech
        log.exception("recognizer_failed")
        return measures
    rates = compare_texts(reading.text, heard.text)
    return measures.model_copy(
        update={
            "word_error_rate": round(rates.words, 4),
            "character_error_rate": round(rates.characters, 4),
        }
    )
