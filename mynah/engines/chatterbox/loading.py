"""From settings to a model that serves: which device, which number format, whose files."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from chatterbox.models.s3gen import S3Gen
from chatterbox.models.voice_encoder import VoiceEncoder

from mynah.engines.chatterbox.checkpoint import (
    MODELS,
    ModelFiles,
    find_checkpoint,
    load_weights,
)
from mynah.engines.chatterbox.checksums import check_sums
from mynah.engines.chatterbox.own_voice import OwnVoice
from mynah.engines.chatterbox.profile import ProfileNetworks
from mynah.engines.chatterbox.profile_layout import ProfileKind
from mynah.engines.chatterbox.quantization import Precision
from mynah.engines.chatterbox.readiness import check_cache
from mynah.engines.chatterbox.s3gen.decoder import DecoderOptions, SpeechDecoder
from mynah.engines.chatterbox.s3gen.scheduler import FlowScheduler
from mynah.engines.chatterbox.scheduler import SchedulerLimits, SpeechScheduler
from mynah.engines.chatterbox.sound import BorrowedSound, Sound, version_of
from mynah.engines.chatterbox.t3.model import T3Model
from mynah.engines.chatterbox.text import TextTokenizer, load_tokenizer
from mynah.engines.chatterbox.watermark import Watermarker
from mynah.errors import EngineUnavailable
from mynah.settings import MiB, Settings

STEPS_PER_READBACK_ON_GPU: Final = 4


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """All parts of one model, ready; two threads run until ``close``."""

    kind: ProfileKind
    tokenizer: TextTokenizer
    networks: ProfileNetworks
    watermarker: Watermarker
    t3: SpeechScheduler
    own_voice: OwnVoice
    borrowed: BorrowedSound

    @property
    def decoder(self) -> SpeechDecoder:
        """From speech tokens to sound."""
        return self.borrowed.sound.decoder

    @property
    def flow(self) -> FlowScheduler:
        """The decoder's flow steps, those of other models with the same weights among them."""
        return self.borrowed.sound.flow

    def close(self) -> None:
        """End the threads; who waits for speech gets EngineUnavailable."""
        self.t3.close()
        self.borrowed.close()


def load_model(model_id: str, settings: Settings) -> LoadedModel:
    """Load ``english``, ``multilingual`` or ``turbo``.

    Raises EngineUnavailable that says which file, device or format is at fault.
    """
    files, folder, device, precision = _decide(model_id, settings)
    config = files.t3_config
    check_cache(config, precision.cache.itemsize, settings)
    check_sums(folder, files.required)
    watermarker = Watermarker()
    tokenizer = load_tokenizer(files, folder)
    voice_encoder = load_voice_encoder(folder / files.voice_encoder, device)
    borrowed = borrow_sound(files, folder, device, precision)
    try:
        t3 = load_t3(model_id, settings)
    except BaseException:
        borrowed.close()
        raise
    sound = borrowed.sound
    return LoadedModel(
        kind=ProfileKind(model_id, config.prompt_tokens, is_turbo=config.is_gpt2),
        tokenizer=tokenizer,
        networks=ProfileNetworks(sound.tokenizer, sound.speaker_encoder, voice_encoder),
        watermarker=watermarker,
        t3=t3,
        own_voice=OwnVoice(folder / files.conditionals, model_id),
        borrowed=borrowed,
    )


def choose_device(wanted: str) -> Any:
    """``auto``: the first of cuda, mps, cpu that is there. Raises EngineUnavailable."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = next(name for name, is_there in there.items() if is_there)
    if not there.get(wanted.partition(":")[0], False):
        raise EngineUnavailable(f"Chatterbox: this machine has no device {wanted!r}.")
    return torch.device(wanted)


def choose_precision(wanted: str, device: Any) -> Precision:
    """``auto``: bf16 on CUDA, else float32, which is exact. int8 is a choice."""
    if wanted == "auto":
        return Precision.BF16 if device.type == "cuda" else Precision.FP32
    return Precision(wanted)


def decoder_options(precision: Precision) -> DecoderOptions:
    """How S3Gen runs beside a T3 of this format: exact beside an exact one, else in bf16; it has
    no int8."""
    dtype = torch.float32 if precision is Precision.FP32 else torch.bfloat16
    return DecoderOptions(flow_dtype=dtype, vocoder_dtype=dtype)


def load_t3(model_id: str, settings: Settings) -> SpeechScheduler:
    """Load the T3 of a model and start its scheduler. Raises EngineUnavailable."""
    files, folder, device, precision = _decide(model_id, settings)
    model = T3Model.load(folder / files.t3, files.t3_config, precision, device)
    return SpeechScheduler(
        model,
        SchedulerLimits(
            rows=settings.chatterbox_rows,
            rows_for_live=min(settings.chatterbox_live_rows, settings.chatterbox_rows - 2),
            cache_bytes=settings.chatterbox_cache_mib * MiB,
            prefix_bytes=settings.chatterbox_prefix_mib * MiB,
            waiting=settings.chatterbox_waiting,
            steps_per_readback=1 if device.type == "cpu" else STEPS_PER_READBACK_ON_GPU,
        ),
    )


def borrow_sound(
    files: ModelFiles, folder: Path, device: Any, precision: Precision
) -> BorrowedSound:
    """A model's S3Gen, loaded where no other model has the same. Raises EngineUnavailable."""
    path, is_meanflow = folder / files.s3gen, files.t3_config.is_gpt2

    def build() -> Sound:
        s3gen = load_s3gen(path, device, is_meanflow=is_meanflow)
        decoder = SpeechDecoder(s3gen, decoder_options(precision))
        flow = FlowScheduler(decoder.solver)
        return Sound(s3gen.tokenizer, s3gen.speaker_encoder, decoder, flow)

    key = (version_of(path), str(device), decoder_options(precision), is_meanflow)
    return BorrowedSound(key, build)


def load_s3gen(path: Path, device: Any, *, is_meanflow: bool) -> Any:
    """The library's S3Gen with the weights of a file. Raises EngineUnavailable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library uses what its own libraries deprecate
        return _with_weights(build_s3gen(is_meanflow=is_meanflow), path, device)


def load_voice_encoder(path: Path, device: Any) -> Any:
    """The library's voice encoder with the weights of a file. Raises EngineUnavailable."""
    return _with_weights(VoiceEncoder(), path, device)


def build_s3gen(*, is_meanflow: bool) -> Any:
    """The library's S3Gen without the weights of a checkpoint."""
    return S3Gen(meanflow=is_meanflow)


def _decide(model_id: str, settings: Settings) -> tuple[ModelFiles, Path, Any, Precision]:
    """A model's files, their folder, the device and the number format."""
    files = MODELS[model_id]
    folder = find_checkpoint(
        files, settings.chatterbox_dir, may_download=settings.chatterbox_download
    )
    device = choose_device(settings.chatterbox_device)
    return files, folder, device, choose_precision(settings.chatterbox_precision, device)


def _with_weights(module: Any, path: Path, device: Any) -> Any:
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    tensors = load_weights(path, expected, other_tensors_allowed=True)
    module.load_state_dict(tensors, strict=False)  # what may be left out is computed already
    return module.to(device).eval()
