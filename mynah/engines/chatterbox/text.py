"""From text to the token ids that T3 reads, for the three models, as chatterbox-tts 0.1.7 does it.

Punctuation and the preparation of Japanese, Korean, Hebrew and Russian are the library's own
functions (the last two do nothing unless their packages are there). Its multilingual tokenizer as
a whole is not used: it asks the hub for a file that lies in the model's folder.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol
from unicodedata import category, normalize

from chatterbox.models.tokenizers import tokenizer as library
from chatterbox.mtl_tts import punc_norm as tidy_multilingual
from chatterbox.tts import punc_norm as tidy_english
from chatterbox.tts_turbo import punc_norm as tidy_turbo
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from mynah.engines.chatterbox.checkpoint import ModelFiles
from mynah.engines.chatterbox.t3.config import T3Config
from mynah.engines.plain_text import is_unspeakable, nothing_to_speak
from mynah.errors import EngineUnavailable, TextTooLong

_UNKNOWN: Final = "[UNK]"
_SPACE: Final = "[SPACE]"
_CANGJIE: Final = "[cj_"

_PREPARATIONS: Final[dict[str, Callable[[str], Any]]] = {
    "ja": library.hiragana_normalize,
    "he": library.add_hebrew_diacritics,
    "ko": library.korean_normalize,
    "ru": library.add_russian_stress,
}


class TextTokenizer(Protocol):
    """One model's tokenizer; any thread may use it."""

    def encode(self, text: str, language: str) -> list[int]:
        """The ids of a text, with the marks that T3 expects around it.

        Raises InvalidRequest (``nothing_to_speak``) when the model knows nothing in it.
        """
        ...


def load_tokenizer(files: ModelFiles, folder: Path) -> TextTokenizer:
    """The tokenizer of a model from its folder. Raises EngineUnavailable."""
    try:
        if files.t3_config.is_gpt2:
            return _TurboTokenizer(folder, files.t3_config)
        paths = [folder / name for name in files.tokenizer]
        if len(paths) == 1:
            return _GraphemeTokenizer(paths[0], files.t3_config)
        return _MultilingualTokenizer(paths[0], paths[1], files.t3_config)
    except EngineUnavailable:
        raise
    except Exception as error:  # the libraries raise whatever a damaged file makes them
        raise EngineUnavailable(
            f"Chatterbox {files.id}: the tokenizer in {folder} cannot be read: {error}.",
            code="checkpoint_damaged",
        ) from error


def speakable_text(text: str, max_characters: int) -> str:
    """``text`` without what no tokenizer can take and without white space around it.

    Raises InvalidRequest (``nothing_to_speak``) where there is no letter or digit, TextTooLong.
    """
    clean = "".join(" " if is_unspeakable(character) else character for character in text).strip()
    if not any(character.isalnum() for character in clean):
        raise nothing_to_speak()
    if len(clean) > max_characters:
        raise TextTooLong(
            f"The text has {len(clean)} characters; at most {max_characters} go into one piece."
        )
    return clean


class _GraphemeTokenizer:
    """English: letters and merged letters (the library's ``EnTokenizer``)."""

    def __init__(self, path: Path, config: T3Config) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._config = config
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        _check_ids(path, vocabulary, config)
        self._silent = {
            token_id
            for token, token_id in vocabulary.items()
            if (token.startswith("[") and not token.startswith(_CANGJIE))
            or not any(character.isalnum() for character in token)
        }

    def encode(self, text: str, language: str) -> list[int]:  # noqa: ARG002  it knows one
        """As the protocol says; begins and ends with T3's marks."""
        return self._with_marks(tidy_english(text))

    def _with_marks(self, text: str) -> list[int]:
        ids = list(self._tokenizer.encode(text.replace(" ", _SPACE)).ids)
        if all(token_id in self._silent for token_id in ids):
            raise nothing_to_speak()
        return _fitting([self._config.start_text, *ids, self._config.stop_text], self._config)


class _MultilingualTokenizer(_GraphemeTokenizer):
    """23 languages: the language's tag, then lower-case decomposed letters (``MTLTokenizer``)."""

    def __init__(self, path: Path, cangjie: Path, config: T3Config) -> None:
        super().__init__(path, config)
        self._cangjie = _load_cangjie(cangjie)
        self._lock = threading.Lock()  # the Japanese converter is no more than one thread's

    def encode(self, text: str, language: str) -> list[int]:
        """As the protocol says; begins and ends with T3's marks."""
        prepared = normalize("NFKD", tidy_multilingual(text).lower())
        if language == "zh":
            prepared = "".join(self._spell(character) for character in prepared)
        elif (prepare := _PREPARATIONS.get(language)) is not None:
            with self._lock:
                prepared = prepare(prepared)
        return self._with_marks(f"[{language}]{prepared}")

    def _spell(self, character: str) -> str:
        """A Chinese character by its Cangjie keys."""
        keys = self._cangjie.get(character) if category(character) == "Lo" else None
        if keys is None:
            return character
        return "".join(f"{_CANGJIE}{key}]" for key in (*keys, "."))


class _TurboTokenizer:
    """GPT-2's, without marks around the text."""

    def __init__(self, folder: Path, config: T3Config) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # transformers' own calls
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._config = config
        _check_ids(folder, self._tokenizer.get_vocab(), config)
        self._lock = threading.Lock()  # truncation is a state of the tokenizer

    def encode(self, text: str, language: str) -> list[int]:  # noqa: ARG002  it knows one
        """As the protocol says."""
        with self._lock:
            ids = self._tokenizer(tidy_turbo(text), padding=True, truncation=True).input_ids
        return _fitting(list(ids), self._config)


def _fitting(ids: list[int], config: T3Config) -> list[int]:
    if len(ids) > config.text_positions:
        raise TextTooLong(
            f"The text has {len(ids)} tokens; the model takes {config.text_positions}."
        )
    return ids


def _check_ids(path: Path, vocabulary: dict[str, int], config: T3Config) -> None:
    """A tokenizer of another model would make T3 read beyond its table."""
    largest = max(vocabulary.values(), default=0)
    if largest >= config.text_vocabulary:
        raise EngineUnavailable(
            f"The tokenizer {path} has the id {largest}; this model knows "
            f"{config.text_vocabulary}.",
            code="checkpoint_mismatch",
        )


def _load_cangjie(path: Path) -> dict[str, str]:
    """Character → keys; characters that share their keys are numbered from the second on."""
    used: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for entry in json.loads(path.read_text("utf-8")):
        character, keys = entry.split("\t")[:2]
        used.setdefault(keys, []).append(character)
        spelled[character] = keys
    for character, keys in spelled.items():
        place = used[keys].index(character)
        spelled[character] = f"{keys}{place}" if place else keys
    return spelled
