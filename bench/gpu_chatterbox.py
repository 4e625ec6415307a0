"""Chatterbox on one GPU: G1 to G5.

    python -W ignore -m bench.gpu_chatterbox [--model english|turbo] [--only G1,G4] [--seconds 10]
        [--streams 64] [--device cuda] [--small]

Random weights of the real shapes, made in memory; T3 and S3Gen in bf16, both schedulers, guards,
watermark and MP3 as the engine has them. T3's end is out of reach, so that every utterance has
the same length. ``--small --device cpu`` shows that it runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import torch

from bench.chatterbox import checkpoints, upstream
from bench.chatterbox.machine import read_bandwidth, wait_for
from bench.chatterbox.t3_speed import OUT_OF_REACH, random_text, random_voice, step_bytes
from bench.report import print_machine, print_row, print_title
from mynah.audio.mp3 import Mp3Encoder
from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile
from mynah.engines.chatterbox.checkpoint import MODELS
from mynah.engines.chatterbox.loading import STEPS_PER_READBACK_ON_GPU, decoder_options
from mynah.engines.chatterbox.output import release_speech
from mynah.engines.chatterbox.quantization import Precision
from mynah.engines.chatterbox.s3gen.decoder import SpeechDecoder
from mynah.engines.chatterbox.s3gen.flow import FlowState
from mynah.engines.chatterbox.s3gen.layout import FRAMES_PER_TOKEN, MELS, SAMPLE_RATE
from mynah.engines.chatterbox.s3gen.prompt import MEL, TOKENS, X_VECTOR
from mynah.engines.chatterbox.s3gen.scheduler import FlowLimits, FlowScheduler
from mynah.engines.chatterbox.sampling import ENGLISH_SAMPLING, TURBO_SAMPLING, SamplingSettings
from mynah.engines.chatterbox.scheduler import SchedulerLimits, SpeechScheduler, TokenRequest
from mynah.engines.chatterbox.streaming import StreamDecoder
from mynah.engines.chatterbox.t3.batch import DecodeBatch
from mynah.engines.chatterbox.t3.config import T3Config
from mynah.engines.chatterbox.t3.model import T3Model
from mynah.engines.chatterbox.watermark import Watermarker

FIGURES: Final = ("G1", "G2", "G3", "G4", "G5")
TOKENS_PER_S: Final = 25
_GIB: Final = 1024**3
_TARGET_G3: Final = {"english": "≥ 200", "turbo": "≥ 400"}


@dataclass(frozen=True, slots=True)
class Setting:
    """``tokens`` of each utterance, the most ``streams`` at a time, ``rounds`` of what is
    measured alone, ``prompt_tokens`` of the voice in S3Gen, ``read_bytes`` for the bandwidth."""

    model: str = "english"
    device: str = "cuda"
    is_small: bool = False
    tokens: int = 250
    streams: int = 64
    rounds: int = 5
    prompt_tokens: int = 250
    read_bytes: int = 4 * _GIB


@dataclass(frozen=True, slots=True)
class Rig:
    """One model's parts with both schedulers running; ``close`` ends them."""

    setting: Setting
    model: T3Model
    tensors: dict[str, Any]
    s3gen: Any
    profile: Profile
    decoder: SpeechDecoder
    watermarker: Watermarker
    t3: SpeechScheduler
    flow: FlowScheduler

    @property
    def sampling(self) -> SamplingSettings:
        """The model's defaults."""
        return TURBO_SAMPLING if self.model.config.is_gpt2 else ENGLISH_SAMPLING

    def close(self) -> None:
        """End the threads."""
        self.t3.close()
        self.flow.close()


@dataclass(slots=True)
class Heard:
    """One utterance as its listener gets it: seconds to the first byte of MP3 and to the last
    block, seconds of audio, and how often a player that began at once had nothing to play."""

    began: float = field(default_factory=time.perf_counter)
    first_s: float = 0.0
    last_s: float = 0.0
    audio_s: float = 0.0
    underruns: int = 0

    def note(self, block: Waveform, mp3: bytes) -> None:
        """A block of sound came."""
        self.last_s = time.perf_counter() - self.began
        if self.first_s and self.last_s > self.first_s + self.audio_s:
            self.underruns += 1
        if mp3 and not self.first_s:
            self.first_s = self.last_s
        self.audio_s += block.duration_s


def run(setting: Setting, only: set[str]) -> None:
    """Measure and print the figures in ``only``."""
    rig = build(setting)
    try:
        for figure, measure in (
            ("G1", _one_stream), ("G2", _first_bytes), ("G3", _many_streams),
            ("G4", _t3_steps), ("G5", _flow_steps),
        ):  # fmt: skip
            if figure in only:
                measure(rig)
    finally:
        rig.close()


def build(setting: Setting) -> Rig:
    """The parts on the device, bf16 on a GPU."""
    config, device = _config(setting), torch.device(setting.device)
    precision = Precision.BF16 if device.type == "cuda" else Precision.FP32
    tensors = checkpoints.random_t3(config, 0)
    torch.manual_seed(0)
    s3gen = upstream.build_s3gen(meanflow=config.is_gpt2, small=setting.is_small)
    with torch.no_grad():
        s3gen.mel2wav.f0_predictor.classifier.bias.fill_(150.0)  # voiced
    s3gen = s3gen.to(device)
    model = T3Model(config, tensors, precision, device)
    decoder = SpeechDecoder(s3gen, decoder_options(precision))
    limits = SchedulerLimits(
        rows=2 * setting.streams,
        rows_for_live=0,
        cache_bytes=32 * _GIB,
        steps_per_readback=STEPS_PER_READBACK_ON_GPU,
    )
    return Rig(
        setting, model, tensors, s3gen, _profile(setting), decoder, Watermarker(),
        SpeechScheduler(model, limits), FlowScheduler(decoder.solver, FlowLimits()),
    )  # fmt: skip


def _config(setting: Setting) -> T3Config:
    sizes = checkpoints.SMALL_CONFIGS if setting.is_small else None
    config = sizes[setting.model] if sizes else MODELS[setting.model].t3_config
    return replace(config, stop_speech=OUT_OF_REACH)


def _profile(setting: Setting) -> Profile:
    rng = np.random.default_rng(0)
    count = setting.prompt_tokens
    mel = rng.normal(-4.0, 2.0, (FRAMES_PER_TOKEN * count, MELS)).astype(np.float32)
    x_vector = rng.normal(0.0, 1.0, 192).astype(np.float32)
    arrays = {TOKENS: rng.integers(0, 6561, count), MEL: mel, X_VECTOR: x_vector}
    return Profile("chatterbox", "1", "en", arrays)


def speak(rig: Rig, number: int) -> Heard:
    """One utterance through everything, in this thread. Raises what the engine raises."""
    heard = Heard()
    encoder = Mp3Encoder(SAMPLE_RATE)
    for block in release_speech(_blocks(rig, number), rig.watermarker):
        heard.note(block, encoder.encode(block))
    return heard


def _blocks(rig: Rig, number: int) -> Iterator[Waveform]:
    def solve(state: FlowState) -> None:
        rig.flow.submit(state, is_live=True).result()

    config = rig.model.config
    request = TokenRequest(
        random_voice(config),
        random_text(config, number),
        replace(rig.sampling, seed=number),
        live=True,
        max_tokens=rig.setting.tokens,
    )
    decoding = StreamDecoder(rig.decoder, rig.profile, number, solve=solve)
    for tokens in rig.t3.submit(request):
        yield from decoding.add(np.array(tokens, np.int64))
    yield from decoding.finish()


def _speak_together(rig: Rig, streams: int) -> tuple[list[Heard], float]:
    """So many listeners at once; what each heard, and the seconds of all."""
    with ThreadPoolExecutor(streams) as pool:
        began = time.perf_counter()
        heard = list(pool.map(lambda number: speak(rig, number), range(streams)))
        return heard, time.perf_counter() - began


def _one_stream(rig: Rig) -> None:
    print_title("G1: one stream, with guards, watermark and MP3")
    speak(rig, 0)  # records the steps
    heard = [speak(rig, number) for number in range(rig.setting.rounds)]
    audio_s = statistics.median(one.audio_s for one in heard)
    rtf = statistics.median(one.last_s / one.audio_s for one in heard)
    print_row(f"RTF, {audio_s:.1f} s of speech", f"{rtf:.4f}", "≤ 0.05")
    if rig.model.config.is_gpt2:
        return  # the anchor is the English model
    library = upstream.build_t3(replace(rig.model.config, stop_speech=6562))
    library.load_state_dict(rig.tensors, strict=True)
    library.hp.stop_speech_token = OUT_OF_REACH
    library = library.to(rig.model.device)
    with upstream.without_progress():
        _library_seconds(rig, library, tokens=8)  # warms up
        seconds = _library_seconds(rig, library, rig.setting.tokens)
    spoken_s = rig.setting.tokens / TOKENS_PER_S
    print_row("chatterbox-tts 0.1.7, without MP3", f"{seconds / spoken_s:.4f}")
    print_row("ratio", f"{seconds / spoken_s / rtf:.1f}x", "≥ 8x")


def _library_seconds(rig: Rig, library: Any, tokens: int) -> float:
    """The library's T3 and S3Gen for one utterance, as its ``generate`` calls them."""
    device, voice = rig.model.device, random_voice(rig.model.config)
    conditioning = upstream.T3Cond(
        speaker_emb=voice.speaker[None],
        cond_prompt_speech_tokens=voice.prompt[None],
        emotion_adv=0.5 * torch.ones(1, 1, 1),
    ).to(device=device)
    text = random_text(rig.model.config, 0).to(device)
    arrays = rig.profile.arrays
    prompt = torch.from_numpy(arrays[TOKENS])[None].to(device)
    reference = {
        "prompt_token": prompt,
        "prompt_token_len": torch.tensor([prompt.shape[1]]).to(device),
        "prompt_feat": torch.from_numpy(arrays[MEL])[None].to(device),
        "prompt_feat_len": None,
        "embedding": torch.from_numpy(arrays[X_VECTOR])[None].to(device),
    }
    began = time.perf_counter()
    with torch.inference_mode():
        spoken = library.inference(
            t3_cond=conditioning, text_tokens=torch.stack([text, text]), max_new_tokens=tokens
        )
        rig.s3gen.inference(speech_tokens=spoken[0].clamp(max=6560), ref_dict=reference)[0].cpu()
    return time.perf_counter() - began


def _first_bytes(rig: Rig) -> None:
    print_title("G2: from the request to the first byte of MP3")
    speak(rig, 0)
    alone = [speak(rig, number).first_s for number in range(rig.setting.rounds)]
    print_row("p50, one at a time", f"{statistics.median(alone) * 1000:.0f} ms", "≤ 120 ms")
    streams = min(32, rig.setting.streams)
    _speak_together(rig, streams)
    heard, _ = _speak_together(rig, streams)
    p95 = float(np.percentile([one.first_s for one in heard], 95))
    print_row(f"p95, {streams} at once", f"{p95 * 1000:.0f} ms", "≤ 400 ms")


def _many_streams(rig: Rig) -> None:
    streams = rig.setting.streams
    print_title(f"G3: {streams} streams at once")
    _speak_together(rig, streams)
    heard, seconds = _speak_together(rig, streams)
    made = sum(one.audio_s for one in heard) / seconds
    print_row("seconds of audio per second", f"{made:.1f}", _TARGET_G3[rig.setting.model])
    starved = sum(one.underruns > 0 for one in heard)
    print_row("streams whose player ran dry", f"{starved}", "0")


def _t3_steps(rig: Rig) -> None:
    print_title("G4: T3's steps against the memory")
    bandwidth = read_bandwidth(rig.model.device, rig.setting.read_bytes)
    print_row("memory is read at", f"{bandwidth:.0f} GB/s")
    widths = rig.model.precision.cache.itemsize
    for streams, target in ((1, "≥ 40 %"), (rig.setting.streams, "≥ 50 %")):
        seconds, rows, positions = _step_seconds(rig, streams)
        moved = step_bytes(rig.model.config, rows, positions, (widths, widths)) / 1e9
        share = moved / seconds / bandwidth
        print_row(f"{streams} streams", f"{seconds * 1000:.2f} ms/step, {share:.0%}", target)


def _step_seconds(rig: Rig, streams: int) -> tuple[float, int, int]:
    """(seconds of a step, rows, positions of each in the middle)."""
    steps = rig.setting.tokens
    model = rig.model
    with torch.inference_mode():
        batch = DecodeBatch(model)
        prefix = model.compute_prefix(random_voice(model.config), 0.5)
        for number in range(streams):
            sampling = replace(rig.sampling, seed=number)
            batch.join(prefix, random_text(model.config, number), sampling, 2 * steps)
        _take(batch, model.device, steps)  # records the steps at these lengths
        took = _take(batch, model.device, steps)
        return took / steps, batch.rows, batch.order[0].length - steps // 2


def _take(batch: DecodeBatch, device: Any, steps: int) -> float:
    began = time.perf_counter()
    for number in range(steps):
        batch.step()
        if number % STEPS_PER_READBACK_ON_GPU == 0:
            batch.collect()
    batch.collect()
    wait_for(device)
    return time.perf_counter() - began


def _flow_steps(rig: Rig) -> None:
    setting = rig.setting
    frames = FRAMES_PER_TOKEN * (setting.prompt_tokens + 50)
    print_title(f"G5: one flow step, {frames} frames each (prompt and 2 s)")
    alone = 0.0
    for count in _doubling(setting.streams):
        seconds = _flow_seconds(rig, count, frames)
        alone = alone or seconds
        target = "below 8" if count == 8 else ""
        print_row(
            f"{count} requests", f"{seconds * 1000:.2f} ms", f"{seconds / alone:.1f}x {target}"
        )


def _doubling(most: int) -> Sequence[int]:
    return [1 << power for power in range(most.bit_length())]


def _flow_seconds(rig: Rig, count: int, frames: int) -> float:
    """Median seconds of a step of so many requests."""
    solver, device = rig.decoder.solver, rig.model.device
    states = [
        FlowState(
            torch.randn(frames, MELS, device=device),
            torch.randn(frames, 3 * MELS, device=device),
            FRAMES_PER_TOKEN * rig.setting.prompt_tokens,
        )
        for _ in range(count)
    ]
    took = []
    for _ in range(solver.steps * 2):
        if solver.is_done(states[0]):
            for state in states:
                state.step = 0
        wait_for(device)
        began = time.perf_counter()
        solver.advance(states)
        wait_for(device)
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=sorted(_TARGET_G3), default="english")
    parser.add_argument("--only", default=",".join(FIGURES))
    parser.add_argument("--seconds", type=float, default=10.0, help="of each utterance")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="shapes of the tests")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(
            "No CUDA device. --small --device cpu shows that the benchmark runs.", file=sys.stderr
        )
        return 1
    print_machine()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print_row("device, torch", f"{name}, {torch.__version__}")
    tokens = round(chosen.seconds * TOKENS_PER_S)
    setting = Setting(chosen.model, chosen.device, chosen.small, tokens, chosen.streams)
    if device.type != "cuda":
        setting = replace(setting, prompt_tokens=20, rounds=2, read_bytes=_GIB // 16)
    run(setting, set(chosen.only.split(",")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
