"""From IPA to eSpeak's phoneme mnemonics, as a language has them.

The inventory is eSpeak's own: its phoneme table lists the mnemonics of all languages, and the
library says what each of them is in IPA when a voice pronounces it. What a language lacks is
replaced by the nearest sound it has, within narrow limits; else it is refused by name.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import espeakng_loader

from mynah.engines.espeak import library
from mynah.errors import InvalidRequest

MAX_WORD_PHONEMES = 60  # the library's buffers hold 160 bytes of a word and 200 phonemes

# phontab: a count of tables, then per table a head and records (phoneme.h, PHONEME_TAB).
_TABLE_HEAD = struct.Struct("<BBxx32s")
_RECORD = struct.Struct("<4s7xB4x")
_VOWEL, _LAST_SPOKEN_TYPE = 2, 8  # phVOWEL … phNASAL; below are pauses and stress

# What stands for one of these when it is not in the language itself, best first.
_NEAREST: Mapping[str, tuple[str, ...]] = {
    "g": ("ɡ",),
    "ʧ": ("tʃ",),
    "ʤ": ("dʒ",),
    "ʦ": ("ts",),
    "ʣ": ("dz",),
    "r": ("ɹ", "ɾ", "ʁ"),
    "ɹ": ("r", "ɾ", "ʁ"),
    "ɾ": ("r", "ɹ", "ʁ"),
    "ʁ": ("ʀ", "r", "ɹ"),
    "ʀ": ("ʁ", "r", "ɹ"),
    "ɫ": ("l",),
    "ɦ": ("h",),
    "ʋ": ("v",),
    "ɝ": ("ɜː", "ɚ", "ə"),
    "ɚ": ("ə",),
    "ɜ": ("ɜː", "ə"),
    "ə": ("ɐ", "ʌ", "e"),
    "ɐ": ("ə", "a"),
    "ʌ": ("ɐ", "a"),
    "a": ("aː", "ɑ", "æ", "ɐ"),
    "ɑ": ("ɑː", "a"),
    "æ": ("a", "ɛ"),
    "ɒ": ("ɔ", "ɑː"),
    "e": ("eː", "ɛ"),
    "ɛ": ("ɛː", "e"),
    "i": ("iː", "ɪ"),
    "ɪ": ("i",),
    "ɨ": ("ɪ", "i"),
    "o": ("oː", "ɔ"),
    "ɔ": ("ɔː", "o"),
    "u": ("uː", "ʊ"),
    "ʊ": ("u",),
    "ʉ": ("uː", "u"),
    "y": ("yː", "ʏ"),
    "ʏ": ("y",),
    "ø": ("øː", "œ"),
    "œ": ("œː", "ø"),
}
_MARKS: Mapping[str, str] = {"ˈ": "'", "'": "'", "ˌ": ",", "ː": ":", ":": ":"}
# Their transcriptions write "r" for whatever their r is; eSpeak would roll it.
_BROAD_R = ("gmw/en", "gmw/de", "gmq/da", "roa/fr")
# Syllable breaks, ties, and what a narrow transcription adds without naming another sound.
_SILENT = frozenset(".‿|͜͡ˑ̯̥̪̞̟̠̝̚ʰˠˤ/[]")


def to_mnemonics(ipa: str, voice: str) -> str:
    """``ipa`` as eSpeak's mnemonics for a voice file; words are separated by spaces.

    Raises InvalidRequest (``unsupported_phoneme``) that names the first sound which the
    language lacks, and for an empty or over-long word.
    """
    words = unicodedata.normalize("NFD", ipa).split()
    if not words:
        raise _refused("The phonemes are empty.")
    known = _inventory(voice)
    return " ".join(_word_to_mnemonics(word, known) for word in words)


def _word_to_mnemonics(word: str, known: Mapping[str, str]) -> str:
    word = "".join(character for character in word if character not in _SILENT)
    found: list[str] = []
    position = 0
    while position < len(word):
        length, mnemonic = _longest(word, position, known)
        found.append(mnemonic)
        position += length
    count = sum(one not in _MARKS.values() for one in found)
    if not 1 <= count <= MAX_WORD_PHONEMES:
        raise _refused(f"A word has 1 to {MAX_WORD_PHONEMES} phonemes, not {count}.")
    return "|".join(found)


def _longest(word: str, position: int, known: Mapping[str, str]) -> tuple[int, str]:
    """The longest sound that begins here: how many characters it takes, and its mnemonic."""
    for end in range(min(len(word), position + 5), position, -1):
        sound = word[position:end]
        for candidate in (sound, *_NEAREST.get(sound, ())):
            if candidate in known:
                return end - position, known[candidate]
    character = word[position]
    if character in _MARKS:
        return 1, _MARKS[character]
    raise _refused(f"The language has no phoneme {character!r} (U+{ord(character):04X}).")


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="unsupported_phoneme", fields={"phonemes": [message]})


@lru_cache(maxsize=64)
def _inventory(voice: str) -> Mapping[str, str]:
    """IPA (NFD) to the shortest mnemonic of each sound that the voice pronounces.

    Sounds change at the end of a word (German devoices), so consonants are asked for before a
    vowel, and vowels before a consonant. Another language's mnemonic is read letter by letter,
    as several phonemes, and is no sound of this one.
    """
    mnemonics = _load_mnemonics()
    asked = [f"{name}|{'t' if is_vowel else '@'}" for name, is_vowel in mnemonics.items()]
    inventory: dict[str, str] = {}
    for name, heard in zip(mnemonics, library.to_ipa(voice, asked), strict=True):
        sound = unicodedata.normalize("NFD", heard[0].lstrip("ˈˌ"))
        if len(heard) == 2 and _is_sound(sound):
            inventory.setdefault(sound, name)
    if voice.startswith(_BROAD_R):
        inventory["r"] = "r"
    return inventory


def _is_sound(sound: str) -> bool:
    return bool(sound) and all(
        unicodedata.category(character) in ("Ll", "Lo", "Mn") or character == "ː"
        for character in sound
    )


@lru_cache(maxsize=1)
def _load_mnemonics() -> Mapping[str, bool]:
    """Every language's mnemonics of vowels and consonants, and which are vowels; shortest first."""
    data = Path(espeakng_loader.get_data_path(), "phontab").read_bytes()
    found: dict[str, bool] = {}
    position = 4
    for _ in range(data[0]):
        count, *_ = _TABLE_HEAD.unpack_from(data, position)
        position += _TABLE_HEAD.size
        for number in range(count):
            raw, kind = _RECORD.unpack_from(data, position + number * _RECORD.size)
            name = raw.rstrip(b"\0").decode("latin-1")
            if _VOWEL <= kind <= _LAST_SPOKEN_TYPE and name.isascii() and "|" not in name:
                found[name] = found.get(name, False) or kind == _VOWEL
        position += count * _RECORD.size
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))
