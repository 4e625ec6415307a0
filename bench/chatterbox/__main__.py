"""``make bench-chatterbox``: Chatterbox against its own library.

    python -W ignore -m bench.chatterbox [--quick] [--only C1,C3] [--threads 2] [--folder DIR]

Checkpoints of random weights at full size are written below ``--folder`` once (4.3 GB).
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from bench.chatterbox import sound, t3_speed
from bench.chatterbox.machine import describe
from bench.chatterbox.t3_speed import DifferentWorkError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer tokens: a few minutes")
    parser.add_argument("--only", default=",".join(t3_speed.FIGURES + sound.FIGURES))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("build/chatterbox-checkpoints"))
    chosen = parser.parse_args()
    bandwidth = describe(chosen.threads)
    setting = t3_speed.QUICK if chosen.quick else t3_speed.FULL
    try:
        only = set(chosen.only.split(","))
        sounds = sound.QUICK if chosen.quick else sound.FULL
        if only & set(t3_speed.FIGURES):
            token_ms = t3_speed.run(chosen.folder, setting, only, bandwidth)
            if token_ms:
                sounds = replace(sounds, t3_library_ms=token_ms[0], t3_own_ms=token_ms[1])
        if only & set(sound.FIGURES):
            sound.run(sounds, only)
    except DifferentWorkError as error:
        print(f"\nNot comparable: {error}", file=sys.stderr)
        return 1
    print(f"\nload at the end: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
