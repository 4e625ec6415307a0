"""Dictionaries as files: PLS 1.0 (W3C's Pronunciation Lexicon Specification) and JSON."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from mynah.errors import InvalidRequest, PayloadTooLarge
from mynah.text.pls import dump_pls, parse_pls
from mynah.text.pronunciation import dump_rules, parse_rules
from services.api.use_cases.dictionaries import Edition

MAX_FILE_BYTES = 5 * 1024 * 1024
MEDIA_TYPES = {"pls": "application/pls+xml", "json": "application/json"}


def read_dictionary_file(data: bytes, filename: str) -> dict[str, Any]:
    """A file's dictionary, unchecked but for its form: name, description and rules.

    Raises InvalidRequest (``invalid_dictionary_file``, or what the lexicon's reader says) and
    PayloadTooLarge. A lexicon has no name: it is called as its file is.
    """
    if len(data) > MAX_FILE_BYTES:
        raise PayloadTooLarge(f"The file is larger than {MAX_FILE_BYTES} bytes.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable("The file is not UTF-8.") from None
    if text.lstrip().startswith("<"):
        rules = [
            {
                "kind": rule["kind"],
                "written": rule["written"],
                "spoken": rule["spoken"],
                "case_sensitive": rule["is_case_sensitive"],
                "word_boundaries": rule["at_word_boundaries"],
            }
            for rule in dump_rules(parse_pls(text))
        ]
        return {"name": PurePath(filename).stem, "rules": rules}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable("The file is neither PLS nor JSON.") from None
    if not isinstance(document, dict):
        raise _unreadable("The file holds no object with name and rules.")
    return document


def write_pls(edition: Edition, language: str) -> str:
    """An edition as a lexicon of one language, by its BCP-47 tag."""
    return dump_pls(parse_rules(edition.version.rules), language)


def _unreadable(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_dictionary_file")
