"""Chatterbox's rows of the catalog: data, readable without torch."""

from __future__ import annotations

from typing import Final

from mynah.engines.base import EngineInfo

# What the multilingual model speaks, by the tag that it takes. Source: mtl_tts.py of 0.1.7.
LANGUAGES: Final = {
    "ar": "Arabic",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "ms": "Malay",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "sw": "Swahili",
    "tr": "Turkish",
    "zh": "Chinese",
}

MAX_PIECE_CHARACTERS: Final = 300  # longer texts make it hallucinate (its issues 424, 457, 60)

_REQUIRES: Final = (
    "torch",
    "torchaudio",
    "chatterbox",
    "perth",
    "safetensors",
    "tokenizers",
    "transformers",
)


def _row(
    engine_id: str, name: str, description: str, factory: str, languages: tuple[str, ...]
) -> EngineInfo:
    return EngineInfo(
        id=engine_id,
        name=name,
        description=description,
        factory=f"mynah.engines.chatterbox.engine:{factory}",
        version="1",
        sample_rate=24_000,
        languages=languages,
        max_piece_characters=MAX_PIECE_CHARACTERS,
        supports_cloning=True,
        supports_training=False,
        supports_streaming=True,
        supports_rate=False,
        is_seeded=True,
        requires=_REQUIRES,
        check="mynah.engines.chatterbox.readiness:check_readiness",
        memory="mynah.engines.chatterbox.memory:needed_memory",
        voice_file="mynah.engines.chatterbox.conditionals:read_voice_file",
        own_voices="mynah.engines.chatterbox.own_voice:own_voices",
    )


CHATTERBOX: Final = _row(
    "chatterbox",
    "Chatterbox",
    "Resemble AI's neural engine for English: clones a voice from a few seconds of speech. Its "
    "speech carries an inaudible watermark.",
    "open_english",
    ("en",),
)
CHATTERBOX_MULTILINGUAL: Final = _row(
    "chatterbox-multilingual",
    "Chatterbox Multilingual",
    "Resemble AI's neural engine for 23 languages: clones a voice from a few seconds of speech. "
    "Its speech carries an inaudible watermark.",
    "open_multilingual",
    tuple(LANGUAGES),
)
CHATTERBOX_TURBO: Final = _row(
    "chatterbox-turbo",
    "Chatterbox Turbo",
    "Resemble AI's faster neural engine for English: clones a voice from five seconds of speech. "
    "Its speech carries an inaudible watermark.",
    "open_turbo",
    ("en",),
)

MODEL_IDS: Final = {
    CHATTERBOX.id: "english",
    CHATTERBOX_MULTILINGUAL.id: "multilingual",
    CHATTERBOX_TURBO.id: "turbo",
}
ROWS: Final = (CHATTERBOX, CHATTERBOX_MULTILINGUAL, CHATTERBOX_TURBO)
