"""One piece of a text put into words, each of them still pointing into the source."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

from mynah.contracts.speech import PhonemeSpan, WordSpan
from mynah.text.boundaries import Boundary
from mynah.text.cutting import Cut, PieceSizes, cut_text
from mynah.text.marked_text import MarkedText, Override
from mynah.text.normalising.normalise import replace_written, speak_plain
from mynah.text.normalising.say_as import speak_as
from mynah.text.normalising.spoken import (
    AlignedWord,
    Replacement,
    Replacements,
    SpokenText,
    assemble,
    has_speech,
)
from mynah.text.pronunciation import RuleBook, RuleMatch


@dataclass(frozen=True, slots=True)
class PieceText:
    """A piece's words, where they are in the source, and what ends with them.

    ``written_characters`` of its words in the text without markup, with a space after each;
    ``added_characters``: how much more markup and rules have read than is written, letters or
    IPA. Of a cut in several parts the first has them all.
    """

    text: str
    source_start: int
    source_end: int
    words: tuple[WordSpan, ...]
    phonemes: tuple[PhonemeSpan, ...]
    boundary: Boundary
    written_characters: int = 0
    added_characters: int = 0


def speak_piece(
    marked: MarkedText, cut: Cut, language: str, rule_book: RuleBook, limit: int
) -> list[PieceText]:
    """What is read for a cut: nothing, one text, or several where one is longer than ``limit``.

    The markup's own words go before the rules', the rules' before the language's.
    """
    text = marked.text[cut.start : cut.end]
    replacements = Replacements(text)
    for override in _overrides_within(marked.overrides, cut):
        replacements.add(_apply_override(override, cut, text, language))
    for match in rule_book.iter_matches(text):
        replacements.add(_apply_rule(match, text, language))
    added = sum(map(_added_by, replacements.in_order()))
    replace_written(replacements, language)
    spoken = assemble(text, replacements.in_order())
    if not has_speech(spoken.text):
        return []
    if len(spoken.text) <= limit:
        parts = [Cut(0, len(spoken.text), cut.boundary)]
    else:
        parts = _cut_spoken(spoken, limit, language, cut.boundary)
    first, *others = (_build_part(marked, cut, spoken, part) for part in parts)
    counted = replace(first, written_characters=_written(spoken), added_characters=added)
    return [counted, *others]


def _written(spoken: SpokenText) -> int:
    words = {(word.text_start, word.text_end) for word in spoken.words}
    return sum(end - start + 1 for start, end in words)


def _added_by(replacement: Replacement) -> int:
    said = replacement.spoken if replacement.ipa is None else replacement.ipa
    return max(0, len(said) - (replacement.end - replacement.start))


def _overrides_within(overrides: list[Override], cut: Cut) -> list[Override]:
    index = bisect_left(overrides, cut.start, key=lambda override: override.end)
    found = []
    while index < len(overrides) and overrides[index].start < cut.end:
        if overrides[index].end > cut.start:
            found.append(overrides[index])
        index += 1
    return found


def _apply_override(override: Override, cut: Cut, text: str, language: str) -> Replacement:
    """The override within the piece; where a cut had to go through it, its first part speaks."""
    start, end = max(0, override.start - cut.start), min(len(text), override.end - cut.start)
    written = text[start:end]
    if override.kind == "say_as":
        spoken = speak_as(written, override.value, override.detail, language)
        return Replacement(start, end, spoken)
    if override.start < cut.start:
        return Replacement(start, end, "")
    if override.kind == "alias":
        return Replacement(start, end, speak_plain(override.value, language))
    return Replacement(start, end, " ".join(written.split()), override.value)


def _apply_rule(match: RuleMatch, text: str, language: str) -> Replacement:
    rule = match.rule
    if rule.kind == "alias":
        return Replacement(match.start, match.end, speak_plain(rule.spoken, language))
    return Replacement(match.start, match.end, text[match.start : match.end], rule.spoken)


def _cut_spoken(spoken: SpokenText, limit: int, language: str, boundary: Boundary) -> list[Cut]:
    """Even parts within ``limit`` of what grew too long; the last ends as the whole does."""
    count = -(-len(spoken.text) // limit)
    size = -(-len(spoken.text) // count)
    cuts = cut_text(spoken.text, PieceSizes(size, size, size), limit, language)
    parts = [
        Cut(part.start, part.end, min(part.boundary, Boundary.SENTENCE))
        for part in cuts
        if has_speech(spoken.text[part.start : part.end])
    ]
    parts[-1] = Cut(parts[-1].start, parts[-1].end, boundary)
    return parts


def _build_part(marked: MarkedText, cut: Cut, spoken: SpokenText, part: Cut) -> PieceText:
    """A part of the spoken text as a piece of its own."""
    words = [word for word in spoken.words if word.end > part.start and word.start < part.end]
    is_whole = part.start == 0 and part.end == len(spoken.text)
    first = 0 if is_whole else min(word.text_start for word in words)
    last = cut.end - cut.start if is_whole else max(word.text_end for word in words)
    source_start, source_end = marked.source_span(cut.start + first, cut.start + last)
    return PieceText(
        text=spoken.text[part.start : part.end],
        source_start=source_start,
        source_end=source_end,
        words=tuple(_build_word(marked, cut, word, part) for word in words),
        phonemes=tuple(
            PhonemeSpan(start=start - part.start, end=end - part.start, ipa=ipa)
            for start, end, ipa in spoken.phonemes
            if part.start <= start and end <= part.end
        ),
        boundary=part.boundary,
    )


def _build_word(marked: MarkedText, cut: Cut, word: AlignedWord, part: Cut) -> WordSpan:
    """A word in the part's text; one that a cut went through is clipped."""
    source_start, source_end = marked.source_span(
        cut.start + word.text_start, cut.start + word.text_end
    )
    return WordSpan(
        start=max(word.start, part.start) - part.start,
        end=min(word.end, part.end) - part.start,
        source_start=source_start,
        source_end=source_end,
    )
