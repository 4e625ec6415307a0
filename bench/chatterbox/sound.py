"""S3Gen, profiles and watermark against chatterbox-tts 0.1.7: what C4, C5, C6 and C8 need.

Full-size networks with random weights of one seed, in both sides the same module object's; both
sides in one process, alternating, the same tokens, prompt, steps and guidance. T3's part of a
request is measured by its own benchmark; its seconds may be given to get whole requests::

    python -W ignore -m bench.chatterbox.sound [--quick] [--rounds 3] [--only C4,C6] \
        [--t3-library 362 --t3-own 36]      milliseconds per token
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch

from bench.chatterbox.t3_speed import DifferentWorkError, turbo_token_ms
from bench.chatterbox.upstream import build_s3gen
from bench.report import print_machine, print_row, print_title
from mynah.audio.mp3 import Mp3Encoder
from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile
from mynah.engines.chatterbox.profile import ProfileKind, ProfileNetworks, prepare_profile
from mynah.engines.chatterbox.s3gen.decoder import DecoderOptions, SpeechDecoder
from mynah.engines.chatterbox.s3gen.layout import SAMPLE_RATE
from mynah.engines.chatterbox.s3gen.prompt import MEL, TOKENS, X_VECTOR
from mynah.engines.chatterbox.streaming import StreamDecoder
from mynah.engines.chatterbox.watermark import StreamWatermarker, Watermarker

FIGURES: Final = ("C4", "C5", "C6", "C8")
SEED: Final = 5
REFERENCE_S: Final = 10
FIRST_TOKENS: Final = 13  # the first chunk and its lookahead


@dataclass(frozen=True, slots=True)
class Setting:
    """How much is measured: speech tokens of the utterance, rounds of each side, and T3's
    milliseconds per token where they are known."""

    tokens: int
    rounds: int
    t3_library_ms: float | None = None
    t3_own_ms: float | None = None


FULL: Final = Setting(tokens=250, rounds=3)
QUICK: Final = Setting(tokens=50, rounds=1)


@dataclass(frozen=True, slots=True)
class Parts:
    """Both sides' networks, a profile and the tokens to speak."""

    s3gen: Any
    voice_encoder: Any
    recording: Waveform
    profile: Profile
    tokens: np.ndarray[Any, Any]

    def library_prompt(self) -> dict[str, Any]:
        """The profile as the library takes it; a new dictionary, because it writes into it."""
        arrays = self.profile.arrays
        prompt = torch.from_numpy(arrays[TOKENS])[None]
        return {
            "prompt_token": prompt,
            "prompt_token_len": torch.tensor([prompt.shape[1]]),
            "prompt_feat": torch.from_numpy(arrays[MEL])[None],
            "prompt_feat_len": None,
            "embedding": torch.from_numpy(arrays[X_VECTOR])[None],
        }


def run(setting: Setting, only: set[str]) -> None:
    """Print what was asked for."""
    print_title("Chatterbox: from speech tokens to sound")
    print_row("threads, torch", f"{torch.get_num_threads()}, {torch.__version__}")
    with _without_progress():
        parts = _build(setting.tokens, meanflow=False)
        if "C4" in only:
            _whole(parts, setting)
        if "C5" in only:
            _first_byte(parts, setting)
        if "C6" in only:
            _second_use(parts, setting)
        if "C8" in only:
            _turbo(_build(setting.tokens, meanflow=True), setting)


def _build(tokens: int, *, meanflow: bool) -> Parts:
    from chatterbox.models.voice_encoder import VoiceEncoder  # noqa: PLC0415

    torch.manual_seed(0)
    s3gen, voice_encoder = build_s3gen(meanflow=meanflow, small=False), VoiceEncoder().eval()
    with torch.no_grad():
        s3gen.mel2wav.f0_predictor.classifier.bias.fill_(150.0)  # voiced
    recording = _hum(REFERENCE_S)
    networks = ProfileNetworks(s3gen.tokenizer, s3gen.speaker_encoder, voice_encoder)
    profile = prepare_profile([recording], "en", networks, ProfileKind("english", 150))
    spoken = np.random.default_rng(1).integers(0, 6561, tokens)
    return Parts(s3gen, voice_encoder, recording, profile, spoken)


def _whole(parts: Parts, setting: Setting) -> None:
    """C4: an utterance of all tokens with the full prompt, 10 guided steps, and the watermark."""
    watermarker = Watermarker()
    exact = SpeechDecoder(parts.s3gen)
    fast = SpeechDecoder(parts.s3gen, DecoderOptions(torch.bfloat16, torch.bfloat16))
    sides = {
        "library": lambda: _library_speech(parts, watermarker),
        "float32": lambda: watermarker.apply(exact.decode(parts.tokens, parts.profile, SEED)),
        "bfloat16": lambda: watermarker.apply(fast.decode(parts.tokens, parts.profile, SEED)),
    }
    seconds, results = _alternate(sides, setting.rounds)
    _check_same_work(results)
    audio_s = results["library"].duration_s
    for name, spent in seconds.items():
        print_row(
            f"C4 sound of {audio_s:g} s, {name}", f"{spent:.2f} s", f"RTF {spent / audio_s:.2f}"
        )
    for name in ("float32", "bfloat16"):
        print_row(f"C4 sound, library / {name}", f"{seconds['library'] / seconds[name]:.2f} x")
    if setting.t3_library_ms and setting.t3_own_ms:
        library, own = (
            len(parts.tokens) * ms / 1000 for ms in (setting.t3_library_ms, setting.t3_own_ms)
        )
        ratio = (library + seconds["library"]) / (own + seconds["bfloat16"])
        print_row("C4 whole generate, with T3's part", f"{ratio:.2f} x", ">= 4 x")


def _first_byte(parts: Parts, setting: Setting) -> None:
    """C5: from the tokens to the first byte of MP3; the library must have all of them first."""
    watermarker = Watermarker()
    sides: dict[str, Callable[[], Any]] = {"library": lambda: _library_mp3(parts, watermarker)}
    for name, prompt_s in (("full prompt", None), ("3 s prompt", 3.0)):
        options = DecoderOptions(torch.bfloat16, torch.bfloat16, prompt_s)
        decoder = SpeechDecoder(parts.s3gen, options)
        sides[name] = lambda decoder=decoder: _first_mp3(parts, decoder, watermarker)
    seconds, _ = _alternate(sides, setting.rounds)
    for name, target in (("full prompt", ">= 10 x"), ("3 s prompt", ">= 30 x")):
        print_row(f"C5 sound, first byte, {name}", f"{seconds[name]:.2f} s")
        print_row(f"C5 sound, library / {name}", f"{seconds['library'] / seconds[name]:.1f} x")
        if setting.t3_library_ms and setting.t3_own_ms:
            library = seconds["library"] + len(parts.tokens) * setting.t3_library_ms / 1000
            own = seconds[name] + FIRST_TOKENS * setting.t3_own_ms / 1000
            print_row(f"C5 with T3's part, {name}", f"{library / own:.1f} x", target)


def _second_use(parts: Parts, setting: Setting) -> None:
    """C6: the voice's conditioning, used a second time."""
    from chatterbox.tts import ChatterboxTTS  # noqa: PLC0415

    tts = ChatterboxTTS.__new__(ChatterboxTTS)
    tts.s3gen, tts.ve, tts.device = parts.s3gen, parts.voice_encoder, "cpu"
    tts.t3 = SimpleNamespace(hp=SimpleNamespace(speech_cond_prompt_len=150))
    decoder = SpeechDecoder(parts.s3gen)
    decoder.prompt(parts.profile)
    networks = ProfileNetworks(
        parts.s3gen.tokenizer, parts.s3gen.speaker_encoder, parts.voice_encoder
    )
    kind = ProfileKind("english", 150)
    with _loading(parts.recording):
        seconds, _ = _alternate(
            {
                "library": lambda: tts.prepare_conditionals("unused"),
                "profile": lambda: prepare_profile([parts.recording], "en", networks, kind),
                "cached": lambda: decoder.prompt(parts.profile),
            },
            max(3, setting.rounds),
        )
    print_row("C6 first use, library / own", f"{seconds['library'] / seconds['profile']:.2f} x")
    print_row("C6 second use, own", f"{seconds['cached'] * 1000:.3f} ms", "< 2 ms")
    ratio = seconds["library"] / seconds["cached"]
    print_row("C6 second use, library / own", f"{ratio:.0f} x", ">= 500 x")


def _turbo(parts: Parts, setting: Setting) -> None:
    """C8: Turbo's sound: two steps without guidance."""
    watermarker = Watermarker()
    fast = SpeechDecoder(parts.s3gen, DecoderOptions(torch.bfloat16, torch.bfloat16))
    padded = np.concatenate([parts.tokens, fast.end_tokens])
    sides = {
        "library": lambda: _library_speech(parts, watermarker, padded),
        "bfloat16": lambda: watermarker.apply(fast.decode(parts.tokens, parts.profile, SEED)),
    }
    seconds, results = _alternate(sides, setting.rounds)
    _check_same_work(results)
    audio_s = results["library"].duration_s
    for name, spent in seconds.items():
        print_row(f"C8 Turbo's sound, {name}", f"{spent:.2f} s", f"RTF {spent / audio_s:.3f}")
    token_ms = turbo_token_ms(min(50, setting.tokens))
    print_row("C8 Turbo's T3, int8", f"{token_ms:.1f} ms/token")
    rtf = (seconds["bfloat16"] + len(parts.tokens) * token_ms / 1000) / audio_s
    print_row("C8 with T3's part", f"RTF {rtf:.2f}", "< 1.0")


def _library_speech(
    parts: Parts, watermarker: Watermarker, tokens: np.ndarray[Any, Any] | None = None
) -> Waveform:
    spoken = parts.tokens if tokens is None else tokens
    steps = 2 if parts.s3gen.meanflow else None
    wave, _ = parts.s3gen.inference(
        speech_tokens=torch.from_numpy(spoken),
        ref_dict=parts.library_prompt(),
        n_cfm_timesteps=steps,
    )
    return watermarker.apply(Waveform(wave[0].numpy(), SAMPLE_RATE))


def _library_mp3(parts: Parts, watermarker: Watermarker) -> bytes:
    return _first_mp3_of(Mp3Encoder(SAMPLE_RATE), [_library_speech(parts, watermarker)])


def _first_mp3(parts: Parts, decoder: SpeechDecoder, watermarker: Watermarker) -> bytes:
    decoding = StreamDecoder(decoder, parts.profile, SEED)
    marker = StreamWatermarker(watermarker, SAMPLE_RATE)
    blocks = (marker.process(block) for block in decoding.add(parts.tokens[:FIRST_TOKENS]))
    return _first_mp3_of(Mp3Encoder(SAMPLE_RATE), blocks)


def _first_mp3_of(encoder: Mp3Encoder, blocks: Any) -> bytes:
    for block in blocks:
        if data := encoder.encode(block):
            return data
    raise RuntimeError("no MP3 came out")


def _alternate(
    sides: dict[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Median seconds and the last result of each side; one after the other, ``rounds`` times."""
    spent: dict[str, list[float]] = {name: [] for name in sides}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for name, call in sides.items():
            started = time.perf_counter()
            results[name] = call()
            spent[name].append(time.perf_counter() - started)
    return {name: float(np.median(times)) for name, times in spent.items()}, results


def _check_same_work(results: dict[str, Waveform]) -> None:
    """DifferentWorkError when one side spoke less than the other."""
    if len({wave.frames for wave in results.values()}) != 1:
        raise DifferentWorkError("the two sides spoke for different times")


def _hum(seconds: float) -> Waveform:
    at = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    level = 0.2 * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * at))
    hiss = np.random.default_rng(0).normal(0, 0.02, len(at))
    samples = level * np.sin(2 * np.pi * (150 * at + 15 * np.sin(3 * at))) + hiss
    return Waveform(samples.astype(np.float32), SAMPLE_RATE)


@contextmanager
def _loading(recording: Waveform) -> Any:
    """``librosa.load`` gives the recording: no decoding on either side."""
    import librosa  # noqa: PLC0415

    kept = librosa.load
    librosa.load = lambda *_, **__: (recording.samples, SAMPLE_RATE)
    try:
        yield
    finally:
        librosa.load = kept


@contextmanager
def _without_progress() -> Any:
    """The library's flow without its progress bar and its print."""
    import chatterbox.models.s3gen.flow_matching as module  # noqa: PLC0415

    kept = module.tqdm
    module.tqdm, module.print = (lambda steps, **_: steps), (lambda *_: None)
    try:
        yield
    finally:
        module.tqdm = kept
        del module.print


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 s of speech instead of 10")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(FIGURES))
    parser.add_argument("--t3-library", type=float, help="ms per token")
    parser.add_argument("--t3-own", type=float, help="ms per token")
    options = parser.parse_args()
    print_machine()
    tokens = 50 if options.quick else 250
    setting = Setting(tokens, options.rounds, options.t3_library, options.t3_own)
    run(setting, set(options.only.split(",")))


if __name__ == "__main__":
    main()
