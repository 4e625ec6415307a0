"""The names of the files in a batch's archive."""

from __future__ import annotations

import pytest

from services.audio_proc.batch_archive import LONGEST_NAME, entry_name


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("The tale", "0001-The tale.mp3"),
        ("../../etc/passwd", "0001-_.._etc_passwd.mp3"),
        ("..\\a\x00b\n\u202ec", "0001-_a_b__c.mp3"),
        ('a:b*c?"<>|', "0001-a_b_c_____.mp3"),
        ("Märchen 狐", "0001-Märchen 狐.mp3"),
        (" . ", "0001-.mp3"),
    ],
)
def test_a_name_is_safe_everywhere(name: str, entry: str) -> None:
    assert entry_name(0, name, "mp3") == entry


def test_the_same_title_gives_different_names() -> None:
    assert entry_name(0, "Same", "mp3") != entry_name(1, "Same", "mp3")
    assert entry_name(999, "Same", "wav") == "1000-Same.wav"


def test_a_long_title_is_cut() -> None:
    assert len(entry_name(0, "a" * 5000, "mp3")) == len("0001-.mp3") + LONGEST_NAME
