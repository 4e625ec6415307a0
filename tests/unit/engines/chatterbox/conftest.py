"""Checkpoints of random weights at test size; without torch these tests are skipped."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HAS_ENGINE = importlib.util.find_spec("torch") and importlib.util.find_spec("chatterbox")
collect_ignore_glob = [] if HAS_ENGINE else ["test_*.py"]

if HAS_ENGINE:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's imports warn of their own dependencies
        import torch

        from bench.chatterbox import checkpoints, upstream
        from mynah.engines.chatterbox.quantization import Precision
        from mynah.engines.chatterbox.sampling import SamplingSettings
        from mynah.engines.chatterbox.t3.batch import DecodeBatch
        from mynah.engines.chatterbox.t3.conditioning import VoiceConditioning
        from mynah.engines.chatterbox.t3.model import T3Model

    torch.set_num_threads(1)


@dataclass(frozen=True)
class Case:
    """A small model: its checkpoint, the shapes, and ours and the library's reading of it."""

    name: str
    path: Path
    config: Any
    ours: Any
    library: Any

    def voice(self, seed: int = 1) -> VoiceConditioning:
        generator = torch.Generator().manual_seed(seed)
        prompt = torch.randint(0, 6561, (self.config.prompt_tokens,), generator=generator)
        return VoiceConditioning(f"voice-{seed}", torch.randn(256, generator=generator), prompt)

    def text(self, seed: int = 1, length: int = 12) -> Any:
        generator = torch.Generator().manual_seed(seed)
        words = torch.randint(3, 250, (length,), generator=generator)
        if self.config.is_gpt2:
            return words
        start, stop = self.config.start_text, self.config.stop_text
        return torch.cat([torch.tensor([start]), words, torch.tensor([stop])])

    def speak(
        self, settings: SamplingSettings, tokens: int, *, voice: Any = None, text: Any = None,
        model: Any = None,
    ) -> list[int]:  # fmt: skip
        """Ours, alone in a batch."""
        model = model or self.ours
        with torch.inference_mode():
            batch = DecodeBatch(model)
            prefix = model.compute_prefix(voice or self.voice(), 0.5)
            batch.join(prefix, self.text() if text is None else text, settings, tokens)
            for _ in range(tokens):
                batch.step()
            spoken = batch.collect()[0]
        return until_stop(spoken, self.config)

    def speak_with_library(self, settings: SamplingSettings, tokens: int) -> list[int]:
        voice, text = self.voice(), self.text()
        conditioning = upstream.T3Cond(
            speaker_emb=voice.speaker[None],
            cond_prompt_speech_tokens=voice.prompt[None],
            emotion_adv=0.5 * torch.ones(1, 1, 1),
        )
        torch.manual_seed(settings.seed)
        common = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "repetition_penalty": settings.repetition_penalty,
        }
        with upstream.without_progress(), upstream.without_alignment():
            if self.config.is_gpt2:
                spoken = self.library.inference_turbo(
                    conditioning, text[None], top_k=settings.top_k, max_gen_len=tokens - 1, **common
                )
            else:
                spoken = self.library.inference(
                    t3_cond=conditioning,
                    text_tokens=torch.stack([text, text]),
                    max_new_tokens=tokens,
                    min_p=settings.min_p,
                    cfg_weight=settings.guidance,
                    **common,
                )
        return until_stop(spoken[0].tolist(), self.config)


def until_stop(tokens: list[int], config: Any) -> list[int]:
    stop = config.stop_speech
    return tokens[: tokens.index(stop)] if stop in tokens else tokens


def build_case(folder: Path, name: str) -> Case:
    written = checkpoints.write_checkpoint(folder, name, small=True, parts="t3")
    path = written.folder / written.files.t3
    ours = T3Model.load(path, written.config, Precision.FP32, "cpu")
    return Case(name, path, written.config, ours, upstream.load_t3(written.config, path))


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="session", params=["english", "multilingual", "turbo"])
def case(request: pytest.FixtureRequest, checkpoint_folder: Path) -> Case:
    """Each of the three models."""
    return build_case(checkpoint_folder, request.param)


@pytest.fixture(scope="session")
def english(checkpoint_folder: Path) -> Case:
    return build_case(checkpoint_folder, "english")


@pytest.fixture(scope="session")
def turbo(checkpoint_folder: Path) -> Case:
    return build_case(checkpoint_folder, "turbo")
