"""From a model's tensor to MP3: our path in process against pydub's, on the same audio.

Needs pydub, and an ``ffmpeg`` for it on PATH or ``pip install imageio-ffmpeg``. Run::

    python bench/encode_mp3.py [--repeats 7]

Prints the machine, the median time of both and their ratio for a clip of 60 s and one of 1 s,
24 kHz mono at 96 kbit/s. Both measure everything from float32 samples to the bytes of an MP3.
Exits with 1 when a ratio is below its target or when our path opened any file for writing.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mynah.audio.conversions import tensor_to_mp3_bytes

SAMPLE_RATE = 24_000
BITRATE_KBPS = 96
TARGET_RATIOS = {60.0: 3.0, 1.0: 20.0}  # clip length in s -> how many times faster

Samples = npt.NDArray[np.float32]


def main() -> int:
    parser = argparse.ArgumentParser(description="Tensor to MP3 against pydub.")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    pydub_path = make_pydub_path()
    print(f"machine: {describe_machine()}")
    has_passed = True
    for duration_s, target in TARGET_RATIOS.items():
        samples = make_speech_like(duration_s)
        repeats = arguments.repeats if duration_s > 10 else 3 * arguments.repeats
        ours_s, theirs_s = time_in_turns(
            lambda audio=samples: tensor_to_mp3_bytes(audio, SAMPLE_RATE, BITRATE_KBPS),
            lambda audio=samples: pydub_path(audio),
            repeats,
        )
        ratio = theirs_s / ours_s
        has_passed &= ratio >= target
        print(
            f"{duration_s:4.0f} s clip: ours {ours_s * 1000:7.1f} ms "
            f"({duration_s / ours_s:.0f} x real time), pydub {theirs_s * 1000:7.1f} ms, "
            f"ratio {ratio:.1f} (target {target:g}), median of {repeats}"
        )
    written = files_written_by(
        lambda: tensor_to_mp3_bytes(make_speech_like(1.0), SAMPLE_RATE, BITRATE_KBPS)
    )
    print(f"files written by ours: {len(written)}")
    return 0 if has_passed and not written else 1


def make_speech_like(duration_s: float) -> Samples:
    """Harmonics with the rhythm of syllables over a little noise."""
    time_s = np.arange(int(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * 140 * time_s + 3 * np.sin(2 * np.pi * 0.7 * time_s)
    voiced = sum(np.sin(k * phase) / k for k in range(1, 30))
    rhythm = np.sin(np.pi * ((4 * time_s) % 1)) * ((time_s % 2.2) < 1.7)
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(time_s))
    return (0.2 * voiced * rhythm + noise).clip(-1, 1).astype(np.float32)


def make_pydub_path() -> Callable[[Samples], bytes]:
    """What one writes with pydub: an AudioSegment, exported through ffmpeg."""
    ffmpeg = find_ffmpeg()
    if ffmpeg is None:
        sys.exit("No ffmpeg on PATH: install it, or pip install imageio-ffmpeg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydub's own making
        from pydub import AudioSegment  # noqa: PLC0415
    AudioSegment.converter = ffmpeg
    print(f"counterpart: pydub with {ffmpeg}")

    def convert(samples: Samples) -> bytes:
        pcm = (samples * 32767).astype(np.int16).tobytes()
        segment = AudioSegment(pcm, sample_width=2, frame_rate=SAMPLE_RATE, channels=1)
        output = io.BytesIO()
        segment.export(output, format="mp3", bitrate=f"{BITRATE_KBPS}k")
        return output.getvalue()

    return convert


def find_ffmpeg() -> str | None:
    """An ffmpeg for pydub: that on PATH, or the wheel's."""
    try:
        import imageio_ffmpeg as wheel  # noqa: PLC0415
    except ImportError:
        return shutil.which("ffmpeg")
    return shutil.which("ffmpeg") or str(wheel.get_ffmpeg_exe())


def time_in_turns(
    ours: Callable[[], bytes], theirs: Callable[[], bytes], repeats: int
) -> tuple[float, float]:
    """Median seconds of both; they take turns, so that a busy machine is busy for both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        for step, kept in zip((ours, theirs), times, strict=True):
            started = time.perf_counter()
            if len(step()) < 1000:
                sys.exit("an encoder gave no MP3")
            kept.append(time.perf_counter() - started)
    # The first turn warms up.
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def files_written_by(step: Callable[[], object]) -> list[str]:
    """Paths that ``step`` opens for writing through Python."""
    written: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(str(arguments[0]))

    sys.addaudithook(watch)  # stays for the rest of the process, which ends here
    step()
    return written


def describe_machine() -> str:
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            cpu = next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        pass
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
