"""``generate`` of chatterbox-tts 0.1.7 on a small checkpoint, up to the tokens for its S3Gen."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from chatterbox import mtl_tts, tts, tts_turbo
from transformers import AutoTokenizer

from bench.chatterbox import upstream
from mynah.engines.base import Profile
from mynah.engines.chatterbox.checkpoint import MODELS, ModelFiles
from mynah.engines.chatterbox.profile_layout import SPEAKER, T3_TOKENS

_CLASSES = {
    "english": tts.ChatterboxTTS,
    "multilingual": mtl_tts.ChatterboxMultilingualTTS,
    "turbo": tts_turbo.ChatterboxTurboTTS,
}


def library_tokens(
    model: str, root: Path, profile: Profile, text: str, seed: int, most_tokens: int
) -> list[int]:
    """The speech tokens, without T3's marks and the silence that is added for Turbo."""
    files = MODELS[model]
    folder = root / files.repository.rpartition("/")[2]
    given: list[Any] = []

    def keep(speech_tokens: Any, **_: object) -> tuple[Any, None]:
        given.append(speech_tokens)
        return torch.zeros(1, 9), None

    library = _CLASSES[model].__new__(_CLASSES[model])
    library.device, library.sr = "cpu", 24_000
    library.t3 = _short_t3(files, folder, most_tokens)
    library.tokenizer = _tokenizer(files, folder)
    library.s3gen = SimpleNamespace(inference=keep)
    library.watermarker = SimpleNamespace(apply_watermark=lambda wav, **_: wav)
    library.conds = SimpleNamespace(t3=_conditioning(profile), gen={})
    torch.manual_seed(seed)
    language = {"language_id": "en"} if model == "multilingual" else {}
    with upstream.without_progress(), upstream.without_alignment():
        library.generate(text, **language)
    tokens: list[int] = given[0].flatten().tolist()
    spoken = tokens[:-3] if files.t3_config.is_gpt2 else tokens
    return [token for token in spoken if token < files.t3_config.start_speech]


def _short_t3(files: ModelFiles, folder: Path, most_tokens: int) -> Any:
    """The library's T3, stopped early: random weights seldom end by themselves."""
    t3 = upstream.load_t3(files.t3_config, folder / files.t3)
    if files.t3_config.is_gpt2:
        infer = t3.inference_turbo
        t3.inference_turbo = lambda **options: infer(**options, max_gen_len=most_tokens - 1)
    else:
        infer = t3.inference
        t3.inference = lambda **options: infer(**{**options, "max_new_tokens": most_tokens})
    return t3


def _tokenizer(files: ModelFiles, folder: Path) -> Any:
    if files.id == "turbo":
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.pad_token = tokenizer.eos_token
        return tokenizer
    plain = tts.EnTokenizer(str(folder / files.tokenizer[0]))
    if files.id == "english":
        return plain
    # For English the multilingual tokenizer only adds the tag to small letters; building it
    # would ask the hub.
    return SimpleNamespace(
        text_to_tokens=lambda text, language_id: plain.text_to_tokens(
            f"[{language_id}]{text.lower()}"
        )
    )


def _conditioning(profile: Profile) -> Any:
    return upstream.T3Cond(
        speaker_emb=torch.from_numpy(profile.arrays[SPEAKER])[None],
        cond_prompt_speech_tokens=torch.from_numpy(profile.arrays[T3_TOKENS])[None],
        emotion_adv=0.5 * torch.ones(1, 1, 1),
    )
