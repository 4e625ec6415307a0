"""T3 against chatterbox-tts 0.1.7: C1, C2, C3 and C7.

Both sides read the same full-size file of random weights in one process and take turns, with
the same text, voice, settings, seed and number of threads. The library's own ``T3.inference``
runs; only its progress bar is replaced, by a clock. The end token is put out of reach on both
sides, so that both make the same number of tokens. Exits with an error where the work differs.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from bench.chatterbox import upstream
from bench.chatterbox.checkpoints import WrittenModel, random_t3, write_checkpoint
from bench.chatterbox.divergence import compare_logits
from bench.report import print_row, print_title
from mynah.engines.chatterbox.checkpoint import MODELS, load_t3_weights
from mynah.engines.chatterbox.quantization import Precision
from mynah.engines.chatterbox.sampling import (
    ENGLISH_SAMPLING,
    MULTILINGUAL_SAMPLING,
    TURBO_SAMPLING,
    SamplingSettings,
)
from mynah.engines.chatterbox.scheduler import SchedulerLimits, SpeechScheduler, TokenRequest
from mynah.engines.chatterbox.t3.batch import DecodeBatch
from mynah.engines.chatterbox.t3.conditioning import VoiceConditioning
from mynah.engines.chatterbox.t3.config import T3Config
from mynah.engines.chatterbox.t3.model import T3Model

FIGURES: Final = ("C1", "C2", "C3", "C7")
TEXT_TOKENS: Final = 60
CONCURRENT: Final = 8
OUT_OF_REACH: Final = 1 << 20


class DifferentWorkError(Exception):
    """The two sides did not do the same work, so their times cannot be compared."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How much is measured.

    ``tokens`` of one stream and ``rounds`` of both sides (C1, C2) · ``tokens_each`` of eight
    streams (C3) · ``calls`` of the multilingual model and ``library_calls`` of the library's (C7).
    """

    tokens: int
    rounds: int
    tokens_each: int
    calls: int
    library_calls: int


FULL: Final = Setting(tokens=100, rounds=3, tokens_each=60, calls=50, library_calls=50)
QUICK: Final = Setting(tokens=24, rounds=2, tokens_each=16, calls=50, library_calls=8)


@dataclass(frozen=True, slots=True)
class Sides:
    """The library's model and our tensors of the same file."""

    config: T3Config
    library: Any
    tensors: dict[str, Any]
    bandwidth: float


def run(
    folder: Path, setting: Setting, only: set[str], bandwidth: float
) -> tuple[float, float] | None:
    """Measure and print the figures in ``only``; checkpoints are written below ``folder``.

    Returns C1's milliseconds per token, the library's and ours; None without C1.
    """
    token_ms = None
    if only & {"C1", "C2", "C3"}:
        sides = _load(_checkpoint(folder, "english"), bandwidth)
        if only & {"C1", "C2"}:
            for figure, precision, target in (
                ("C1", Precision.INT8, "≥ 10x, stretch 15x"),
                ("C2", Precision.FP32, "≥ 2.2x, stretch 3.5x"),
            ):
                if figure in only:
                    found = _one_stream(figure, sides, precision, setting, target)
                    token_ms = token_ms or (found if figure == "C1" else None)
        if "C3" in only:
            _eight_streams(sides, setting)
        del sides
        gc.collect()
    if "C7" in only:
        _many_calls(_load(_checkpoint(folder, "multilingual"), bandwidth), setting)
    return token_ms


def turbo_token_ms(tokens: int) -> float:
    """Ours alone: milliseconds per token of one Turbo stream in int8."""
    config = MODELS["turbo"].t3_config
    model = T3Model(config, random_t3(config, 0), Precision.INT8, "cpu")
    _our_call(model, 0, TURBO_SAMPLING, 4)
    return _our_call(model, 0, TURBO_SAMPLING, tokens).token_ms


def _checkpoint(folder: Path, model: str) -> WrittenModel:
    """Full size; written once, its file is checked whenever it is read."""
    files = MODELS[model]
    below = folder / files.repository.rpartition("/")[2]
    if (below / files.t3).is_file():
        return WrittenModel(files, below, files.t3_config)
    return write_checkpoint(folder, model, parts="t3")


def _load(written: WrittenModel, bandwidth: float) -> Sides:
    path = written.folder / written.files.t3
    library = upstream.load_t3(written.config, path)
    library.hp.stop_speech_token = OUT_OF_REACH
    return Sides(written.config, library, load_t3_weights(path, written.config), bandwidth)


def random_voice(config: T3Config) -> VoiceConditioning:
    """A voice with a full prompt; always the same one."""
    generator = torch.Generator().manual_seed(11)
    prompt = torch.randint(0, config.start_speech, (config.prompt_tokens,), generator=generator)
    return VoiceConditioning("bench", torch.randn(256, generator=generator), prompt)


def random_text(config: T3Config, number: int) -> Any:
    """``TEXT_TOKENS`` letters between start and stop."""
    words = torch.randint(
        3, 250, (TEXT_TOKENS,), generator=torch.Generator().manual_seed(100 + number)
    )
    return torch.cat([torch.tensor([config.start_text]), words, torch.tensor([config.stop_text])])


@dataclass(slots=True)
class Spoken:
    """One call: its tokens, when each was begun, and the seconds of the whole call."""

    tokens: list[int]
    moments: list[float]
    seconds: float

    @property
    def token_ms(self) -> float:
        """Median time from one token to the next."""
        steps = [b - a for a, b in zip(self.moments, self.moments[1:], strict=False)]
        return statistics.median(steps) * 1000


@contextmanager
def _clocked(moments: list[float]) -> Iterator[None]:
    """The library's loop notes the time where it would move its progress bar."""

    def steps(numbers: Any, **_: Any) -> Iterator[Any]:
        for number in numbers:
            moments.append(time.perf_counter())
            yield number

    with upstream.with_progress(steps):
        yield


def _library_call(sides: Sides, number: int, settings: SamplingSettings, tokens: int) -> Spoken:
    voice, text = random_voice(sides.config), random_text(sides.config, number)
    conditioning = upstream.T3Cond(
        speaker_emb=voice.speaker[None],
        cond_prompt_speech_tokens=voice.prompt[None],
        emotion_adv=0.5 * torch.ones(1, 1, 1),
    )
    moments: list[float] = []
    torch.manual_seed(settings.seed)
    began = time.perf_counter()
    with _clocked(moments):
        drawn = sides.library.inference(
            t3_cond=conditioning,
            text_tokens=torch.stack([text, text]),
            max_new_tokens=tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            min_p=settings.min_p,
            repetition_penalty=settings.repetition_penalty,
            cfg_weight=settings.guidance,
        )
    return Spoken(drawn[0].tolist(), moments, time.perf_counter() - began)


def _our_call(model: T3Model, number: int, settings: SamplingSettings, tokens: int) -> Spoken:
    """As the library: the voice's prefix is computed within the call."""
    moments: list[float] = []
    began = time.perf_counter()
    with torch.inference_mode():
        batch = DecodeBatch(model)
        prefix = model.compute_prefix(random_voice(model.config), 0.5)
        batch.join(prefix, random_text(model.config, number), settings, tokens)
        drawn = []
        for _ in range(tokens):
            moments.append(time.perf_counter())
            batch.step()
            drawn += batch.collect()[0]
    return Spoken(drawn, moments, time.perf_counter() - began)


def _one_stream(
    figure: str, sides: Sides, precision: Precision, setting: Setting, target: str
) -> tuple[float, float]:
    """(the library's, our) milliseconds per token."""
    print_title(f"{figure}: one stream, {precision}, {setting.tokens} tokens, guidance 0.5")
    model = T3Model(sides.config, sides.tensors, precision, "cpu")
    ours, theirs, ratios = [], [], []
    for number in range(setting.rounds + 1):  # the first warms up
        settings = replace(ENGLISH_SAMPLING, seed=number)
        theirs.append(_library_call(sides, number, settings, setting.tokens))
        ours.append(_our_call(model, number, settings, setting.tokens))
        ratios.append(theirs[-1].token_ms / ours[-1].token_ms)
        _check_same_work(ours[-1], theirs[-1], same_tokens=precision is Precision.FP32)
    our_ms, their_ms = (
        statistics.median(call.token_ms for call in calls[1:]) for calls in (ours, theirs)
    )
    positions = 34 + TEXT_TOKENS + 4 + setting.tokens // 2
    share = _share(sides, (4, 4), positions, their_ms)
    print_row("the library, float32", f"{their_ms:.1f} ms/token", share)
    width = {Precision.INT8: 1, Precision.BF16: 2, Precision.FP32: 4}[precision]
    share = _share(sides, (width, model.cache_dtype.itemsize), positions, our_ms)
    print_row(f"ours, {precision}", f"{our_ms:.1f} ms/token", share)
    print_row("median ratio", f"{statistics.median(ratios[1:]):.1f}x", target)
    print_row("the same tokens", str(ours[-1].tokens == theirs[-1].tokens))
    if precision is not Precision.FP32:
        _print_divergence(sides, model, theirs[-1].tokens)
    return their_ms, our_ms


def _print_divergence(sides: Sides, model: T3Model, spoken: list[int]) -> None:
    exact = T3Model(sides.config, sides.tensors, Precision.FP32, "cpu")
    found = compare_logits(
        exact, model, random_voice(sides.config), random_text(sides.config, 0), spoken
    )
    print_row("divergence from float32, teacher-forced: KL", f"{found.kl:.4f} nats")
    print_row("the same likeliest token", f"{found.same_best:.1%}")


def _eight_streams(sides: Sides, setting: Setting) -> None:
    each = setting.tokens_each
    print_title(f"C3: {CONCURRENT} requests at once, int8, {each} tokens each, with prefill")
    scheduler = SpeechScheduler(
        T3Model(sides.config, sides.tensors, Precision.INT8, "cpu"),
        SchedulerLimits(rows=2 * CONCURRENT, rows_for_live=0),
    )
    settings = [replace(ENGLISH_SAMPLING, seed=number) for number in range(CONCURRENT)]
    _our_requests(scheduler, sides, settings, 4)  # warms up
    theirs_s, ours_s = 0.0, []
    for number in range(CONCURRENT):
        theirs_s += _library_call(sides, number, settings[number], each).seconds
        if number % 3 == 1:  # in turns with the library's calls
            ours_s.append(_our_requests(scheduler, sides, settings, each))
    figures = scheduler.statistics()
    scheduler.close()
    total = CONCURRENT * each
    our_s = statistics.median(ours_s)
    print_row("the library, one after another", f"{total / theirs_s:.1f} tokens/s")
    print_row("ours, at once", f"{total / our_s:.1f} tokens/s")
    print_row("streams per step", f"{figures.tokens / figures.steps:.1f}")
    print_row("ratio", f"{theirs_s / our_s:.1f}x", "≥ 25x, stretch 40x")


def _our_requests(
    scheduler: SpeechScheduler, sides: Sides, settings: list[SamplingSettings], tokens: int
) -> float:
    """Seconds until all requests, submitted at once, have all their tokens."""
    began = time.perf_counter()
    streams = [
        scheduler.submit(
            TokenRequest(
                random_voice(sides.config),
                random_text(sides.config, number),
                one,
                max_tokens=tokens,
            )
        )
        for number, one in enumerate(settings)
    ]
    counts = [sum(len(block) for block in stream) for stream in streams]
    seconds = time.perf_counter() - began
    if counts != [tokens] * len(streams):
        raise DifferentWorkError(f"our requests made {counts} tokens, not {tokens} each")
    return seconds


def _many_calls(sides: Sides, setting: Setting) -> None:
    print_title(f"C7: Multilingual, call {setting.calls} against call 1, 8 tokens each")
    sides.library.hp.stop_speech_token = sides.config.stop_speech  # its analyzer writes there
    model = T3Model(sides.config, sides.tensors, Precision.INT8, "cpu")
    _our_call(model, 0, MULTILINGUAL_SAMPLING, 8)
    ours = [_our_call(model, 0, MULTILINGUAL_SAMPLING, 8).token_ms for _ in range(setting.calls)]
    theirs = [
        _library_call(sides, 0, MULTILINGUAL_SAMPLING, 8) for _ in range(setting.library_calls)
    ]
    print_row("ours, first and last call", f"{_ends(ours)}", f"{_growth(ours):.3f} (≤ 1.02)")
    timed = [call.token_ms for call in theirs if len(call.moments) > 2]
    if len(timed) > 1:
        label = f"the library with its analyzer, {len(theirs)} calls"
        print_row(label, _ends(timed), f"{_growth(timed):.3f}")
    lengths = sorted({len(call.tokens) for call in theirs})
    print_row("the library's calls ended after", f"{lengths} tokens")


def _ends(calls: list[float]) -> str:
    return f"{calls[0]:.1f}, {calls[-1]:.1f} ms"


def _growth(calls: list[float]) -> float:
    """Median of the last fifth over the median of the first."""
    fifth = max(1, len(calls) // 5)
    return statistics.median(calls[-fifth:]) / statistics.median(calls[:fifth])


def _check_same_work(ours: Spoken, theirs: Spoken, *, same_tokens: bool) -> None:
    if len(ours.tokens) != len(theirs.tokens):
        raise DifferentWorkError(f"{len(ours.tokens)} tokens against {len(theirs.tokens)}")
    if same_tokens and ours.tokens != theirs.tokens:
        pairs = zip(ours.tokens, theirs.tokens, strict=True)
        first = next(i for i, (a, b) in enumerate(pairs) if a != b)
        raise DifferentWorkError(f"the tokens differ from number {first} on")


def _share(sides: Sides, widths: tuple[int, int], positions: int, ms: float) -> str:
    """What a step of two rows must read, and at which share of the memory's speed it did."""
    gigabytes = step_bytes(sides.config, 2, positions, widths) / 1e9
    speed = gigabytes / (ms / 1000)
    return f"{gigabytes:.2f} GB/step, {speed:.1f} GB/s, {speed / sides.bandwidth:.0%} of memory"


def step_bytes(config: T3Config, rows: int, positions: int, widths: tuple[int, int]) -> int:
    """What a step of so many rows, that hold so many positions each, must read.

    ``widths``: bytes of a weight and of a number in the cache of keys and values.
    """
    matrices = 2 if config.is_gpt2 else 3
    per_layer = 4 * config.width**2 + matrices * config.width * config.ff_width
    weights = config.layers * per_layer + config.speech_vocabulary * config.width
    cache = 2 * config.layers * config.width * rows * positions
    return weights * widths[0] + cache * widths[1]
