"""From a text and its markup to the pieces that engines speak: the one way in.

Markup is read first, then the text is cut, then every piece is put into words as they are read
aloud. What was said where in the source stays known through all of it. Nothing here reads files
or databases; the same text and options give the same pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from mynah.contracts.speech import Markup, Pacing, PhonemeSpan, WordSpan
from mynah.errors import InvalidRequest, TextTooLong
from mynah.text.boundaries import Boundary
from mynah.text.brackets import UnknownTags, read_brackets
from mynah.text.cutting import Cut, PieceSizes, Stretch, cut_stretches
from mynah.text.marked_text import MarkedText, MarkedTextBuilder, Style
from mynah.text.pauses import MAX_PAUSE_MS, pause_ms
from mynah.text.piece_text import PieceText, speak_piece
from mynah.text.pronunciation import PronunciationRule, RuleBook, load_rule_book
from mynah.text.ssml import read_ssml

MAX_PAUSES_MS: Final = 3_600_000  # of all that a text asks for: silence costs no characters
MAX_ADDED_CHARACTERS: Final = 100_000


@dataclass(frozen=True, slots=True)
class VoiceContext:
    """What planning needs to know of a voice.

    ``language``: the BCP-47 tag in which it reads this text. ``max_characters``: of one call of
    its engine.
    """

    language: str
    max_characters: int


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How to read a text.

    ``voice_context``: by the name that a tag gives a voice, None for the job's voice; a
    MynahError that it raises passes through. ``rules``: in the order of their dictionaries, of
    two for the same writing the first counts. ``pause_scale`` 0–5; explicit pauses stay as they
    are.
    """

    voice_context: Callable[[str | None], VoiceContext]
    markup: Markup = Markup.PLAIN
    unknown_tags: UnknownTags = "error"
    rules: tuple[PronunciationRule, ...] = ()
    pacing: Pacing = Pacing.NORMAL
    pause_scale: float = 1.0
    max_added_characters: int = MAX_ADDED_CHARACTERS
    sizes: PieceSizes = field(default_factory=PieceSizes)


@dataclass(frozen=True, slots=True)
class PlannedPiece:
    """Text for one engine call and how to speak it.

    ``source_start``, ``source_end``: what it stands for in the source. ``rate`` and ``volume``
    are factors. ``voice``: as the markup names it, None for the job's. ``chapter``: the heading
    that this piece begins. A piece longer than its engine's limit was cut in its spoken form, so
    that two may stand for the same few characters of the source. ``written_characters`` of its
    words without markup, a space after each; ``added_characters``: how much more rules and markup
    have read. Of such pieces the first has them all.
    """

    text: str
    source_start: int
    source_end: int
    words: tuple[WordSpan, ...]
    pause_after_ms: int
    voice: str | None
    language: str
    rate: float
    pitch_semitones: float
    volume: float
    phonemes: tuple[PhonemeSpan, ...]
    chapter: str | None
    written_characters: int
    added_characters: int


def plan_speech(source: str, options: PlanOptions) -> list[PlannedPiece]:
    """The pieces of ``source``, in order; the last has no pause.

    Raises InvalidRequest (``invalid_markup``, ``word_too_long``, ``nothing_to_speak``),
    TextTooLong when rules and markup make it too long, and what ``voice_context`` raises.
    """
    builder = MarkedTextBuilder()
    _read_markup(builder, source, (0, len(source)), options)
    return _Plan(builder.build(), options).pieces()


def plan_script(lines: Sequence[tuple[str, str]], options: PlanOptions) -> list[PlannedPiece]:
    """The pieces of a script of ``(voice name, text)``. Raises as ``plan_speech``.

    Offsets point into the texts joined by line feeds. Markup must be closed within its line.
    """
    source = "\n".join(text for _, text in lines)
    builder = MarkedTextBuilder()
    start = 0
    for voice, text in lines:
        builder.set_style(Style(voice=voice))
        _read_markup(builder, source, (start, start + len(text)), options)
        start += len(text)
        builder.end_stretch(Boundary.PARAGRAPH)
        builder.add_text(source, start, min(start + 1, len(source)))
        start += 1
    return _Plan(builder.build(), options).pieces()


def _read_markup(
    builder: MarkedTextBuilder, source: str, span: tuple[int, int], options: PlanOptions
) -> None:
    if options.markup is Markup.BRACKETS:
        read_brackets(builder, source, *span, options.unknown_tags)
    elif options.markup is Markup.SSML:
        read_ssml(builder, source, *span, options.unknown_tags)
    else:
        builder.add_text(source, *span)


@dataclass(slots=True)
class _Draft:
    """A piece before its pause is known."""

    cut: Cut
    text: PieceText
    boundary: Boundary


class _Plan:
    """The plan of one text."""

    def __init__(self, marked: MarkedText, options: PlanOptions) -> None:
        self._marked = marked
        self._options = options
        self._rule_book: RuleBook = load_rule_book(options.rules)
        self._contexts: dict[str | None, VoiceContext] = {}

    def pieces(self) -> list[PlannedPiece]:
        drafts = self._draft_pieces()
        if not drafts:
            message = "The text holds nothing that can be spoken."
            raise InvalidRequest(
                message, code="nothing_to_speak", fields={"text": ["Nothing in it can be spoken."]}
            )
        pauses = self._pauses(drafts)
        chapters = [draft.cut.heading for draft in drafts]
        for index, (draft, following) in enumerate(pairwise(drafts), 1):
            if draft.cut is following.cut:
                chapters[index] = None  # a heading that was cut begins once
        return [self._finish(*parts) for parts in zip(drafts, pauses, chapters, strict=True)]

    def _draft_pieces(self) -> list[_Draft]:
        drafts: list[_Draft] = []
        left = self._options.max_added_characters
        for cut in self._cuts():
            style = self._marked.stretches[cut.stretch].style
            limit = self._context(style).max_characters
            parts = speak_piece(self._marked, cut, self._language(style), self._rule_book, limit)
            left -= sum(part.added_characters for part in parts)
            if left < 0:
                raise _grown_too_long(self._options.max_added_characters)
            drafts += [_Draft(cut, part, part.boundary) for part in parts]
            if not parts and drafts:  # a picture between two sentences ends the first one
                drafts[-1].boundary = max(drafts[-1].boundary, cut.boundary)
        return drafts

    def _cuts(self) -> list[Cut]:
        marked = self._marked
        stretches = [
            Stretch(one.start, one.end, self._context(one.style).max_characters, one.boundary)
            for one in marked.stretches
        ]
        atoms = [(override.start, override.end) for override in marked.overrides]
        language = self._language(marked.stretches[0].style)
        return cut_stretches(marked.text, stretches, self._options.sizes, language, atoms)

    def _context(self, style: Style) -> VoiceContext:
        if style.voice not in self._contexts:
            self._contexts[style.voice] = self._options.voice_context(style.voice)
        return self._contexts[style.voice]

    def _language(self, style: Style) -> str:
        return style.language or self._context(style).language

    def _pauses(self, drafts: list[_Draft]) -> list[int]:
        """The pause after each piece; what lies between two in the text decides."""
        asked_ms = sum(one.pause_ms or 0 for one in self._marked.stretches)
        if asked_ms > MAX_PAUSES_MS:
            message = f"All pauses together come to more than {MAX_PAUSES_MS // 60_000} minutes."
            raise InvalidRequest(message, code="invalid_markup", fields={"text": [message]})
        return [*(self._pause_between(*pair) for pair in pairwise(drafts)), 0]

    def _pause_between(self, draft: _Draft, following: _Draft) -> int:
        between = self._marked.stretches[draft.cut.stretch : following.cut.stretch]
        explicit = [one.pause_ms for one in between if one.pause_ms is not None]
        if explicit:
            return min(sum(explicit), MAX_PAUSE_MS)
        boundary = max([draft.boundary, *(one.boundary for one in between)])
        return pause_ms(boundary, self._options.pacing, self._options.pause_scale)

    def _finish(self, draft: _Draft, pause_after_ms: int, chapter: str | None) -> PlannedPiece:
        style = self._marked.stretches[draft.cut.stretch].style
        return PlannedPiece(
            text=draft.text.text,
            source_start=draft.text.source_start,
            source_end=draft.text.source_end,
            words=draft.text.words,
            pause_after_ms=pause_after_ms,
            voice=style.voice,
            language=self._language(style),
            rate=style.rate,
            pitch_semitones=style.pitch_semitones,
            volume=style.volume,
            phonemes=draft.text.phonemes,
            chapter=chapter,
            written_characters=draft.text.written_characters,
            added_characters=draft.text.added_characters,
        )


def _grown_too_long(limit: int) -> TextTooLong:
    return TextTooLong(
        "Pronunciation rules and markup make what is to be read more than "
        f"{limit} characters longer than the text; use shorter ones."
    )
