"""How much of the memory for keys and values a text takes; no torch."""

from __future__ import annotations

from typing import Final

from mynah.engines.chatterbox.t3.config import T3Config
from mynah.engines.chatterbox.t3.guards import limit_tokens

POSITION_STEP: Final = 64  # the cache's length is a multiple of this
_STARTS: Final = 2  # the library feeds the start token twice
_AROUND_TEXT: Final = 3  # a piece's start, stop and language


def round_up(positions: int, step: int = POSITION_STEP) -> int:
    """To a multiple of ``step``: few different shapes for kernels and graphs."""
    return -(-positions // step) * step


def cache_bytes(config: T3Config, number_bytes: int, rows: int, positions: int) -> int:
    """The memory of a cache of that size; ``number_bytes``: of one number."""
    return 2 * number_bytes * config.layers * config.width * rows * positions


def needed_positions(config: T3Config, text_tokens: int, speech_tokens: int) -> int:
    """The positions of a row: voice, text and speech."""
    return config.prefix_length + text_tokens + _STARTS + speech_tokens


def least_cache_bytes(config: T3Config, number_bytes: int, characters: int) -> int:
    """The memory in which one text of so many characters, a token each, can be spoken: with
    guidance, where there is such a thing, up to the longest speech that it may have."""
    tokens = characters + _AROUND_TEXT
    positions = needed_positions(config, tokens, limit_tokens(tokens))
    rows = 1 if config.is_gpt2 else 2
    return cache_bytes(config, number_bytes, rows, round_up(positions))
