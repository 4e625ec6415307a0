"""A poor reading is spoken again with another seed; the best is kept, and all are reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from mynah.audio.waveform import Waveform
from mynah.db.ids import new_id
from mynah.db.models import Job, Step
from mynah.engines.base import EngineInfo, Profile, SpeechBlock, SynthesisSettings
from mynah.engines.catalog import ESPEAK
from mynah.errors import EngineFailed
from mynah.jobs.claims import Claim, ClaimLost
from mynah.recognition.base import Transcript
from services.worker_tts.takes import Reading, TakeChecks, speak_well
from tests.unit.audio.signals import speech_like

TEXT = "Nobody knew where the lamplighter came from, and nobody asked him either."
RATE = 24000
SEEDED = replace(ESPEAK, id="test", sample_rate=RATE, is_seeded=True)
PROFILE = Profile(engine="test", version="1", language="en-us")
GOOD, CUT_SHORT, SILENT, CLIPPED = "good", "cut short", "silent", "clipped"


def reading_of(kind: str) -> Waveform:
    spoken, _ = speech_like(5.0)
    samples = {
        GOOD: spoken.samples,
        CUT_SHORT: spoken.samples[: RATE // 2],
        SILENT: np.zeros(RATE, np.float32),
        CLIPPED: np.clip(spoken.samples * 30, -1, 1),
    }[kind]
    return Waveform(np.asarray(samples, np.float32), RATE)


@dataclass
class ScriptedEngine:
    """An engine whose n-th reading is of the n-th kind; it notes the seeds."""

    kinds: Sequence[str]
    info: EngineInfo = SEEDED
    seeds: list[int] = field(default_factory=list)

    def prepare_profile(self, samples: Sequence[Waveform], language: str) -> Profile:
        raise NotImplementedError

    def builtin_profile(self, name: str, language: str) -> Profile:
        raise NotImplementedError

    def synthesize(
        self, text: str, profile: Profile, settings: SynthesisSettings
    ) -> Iterator[SpeechBlock]:
        kind = self.kinds[len(self.seeds)]
        self.seeds.append(settings.seed)
        if kind:
            yield SpeechBlock(reading_of(kind))

    def close(self) -> None:
        pass


@dataclass
class ScriptedRecognizer:
    """A recogniser that hears one thing after another."""

    heard: list[str | Exception]

    def supports(self, language: str) -> bool:
        return language.startswith("en")

    def transcribe(self, waveform: Waveform, language: str) -> Transcript:
        answer = self.heard.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Transcript(answer)


@pytest.fixture
def claim() -> Claim:
    return Claim(Job(id=new_id()), Step(id=new_id()), None, new_id())


def reading(language: str = "en-us") -> Reading:
    return Reading(TEXT, replace(PROFILE, language=language), SynthesisSettings(seed=7))


def test_a_good_reading_is_spoken_once(claim: Claim) -> None:
    engine = ScriptedEngine([GOOD])
    spoken = speak_well(claim, engine, reading(), TakeChecks(3))
    assert engine.seeds == [7]
    assert (spoken.report.verdict, spoken.report.kept.score) == ("good", 1.0)
    assert spoken.report.kept.reasons == ()
    assert spoken.take.waveform.duration_s == pytest.approx(5.0)


def test_a_poor_reading_is_spoken_again_with_another_seed(claim: Claim) -> None:
    engine = ScriptedEngine([CUT_SHORT, SILENT, GOOD])
    spoken = speak_well(claim, engine, reading(), TakeChecks(3))
    assert len(set(engine.seeds)) == 3
    assert [one.reasons for one in spoken.report.attempts] == [("too_short",), ("silent",), ()]
    assert [one.seed for one in spoken.report.attempts] == engine.seeds
    assert spoken.report.chosen == 2
    assert spoken.take.waveform.duration_s == pytest.approx(5.0)


def test_the_best_is_kept_when_none_is_good(claim: Claim) -> None:
    engine = ScriptedEngine([SILENT, CUT_SHORT, SILENT])
    spoken = speak_well(claim, engine, reading(), TakeChecks(3))
    assert (spoken.report.chosen, spoken.report.verdict) == (1, "poor")
    assert spoken.take.waveform.duration_s == pytest.approx(0.5)


def test_an_engine_without_seeds_is_not_asked_twice(claim: Claim) -> None:
    engine = ScriptedEngine([CLIPPED], replace(SEEDED, is_seeded=False))
    spoken = speak_well(claim, engine, reading(), TakeChecks(3))
    assert spoken.report.kept.reasons == ("clipped",)
    assert len(engine.seeds) == 1


def test_seeds_are_the_same_in_every_run_and_fit_32_bits(claim: Claim) -> None:
    runs = []
    for _ in range(2):
        engine = ScriptedEngine([SILENT] * 10)
        order = replace(reading(), settings=SynthesisSettings(seed=2**32 - 1))
        speak_well(claim, engine, order, TakeChecks(10))
        runs.append(engine.seeds)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 10
    assert all(0 <= seed < 2**32 for seed in runs[0])


def test_what_a_recogniser_hears_decides_too(claim: Claim) -> None:
    recognizer = ScriptedRecognizer(["Something entirely different was heard.", TEXT.lower()])
    engine = ScriptedEngine([GOOD, GOOD])
    spoken = speak_well(claim, engine, reading(), TakeChecks(3, recognizer))
    first, second = spoken.report.attempts
    assert first.reasons == ("misread",)
    assert first.measures.word_error_rate > 0.5  # type: ignore[operator]
    assert (second.measures.word_error_rate, second.measures.character_error_rate) == (0.0, 0.0)
    assert spoken.report.chosen == 1


def test_a_recogniser_that_fails_or_knows_not_the_language_costs_nothing(claim: Claim) -> None:
    broken = ScriptedRecognizer([RuntimeError("out of memory")])
    for language, recognizer in (("en-us", broken), ("de", ScriptedRecognizer([]))):
        spoken = speak_well(
            claim, ScriptedEngine([GOOD]), reading(language), TakeChecks(3, recognizer)
        )
        assert spoken.report.verdict == "good"
        assert spoken.report.kept.measures.word_error_rate is None


def test_an_engine_that_says_nothing_fails(claim: Claim) -> None:
    with pytest.raises(EngineFailed) as failed:
        speak_well(claim, ScriptedEngine([""]), reading(), TakeChecks(1))
    assert failed.value.code == "nothing_spoken"


def test_a_lost_claim_stops_between_blocks(claim: Claim) -> None:
    claim.lost.set()
    engine = ScriptedEngine([GOOD, GOOD])
    with pytest.raises(ClaimLost):
        speak_well(claim, engine, reading(), TakeChecks(3))
    assert len(engine.seeds) == 1
