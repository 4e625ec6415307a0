"""Titles in files: ID3 for MP3, Vorbis comments for OGG."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass, fields
from typing import Any

import mutagen.id3
import mutagen.oggvorbis

# mutagen has no types; through Any the strict checker lets its calls pass.
_id3: Any = mutagen.id3
_oggvorbis: Any = mutagen.oggvorbis

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


def build_id3(tags: SpeechTags) -> bytes:
    """An ID3v2.3 tag to put before the first frame; empty when there is nothing to say."""
    texts = tags.cleaned()
    if not texts:
        return b""
    language = _ISO_639_2.get(texts.get("language", "").lower().split("-")[0], _UNDETERMINED)
    tag = _id3.ID3()
    for name, frame in (("title", _id3.TIT2), ("artist", _id3.TPE1), ("album", _id3.TALB)):
        if name in texts:
            tag.add(frame(encoding=_UTF_16, text=[texts[name]]))
    if language != _UNDETERMINED:
        tag.add(_id3.TLAN(encoding=_UTF_16, text=[language]))
    if "comment" in texts:
        tag.add(_id3.COMM(encoding=_UTF_16, lang=language, desc="", text=[texts["comment"]]))
    output = io.BytesIO()
    tag.save(output, v1=0, v2_version=3, padding=lambda _: _ID3_PADDING_BYTES)
    return output.getvalue()


def tag_ogg_vorbis(data: bytes, tags: SpeechTags) -> bytes:
    """The OGG Vorbis file ``data`` with Vorbis comments for ``tags``."""
    texts = tags.cleaned()
    if not texts:
        return data
    output = io.BytesIO(data)
    comments = _oggvorbis.OggVorbis(output)
    for name, text in texts.items():
        comments[name] = [text]
    output.seek(0)
    comments.save(output)
    return output.getvalue()


def _printable(text: str) -> str:
    """``text`` on one line without control characters or half surrogates, of bounded length."""
    kept = "".join(
        " " if character in "\t\n\r" else character
        for character in text
        if character in "\t\n\r" or unicodedata.category(character) not in ("Cc", "Cs")
    )
    return " ".join(kept.split())[:_MAX_CHARACTERS]
