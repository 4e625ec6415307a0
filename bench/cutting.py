"""Cutting a book into pieces, against a bare ``re.split`` at sentence marks.

    python -m bench.cutting

The baseline knows no abbreviations, dialogue, headings or lengths: it is what one writes first,
and a measure of how much the rest costs. One core, text in memory.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable

from bench.report import print_machine, print_row, print_title
from mynah.text.cutting import PieceSizes, cut_text

TARGET_MB_PER_S = 5.0
MAX_PIECE_CHARACTERS = 600
REPEATS = 5
SIZE_BYTES = 5_000_000

CHAPTER = (
    "Chapter {number}\n\n"
    "It was on the 3rd of May, about 5 p.m., that Mr. Brown and Dr. A. B. Clark came to the old "
    "mill. Nobody had lived there since 1899; the roof, or what was left of it, had fallen in. "
    '"Is this the place?" asked the doctor. "I am not sure," said Mr. Brown, "but I think so." He '
    "looked about him, e.g. behind the door, under the stairs, and in the great chimney… Nothing "
    "moved. Then — quite suddenly — a bird flew up.\n\n"
    "They waited. The sun went down behind the hills, the wind grew cold, and one by one the "
    "stars came out over the water, which lay as still as glass and as dark as the sky itself.\n\n"
    '"Look!" whispered Mr. Brown.\n\n'
    '"Where?"\n\n'
    "But it was gone. What had they seen? Perhaps 3.5 metres of moonlight; perhaps no more than "
    "a dream. They went home, and in the morning neither of them wished to speak of it.\n\n"
)
BARE = re.compile(r"(?<=[.!?])\s+")


def run() -> None:
    """Time both on the same book and print."""
    print_title("Cutting a book")
    chapters = SIZE_BYTES // len(CHAPTER.encode())
    text = "".join(CHAPTER.format(number=number) for number in range(1, chapters + 1))
    size_mb = len(text.encode()) / 1e6
    ours_s = _best_s(lambda: cut_text(text, PieceSizes(), MAX_PIECE_CHARACTERS))
    bare_s = _best_s(lambda: BARE.split(text))
    print_row("the book", f"{size_mb:.1f} MB")
    print_row("cut_text", f"{size_mb / ours_s:.1f} MB/s", f">= {TARGET_MB_PER_S:g} MB/s")
    print_row("bare re.split at .!?", f"{size_mb / bare_s:.1f} MB/s")
    print_row("cut_text against bare re.split", f"{bare_s / ours_s:.2f} x")


def _best_s(step: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> int:
    """Run it alone."""
    print_machine()
    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
