"""What eSpeak NG is given to read: plain text without what it would take for commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mynah.contracts.speech import PhonemeSpan
from mynah.engines.plain_text import is_unspeakable, nothing_to_speak
from mynah.errors import InvalidRequest, TextTooLong


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text for eSpeak; ``origins`` says for each character which of the given text it is."""

    text: str
    origins: tuple[int, ...]
    reads_phonemes: bool = False

    def origin(self, position: int) -> int:
        """The given text's character behind a position that eSpeak reports."""
        if position < len(self.origins):
            return self.origins[max(0, position)]
        return self.origins[-1] + 1


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """Characters ``start`` to ``end`` of a text, read as phoneme ``mnemonics``."""

    start: int
    end: int
    mnemonics: str


def prepare_text(
    text: str, max_characters: int, pronunciations: Sequence[Pronunciation] = ()
) -> SpokenText:
    """``text`` without control characters and lone surrogates, mnemonics put in.

    eSpeak NG takes NUL for the end and control-A for a command, and a lone surrogate has no
    UTF-8. Raises InvalidRequest (``nothing_to_speak``) when nothing is left, TextTooLong.
    """
    start, end = _bounds(text)
    if end - start > max_characters:
        raise TextTooLong(
            f"The text has {end - start} characters; at most {max_characters} go into one piece."
        )
    characters: list[str] = []
    origins: list[int] = []

    def put(string: str, origin: int) -> None:
        characters.extend(string)
        origins.extend([origin] * len(string))

    position = start
    for given in (*pronunciations, Pronunciation(end, end, "")):
        for index in range(position, max(position, min(given.start, end))):
            put(_speakable(text, index, is_protected=bool(pronunciations)), index)
        if given.mnemonics:
            # Spaces keep brackets of the text apart from these.
            put(f" [[{given.mnemonics}]] ", given.start)
        position = max(position, given.end)
    return SpokenText("".join(characters), tuple(origins), bool(pronunciations))


def check_spans(spans: Sequence[PhonemeSpan], text: str) -> None:
    """Raise InvalidRequest (``invalid_phonemes``) unless the spans lie in order in the text."""
    position = 0
    for span in spans:
        if not position <= span.start < span.end <= len(text):
            raise InvalidRequest(
                "The phonemes do not lie in order in the text.", code="invalid_phonemes"
            )
        position = span.end


def _bounds(text: str) -> tuple[int, int]:
    """Where the text begins and ends without white space and control characters around it."""
    visible = [index for index in range(len(text)) if not _speakable(text, index).isspace()]
    if not visible:
        raise nothing_to_speak()
    return visible[0], visible[-1] + 1


def _speakable(text: str, index: int, *, is_protected: bool = False) -> str:
    """A character as eSpeak may have it; protected: ``[[`` does not begin phonemes."""
    character = text[index]
    if is_unspeakable(character):
        return " "
    is_doubled = character == "[" and index > 0 and text[index - 1] == "["
    return " " if is_protected and is_doubled else character
