"""Fifteen minutes of spoken segments to one checked MP3: speed, memory, and pydub beside it.

Needs no stack. The counterpart runs where pydub and an ffmpeg are (``pip install
imageio-ffmpeg``). Run::

    python -m bench.assembly
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from bench.encode_mp3 import find_ffmpeg, make_speech_like
from bench.report import print_machine, print_row, print_title
from mynah.audio.flac import decode_flac, encode_flac
from mynah.audio.formats import OutputSpec
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from services.audio_proc.assembly import OutputSettings, assemble_speech

SAMPLE_RATE = 24_000
SEGMENT_S = 15.0
PAUSE_MS = 350
MINUTES = 15
REPEATS = 3
MEMORY_MINUTES = (5, 15, 45)


class Story:
    """Segments as they lie in the store: FLAC, decoded as they are gone through."""

    def __init__(self, minutes: float) -> None:
        self._count = round(minutes * 60 / SEGMENT_S)

    def __iter__(self) -> Iterator[tuple[Waveform, int]]:
        kinds = segments()
        for place in range(self._count):
            yield decode_flac(kinds[place % len(kinds)]), PAUSE_MS


@lru_cache(maxsize=1)
def segments() -> list[bytes]:
    """Some segments of different loudness, with silence around them as engines leave it."""
    silence = np.zeros(SAMPLE_RATE // 4, np.float32)
    speech = make_speech_like(SEGMENT_S - 0.5)
    levels = (1.0, 0.5, 0.8, 0.3)
    padded = [np.concatenate([silence, speech * np.float32(level), silence]) for level in levels]
    return [encode_flac(Waveform(samples, SAMPLE_RATE)) for samples in padded]


def run() -> None:
    """Print every row."""
    print_title(f"Assembly of {MINUTES} minutes, {SEGMENT_S:g} s segments, FLAC to checked file")
    segments()
    for fmt in (OutputFormat.MP3, OutputFormat.OPUS, OutputFormat.M4B, OutputFormat.FLAC):
        target = "one core >= 100 x" if fmt is OutputFormat.MP3 else ""
        print_row(f"{fmt}: one core / all", f"{_speeds(fmt)} x real time", target)
    if find_ffmpeg() is not None:
        ours_s = best_of(lambda: assemble(MINUTES, OutputFormat.MP3))
        ratio = best_of(lambda: assemble_with_pydub(MINUTES)) / ours_s
        print_row("mp3: against pydub and ffmpeg", f"{ratio:.1f} x as fast")
    growth = " / ".join(f"{memory_growth(minutes):.0f}" for minutes in MEMORY_MINUTES)
    minutes = " / ".join(map(str, MEMORY_MINUTES))
    print_row(f"mp3: memory on top, {minutes} minutes", f"{growth} MiB", "does not grow")


def _speeds(fmt: OutputFormat) -> str:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        one_s = best_of(lambda: assemble(MINUTES, fmt))
    finally:
        os.sched_setaffinity(0, cores)
    all_s = best_of(lambda: assemble(MINUTES, fmt))
    return f"{MINUTES * 60 / one_s:.0f} / {MINUTES * 60 / all_s:.0f}"


def best_of(step: Callable[[], float]) -> float:
    """The shortest of some times: what else the machine does only adds."""
    return min(step() for _ in range(REPEATS))


def assemble(minutes: float, fmt: OutputFormat) -> float:
    """Seconds from the first segment's FLAC to the checked file."""
    started = time.perf_counter()
    with assemble_speech(Story(minutes), OutputSettings(OutputSpec(fmt))) as speech:
        took = time.perf_counter() - started
        if abs(speech.audio.duration_s / (minutes * 60) - 1) > 0.05:
            sys.exit("the story has another length")
    return took


def assemble_with_pydub(minutes: float) -> float:
    """The same with what one would write: segments added up, normalised and exported."""
    from pydub import AudioSegment  # noqa: PLC0415 - optional
    from pydub.effects import normalize  # noqa: PLC0415

    AudioSegment.converter = find_ffmpeg()
    started = time.perf_counter()
    pause = AudioSegment.silent(PAUSE_MS, SAMPLE_RATE)
    story = AudioSegment.empty()
    for place in range(round(minutes * 60 / SEGMENT_S)):
        kinds = segments()
        pcm, rate = soundfile.read(io.BytesIO(kinds[place % len(kinds)]), dtype="int16")
        spoken = AudioSegment(pcm.tobytes(), sample_width=2, frame_rate=rate, channels=1)
        story += normalize(spoken) + pause
    story.export(io.BytesIO(), format="mp3", bitrate="96k")
    return time.perf_counter() - started


def memory_growth(minutes: float) -> float:
    """MiB that a process of its own grows by while it assembles, after a first short story."""
    code = f"from bench.assembly import report_growth; report_growth({minutes})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return float(result.stdout)


def report_growth(minutes: float) -> None:
    assemble(1, OutputFormat.MP3)
    before = peak_memory()
    assemble(minutes, OutputFormat.MP3)
    print(peak_memory() - before)


def peak_memory() -> float:
    """MiB. Not from getrusage: there a child begins with its parent's peak."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    print_machine()
    run()
