"""What is taken out of a text before anything else sees it."""

from __future__ import annotations

import unicodedata

from mynah.errors import InvalidRequest

_KEPT_CONTROLS = "\n\t"


def clean_text(text: str) -> str:
    """Normalise line ends and composition (NFC), drop control and zero-width characters.

    Raises InvalidRequest for text that holds nothing to speak, NUL or lone surrogates.
    """
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest("The text holds NUL or lone surrogates.", code="invalid_text")
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    kept = "".join(
        character
        for character in unicodedata.normalize("NFC", unified)
        if character in _KEPT_CONTROLS or unicodedata.category(character) not in ("Cc", "Cs", "Cn")
    ).strip()
    if not any(unicodedata.category(character)[0] in "LNS" for character in kept):
        raise InvalidRequest("The text holds nothing to speak.", code="nothing_to_speak")
    return kept
