"""Our T3 draws the tokens that chatterbox-tts 0.1.7 draws from the same file and seed.

Multilingual is compared with the library's alignment analyzer off, as its authors have it since.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from bench.chatterbox.divergence import compare_logits
from bench.chatterbox.upstream import T3Cond
from mynah.engines.chatterbox.quantization import Precision
from mynah.engines.chatterbox.sampling import (
    ENGLISH_SAMPLING,
    MULTILINGUAL_SAMPLING,
    TURBO_SAMPLING,
)
from mynah.engines.chatterbox.t3.batch import DecodeBatch
from mynah.engines.chatterbox.t3.model import T3Model

if TYPE_CHECKING:
    from tests.unit.engines.chatterbox.conftest import Case

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TOKENS = 60
DEFAULTS = {
    "english": ENGLISH_SAMPLING,
    "multilingual": MULTILINGUAL_SAMPLING,
    "turbo": TURBO_SAMPLING,
}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sampled_tokens_are_the_library_s(case: Case, seed: int) -> None:
    settings = replace(DEFAULTS[case.name], seed=seed)
    assert case.speak(settings, TOKENS) == case.speak_with_library(settings, TOKENS)


def test_other_settings_are_applied_as_the_library_applies_them(case: Case) -> None:
    settings = replace(DEFAULTS[case.name], temperature=1.3, top_p=0.7, repetition_penalty=1.6)
    if case.name == "turbo":
        settings = replace(settings, top_k=40)
    else:
        settings = replace(settings, guidance=1.2, min_p=0.02)
    assert case.speak(settings, TOKENS) == case.speak_with_library(settings, TOKENS)


def test_the_likeliest_tokens_are_the_library_s(case: Case) -> None:
    only_best = {"top_k": 1} if case.name == "turbo" else {"min_p": 1.0}
    settings = replace(DEFAULTS[case.name], **only_best)
    theirs = case.speak_with_library(settings, TOKENS)
    assert case.speak(settings, TOKENS) == theirs
    if case.name != "turbo":  # its penalty comes after top-k, so a penalised best stays alone
        assert case.speak(replace(settings, temperature=0.0, min_p=0.0), TOKENS) == theirs


def test_without_guidance_one_row_speaks_as_the_conditional_row_of_the_library(
    english: Case,
) -> None:
    settings = replace(ENGLISH_SAMPLING, guidance=0.0)
    assert english.speak(settings, TOKENS) == english.speak_with_library(settings, TOKENS)


def test_the_prefix_is_the_library_s_conditioning(case: Case) -> None:
    voice = case.voice()
    theirs = case.library.prepare_conditioning(
        T3Cond(
            speaker_emb=voice.speaker[None],
            cond_prompt_speech_tokens=voice.prompt[None],
            emotion_adv=0.7 * torch.ones(1, 1, 1),
        )
    )
    with torch.no_grad():
        ours = case.ours.prefix_embeddings(voice, 0.7)
    assert ours.shape[1] == case.config.prefix_length
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-5)


def test_the_places_of_no_text_are_computed_once_for_all_texts_of_a_voice(english: Case) -> None:
    with torch.inference_mode():
        prefix = english.ours.compute_prefix(english.voice(), 0.5)
        for length in (20, 5, 90):
            known = prefix.keys
            batch = DecodeBatch(english.ours)
            text = english.text(length, length)
            batch.join(prefix, text, ENGLISH_SAMPLING, 20)
            for _ in range(20):
                batch.step()
            spoken = batch.collect()[0]
            assert spoken == english.speak(ENGLISH_SAMPLING, 20, text=text)
            assert (prefix.keys is known) == (length == 5)  # the other two needed more places


def test_exaggeration_changes_what_is_said(english: Case) -> None:
    with torch.no_grad():
        calm, lively = (
            english.ours.compute_prefix(english.voice(), exaggeration) for exaggeration in (0.2, 1)
        )
    assert not torch.equal(calm.keys, lively.keys)


def test_streams_that_come_and_go_keep_the_tokens_that_they_get_alone(case: Case) -> None:
    """Ten texts, of different lengths and settings, join and leave at different steps."""
    planned = [
        (replace(DEFAULTS[case.name], seed=i, guidance=0.0 if i % 3 == 0 else 0.6), 4 + 3 * i)
        for i in range(10)
    ]
    spoken: dict[int, list[int]] = {}
    with torch.inference_mode():
        batch = DecodeBatch(case.ours)
        there = {}
        for step in range(70):
            if step % 2 == 0 and step // 2 < len(planned):
                number = step // 2
                settings, length = planned[number]
                prefix = case.ours.compute_prefix(case.voice(number), 0.5)
                there[batch.join(prefix, case.text(number, length), settings, 60)] = number
                spoken[number] = []
            if batch.streams:
                batch.step()
            for stream, tokens in zip(batch.order, batch.collect(), strict=True):
                spoken[there[stream]] += tokens
            for stream in [s for s in batch.order if s.steps >= 15 + 4 * there[s]]:
                batch.leave(stream)
    assert batch.rows == 0
    for number, (settings, length) in enumerate(planned):
        tokens = spoken[number]
        alone = case.speak(
            settings, len(tokens), voice=case.voice(number), text=case.text(number, length)
        )
        assert tokens[: len(alone)] == alone
        assert len(tokens) == 15 + 4 * number


@pytest.mark.parametrize(
    ("precision", "most_kl", "least_agreement"),
    [(Precision.BF16, 0.005, 0.95), (Precision.INT8, 0.02, 0.9)],
)
def test_coarser_weights_diverge_no_further_than_stated(
    case: Case, precision: Precision, most_kl: float, least_agreement: float
) -> None:
    coarse = T3Model.load(case.path, case.config, precision, "cpu")
    spoken = case.speak(DEFAULTS[case.name], TOKENS)
    divergence = compare_logits(case.ours, coarse, case.voice(), case.text(), spoken)
    assert divergence.kl < most_kl
    assert divergence.same_best >= least_agreement
