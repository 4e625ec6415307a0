"""Analysis of a five-minute recording: how many times faster than real time, part by part.

The counterpart is what one writes with libraries for a few of the parts: pyloudnorm for the
loudness, ``scipy.signal.spectrogram`` for the spectrum, ``scipy.signal.resample_poly`` over
everything for the true peak. Run on its own: ``python -m bench.analysis``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pyloudnorm
from scipy.signal import resample_poly, spectrogram

from bench.report import print_machine, print_row, print_title
from mynah.audio.encode import encode_file
from mynah.audio.formats import OutputSpec
from mynah.audio.loudness import LoudnessMeter, true_peak
from mynah.audio.resample import resample
from mynah.audio.speech_activity import find_speech
from mynah.audio.waveform import Waveform
from mynah.contracts.audio import EnhanceOptions
from mynah.contracts.speech import OutputFormat
from mynah.engines.base import SynthesisSettings
from mynah.engines.registry import load_engine
from services.audio_proc.analysis import analyze_in_depth, clipping_share
from services.audio_proc.decoding import DecodingLimits, decode_recording
from services.audio_proc.enhancement import enhance
from services.audio_proc.peaks import draw_outline, outline_png, outline_svg, peaks_json
from services.audio_proc.reverberation import estimate_rt60
from services.audio_proc.speakers import count_speakers
from services.audio_proc.spectrogram import draw_spectrogram
from services.audio_proc.spectrum import survey_spectrum

DURATION_S = 300
SAMPLE_RATE = 48_000
WIDTH, HEIGHT = 1200, 300
TARGET = 50
ROUNDS = 3
TEXT = (
    "Every evening the lamplighter walked along the river, and one by one the windows of the "
    "town began to shine. Nobody knew where he came from, and nobody asked. "
)
LIMITS = DecodingLimits(3600, 1 << 31)


def run() -> None:
    """Measure a recording of 300 s, 48 kHz, stereo, as MP3."""
    print_title(f"Analysis of {DURATION_S} s, {SAMPLE_RATE // 1000} kHz, stereo")
    recording = make_recording()
    data = encode_file([recording], OutputSpec(OutputFormat.MP3, 192)).in_memory().data
    for label, part in parts_of(data, recording).items():
        print_row(label, times_real_time(part))
    print_row(
        "all of it, from the MP3 to the pictures",
        times_real_time(partial(analyze_file, data)),
        f">= {TARGET} x",
    )
    print_row(
        "pyloudnorm, scipy spectrogram and resample_poly",
        times_real_time(partial(analyze_plainly, recording)),
    )
    print_row(
        "the same parts here: loudness, spectrum, true peak",
        times_real_time(partial(analyze_same_parts, recording)),
    )
    print_row(
        "enhancement: high-pass, clicks, noise, loudness",
        times_real_time(partial(enhance, recording, EnhanceOptions()), rounds=1),
    )


def make_recording() -> Waveform:
    """Speech with pauses and a little noise."""
    engine = load_engine("espeak")
    profile = engine.builtin_profile("en-us", "en-us")
    spoken = engine.synthesize(TEXT, profile, SynthesisSettings())
    blocks = [block.waveform.samples for block in spoken]
    said = resample(Waveform(np.concatenate(blocks), engine.info.sample_rate), SAMPLE_RATE)
    once = np.concatenate([said.samples, np.zeros(SAMPLE_RATE, np.float32)])
    mono = np.tile(once, -(-DURATION_S * SAMPLE_RATE // len(once)))[: DURATION_S * SAMPLE_RATE]
    noise = 0.002 * np.random.default_rng(0).standard_normal((2, len(mono)))
    return Waveform((mono + noise).astype(np.float32), SAMPLE_RATE)


def parts_of(data: bytes, recording: Waveform) -> dict[str, Callable[[], object]]:
    """Each part of the analysis on its own."""
    mono = recording.to_mono()
    activity = find_speech(mono)
    survey = survey_spectrum(mono, activity, WIDTH)
    if survey is None:
        raise RuntimeError("the recording is too short")

    def draw() -> None:
        outline = draw_outline(mono, WIDTH)
        outline_png(outline, HEIGHT)
        outline_svg(outline, HEIGHT)
        draw_spectrogram(survey, WIDTH, HEIGHT)
        peaks_json(recording, 20)

    return {
        "decoding the MP3": lambda: decode_recording(data, LIMITS),
        "speech activity (Silero)": lambda: find_speech(mono),
        "spectrum": lambda: survey_spectrum(mono, activity, WIDTH),
        "loudness and its range": lambda: meter(recording),
        "true peak": lambda: true_peak(recording.samples),
        "clipping": lambda: clipping_share(recording.samples),
        "reverberation": lambda: estimate_rt60(mono),
        "speakers": lambda: count_speakers(mono, activity),
        "pictures and peaks": draw,
    }


def analyze_file(data: bytes) -> None:
    """What a job of the audio service does with a file."""
    waveform = decode_recording(data, LIMITS).waveform
    measured = analyze_in_depth(waveform, WIDTH)
    outline = draw_outline(waveform.to_mono(), WIDTH)
    outline_png(outline, HEIGHT)
    outline_svg(outline, HEIGHT)
    if measured.survey is not None:
        draw_spectrogram(measured.survey, WIDTH, HEIGHT)
    peaks_json(waveform, 20)


def meter(recording: Waveform) -> None:
    loudness = LoudnessMeter(recording.sample_rate, recording.channels)
    loudness.add(recording)
    loudness.loudness_lufs()
    loudness.loudness_range_lu()


def analyze_plainly(recording: Waveform) -> None:
    """The counterpart."""
    pyloudnorm.Meter(recording.sample_rate).integrated_loudness(recording.samples.T)
    spectrogram(recording.to_mono().samples, recording.sample_rate, nperseg=2048, noverlap=0)
    np.abs(resample_poly(recording.samples, 4, 1, axis=-1)).max()


def analyze_same_parts(recording: Waveform) -> None:
    """Our side of the counterpart."""
    meter(recording)
    mono = recording.to_mono()
    survey_spectrum(mono, find_speech(mono), WIDTH)
    true_peak(recording.samples)


def times_real_time(part: Callable[[], object], rounds: int = ROUNDS) -> str:
    """The best of a few rounds after one to warm up."""
    best = float("inf")
    for _ in range(rounds + 1):
        started = time.perf_counter()
        part()
        best = min(best, time.perf_counter() - started)
    return f"{DURATION_S / best:.0f} x"


if __name__ == "__main__":
    print_machine()
    run()
