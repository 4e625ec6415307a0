"""Titles and chapters in files: ID3 for MP3, Vorbis comments for OGG, Opus and FLAC."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any, BinaryIO

import mutagen.flac
import mutagen.id3
import mutagen.oggopus
import mutagen.oggvorbis

from mynah.contracts.speech import OutputFormat

# mutagen has no types; through Any the strict checker lets its calls pass.
_id3: Any = mutagen.id3
_COMMENTED: dict[str, Any] = {
    OutputFormat.OGG: mutagen.oggvorbis.OggVorbis,
    OutputFormat.OPUS: mutagen.oggopus.OggOpus,
    OutputFormat.FLAC: mutagen.flac.FLAC,
}

_MAX_CHARACTERS = 1000
# ISO 639-1 -> 639-2, which ID3 wants, for the languages that speech engines have.
_ISO_639_2 = {
    "af": "afr", "am": "amh", "ar": "ara", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces",
    "cy": "cym", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "es": "spa", "et": "est",
    "eu": "eus", "fa": "fas", "fi": "fin", "fr": "fra", "ga": "gle", "gl": "glg", "gu": "guj",
    "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "hy": "hye", "id": "ind", "is": "isl",
    "it": "ita", "ja": "jpn", "ka": "kat", "kk": "kaz", "kn": "kan", "ko": "kor", "lt": "lit",
    "lv": "lav", "mk": "mkd", "ml": "mal", "mr": "mar", "ms": "msa", "nb": "nob", "ne": "nep",
    "nl": "nld", "no": "nor", "pa": "pan", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "sk": "slk", "sl": "slv", "sq": "sqi", "sr": "srp", "sv": "swe", "sw": "swa", "ta": "tam",
    "te": "tel", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "zho",
}  # fmt: skip
_UNDETERMINED = "und"
_UTF_16 = 1  # the widest encoding of ID3v2.3
_ID3_PADDING_BYTES = 0
_ID3_HEADER_BYTES = 10
_NO_OFFSET = 0xFFFFFFFF  # the times count, not byte positions
_MAX_CTOC_ENTRIES = 255


@dataclass(frozen=True, slots=True)
class SpeechTags:
    """What a file says about itself. Any Unicode text; control characters are dropped.

    ``artist`` is the voice; ``language`` a BCP-47 tag ("en", "pt-br").
    """

    title: str = ""
    artist: str = ""
    album: str = ""
    language: str = ""
    comment: str = ""

    def cleaned(self) -> dict[str, str]:
        """The fields that say something, in printable form."""
        texts = {field.name: _printable(getattr(self, field.name)) for field in fields(self)}
        return {name: text for name, text in texts.items() if text}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a story that a player can jump to; it lasts until the next one begins."""

    start_s: float
    title: str


def spans_of_chapters(
    chapters: Sequence[Chapter], duration_s: float
) -> Iterator[tuple[int, int, str]]:
    """Start and end in ms, and the title in printable form."""
    for chapter, following in zip_longest(chapters, chapters[1:]):
        end_s = duration_s if following is None else following.start_s
        yield round(chapter.start_s * 1000), round(end_s * 1000), _printable(chapter.title)


def build_id3(tags: SpeechTags, chapters: Sequence[Chapter] = (), duration_s: float = 0.0) -> bytes:
    """An ID3v2.3 tag to put before the first frame; empty when there is nothing to say.

    Chapters are CHAP frames in the order of a CTOC frame, as the addendum "ID3v2 Chapter Frame"
    1.0 has them.
    """
    texts = tags.cleaned()
    language = _ISO_639_2.get(texts.get("language", "").lower().split("-")[0], _UNDETERMINED)
    frames = [
        frame(encoding=_UTF_16, text=[texts[name]])
        for name, frame in (("title", _id3.TIT2), ("artist", _id3.TPE1), ("album", _id3.TALB))
        if name in texts
    ]
    if language != _UNDETERMINED:
        frames.append(_id3.TLAN(encoding=_UTF_16, text=[language]))
    if "comment" in texts:
        comment = [texts["comment"]]
        frames.append(_id3.COMM(encoding=_UTF_16, lang=language, desc="", text=comment))
    frames += _chapter_frames(chapters, duration_s)
    if not frames:
        return b""
    # One by one: mutagen orders frames by size, and not all players put chapters in order.
    body = b"".join(_frame_bytes(frame) for frame in frames)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + body


def _chapter_frames(chapters: Sequence[Chapter], duration_s: float) -> list[Any]:
    frames = [
        _id3.CHAP(
            element_id=f"chp{number}",
            start_time=start,
            end_time=end,
            start_offset=_NO_OFFSET,
            end_offset=_NO_OFFSET,
            sub_frames=[_id3.TIT2(encoding=_UTF_16, text=[title])],
        )
        for number, (start, end, title) in enumerate(spans_of_chapters(chapters, duration_s))
    ]
    if not frames:
        return []
    flags = _id3.CTOCFlags.TOP_LEVEL | _id3.CTOCFlags.ORDERED
    # A table of contents counts its entries in one byte.
    children = [frame.element_id for frame in frames[:_MAX_CTOC_ENTRIES]]
    contents = _id3.CTOC(element_id="toc", flags=flags, child_element_ids=children, sub_frames=[])
    return [contents, *frames]


def _frame_bytes(frame: Any) -> bytes:
    tag, output = _id3.ID3(), io.BytesIO()
    tag.add(frame)
    tag.save(output, v1=0, v2_version=3, padding=lambda _: _ID3_PADDING_BYTES)
    return output.getvalue()[_ID3_HEADER_BYTES:]


def write_comments(
    file: BinaryIO, fmt: OutputFormat, tags: SpeechTags, chapters: Sequence[Chapter]
) -> None:
    """Put Vorbis comments for the tags and chapters into a finished OGG, Opus or FLAC file.

    Chapters are ``CHAPTER001=00:00:00.000`` and ``CHAPTER001NAME=…``, as Xiph's "Chapter
    Extension" proposes and ffmpeg, mpv and VLC read.
    """
    texts = tags.cleaned()
    if not texts and not chapters:
        return
    file.seek(0)
    comments = _COMMENTED[fmt](file)
    for name, text in texts.items():
        comments[name] = [text]
    for number, (start, _, title) in enumerate(spans_of_chapters(chapters, 0.0), 1):
        seconds, ms = divmod(start, 1000)
        at = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
        comments[f"chapter{number:03d}"] = [at]
        comments[f"chapter{number:03d}name"] = [title]
    file.seek(0)
    comments.save(file)


def _printable(text: str) -> str:
    """``text`` on one line without control characters or half surrogates, of bounded length."""
    kept = "".join(
        " " if character in "\t\n\r" else character
        for character in text
        if character in "\t\n\r" or unicodedata.category(character) not in ("Cc", "Cs")
    )
    return " ".join(kept.split())[:_MAX_CHARACTERS]
