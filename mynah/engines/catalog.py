"""Which engines there are, what they can do and their built-in voices: data, no engine code.

The API reads this without importing an engine. A package adds an engine with an entry point of
the group ``mynah.engines`` that names an ``EngineInfo``; see ``docs/adding-an-engine.md``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Final, Literal

from mynah.engines.base import EngineInfo
from mynah.engines.chatterbox.rows import LANGUAGES as CHATTERBOX_LANGUAGES
from mynah.engines.chatterbox.rows import ROWS as CHATTERBOX_ROWS
from mynah.engines.espeak.languages import LANGUAGES as ESPEAK_LANGUAGES
from mynah.errors import InvalidRequest, NotFound

ENTRY_POINT_GROUP: Final = "mynah.engines"

ESPEAK: Final = EngineInfo(
    id="espeak",
    name="eSpeak NG",
    description=(
        "The preview engine: eSpeak NG's formant synthesis, with no weights to download. A cloned "
        "voice is eSpeak's speech shaped after the recordings (pitch, pace, timbre). It hints at "
        "the person and stays plainly synthetic; use a neural engine for a likeness."
    ),
    factory="mynah.engines.espeak.engine:EspeakEngine",
    version="1",
    sample_rate=22050,
    languages=tuple(ESPEAK_LANGUAGES),
    max_piece_characters=600,
    supports_cloning=True,
    supports_training=False,
    supports_streaming=True,
    gives_word_times=True,
    supports_phonemes=True,
    requires=("espeakng_loader", "pyworld", "safetensors", "scipy", "soxr"),
)

_BUILTIN_ENGINES: Final = (ESPEAK, *CHATTERBOX_ROWS)

# What callers write for a language or a country -> the tags to try, best first.
_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "en": ("en-us", "en-gb"),
    "en-au": ("en-gb",),
    "en-ie": ("en-gb",),
    "en-in": ("en-gb",),
    "en-nz": ("en-gb",),
    "en-uk": ("en-gb",),
    "en-za": ("en-gb",),
    "es-es": ("es",),
    "es-us": ("es-419",),
    "es-mx": ("es-419",),
    "es-ar": ("es-419",),
    "es-cl": ("es-419",),
    "es-co": ("es-419",),
    "es-pe": ("es-419",),
    "es-ve": ("es-419",),
    "fr": ("fr-fr",),
    "fr-ca": ("fr-fr",),
    "in": ("id",),
    "iw": ("he",),
    "cmn": ("zh",),
    "nb": ("no",),
    "nn": ("nb", "no"),
    "no": ("nb",),
    "pt-pt": ("pt",),
    "zh": ("cmn",),
    "zh-hk": ("yue",),
    "zh-yue": ("yue",),
}


@dataclass(frozen=True, slots=True)
class BuiltinVoice:
    """A public voice that an engine brings with it; ``language`` is the engine's tag."""

    slug: str
    name: str
    engine: str
    language: str
    engine_voice: str  # what SpeechEngine.builtin_profile takes
    description: str
    gender: Literal["female", "male", "child"] | None = None  # None: not known


def _espeak_voice(
    slug: str,
    name: str,
    engine_voice: str,
    gender: Literal["female", "male", "child"],
    description: str,
) -> BuiltinVoice:
    language = engine_voice.partition("+")[0]
    return BuiltinVoice(slug, name, "espeak", language, engine_voice, description, gender)


BUILTIN_VOICES: Final = (
    _espeak_voice("ada", "Ada", "en-us+f3", "female", "American English, clear"),
    _espeak_voice("grace", "Grace", "en-us+f2", "female", "American English, warm"),
    _espeak_voice("alan", "Alan", "en-us", "male", "American English, eSpeak's own voice"),
    _espeak_voice("walter", "Walter", "en-us+m3", "male", "American English, deep"),
    _espeak_voice("pip", "Pip", "en-us+f5", "child", "American English, light and high"),
    _espeak_voice("rosalind", "Rosalind", "en-gb+f2", "female", "British English, soft"),
    _espeak_voice("charles", "Charles", "en-gb-x-rp+m7", "male", "British English, formal"),
    _espeak_voice("fiona", "Fiona", "en-gb-scotland+f4", "female", "Scottish English"),
    _espeak_voice("emmy", "Emmy", "de+f3", "female", "German"),
    _espeak_voice("konrad", "Konrad", "de+m3", "male", "German"),
    _espeak_voice("sophie", "Sophie", "fr-fr+f3", "female", "French"),
    _espeak_voice("elena", "Elena", "es+f2", "female", "Spanish of Spain"),
    _espeak_voice("diego", "Diego", "es-419+m3", "male", "Spanish of Latin America"),
    _espeak_voice("laura", "Laura", "it+f3", "female", "Italian"),
    _espeak_voice("beatriz", "Beatriz", "pt-br+f3", "female", "Portuguese of Brazil"),
    _espeak_voice("hedy", "Hedy", "nl+f2", "female", "Dutch"),
    _espeak_voice("marie", "Marie", "pl+f3", "female", "Polish"),
    _espeak_voice("astrid", "Astrid", "sv+f2", "female", "Swedish"),
    _espeak_voice("defne", "Defne", "tr+f3", "female", "Turkish"),
    _espeak_voice("olena", "Olena", "uk+f2", "female", "Ukrainian"),
    _espeak_voice("mikhail", "Mikhail", "ru+m3", "male", "Russian"),
    _espeak_voice("mei", "Mei", "cmn+f3", "female", "Mandarin Chinese"),
    _espeak_voice("asha", "Asha", "hi+f2", "female", "Hindi"),
    _espeak_voice("layla", "Layla", "ar+f3", "female", "Arabic"),
)


@cache
def load_engines() -> dict[str, EngineInfo]:
    """Every engine by id: Mynah's own, then those of installed packages.

    A package that cannot be read is left out with a warning, so that one broken plug-in does
    not take the others down; it cannot replace an engine that is already there.
    """
    engines = {info.id: info for info in _BUILTIN_ENGINES}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            info = entry_point.load()
        except Exception:  # a stranger's module may raise anything
            logging.getLogger(__name__).warning(
                "engine plug-in cannot be read: %s", entry_point.value, exc_info=True
            )
            continue
        if not isinstance(info, EngineInfo) or info.id in engines:
            logging.getLogger(__name__).warning(
                "engine plug-in names no EngineInfo with an id of its own: %s", entry_point.value
            )
            continue
        engines[info.id] = info
    return engines


def engine_info(engine_id: str) -> EngineInfo:
    """The row of one engine. Raises NotFound (``engine_not_found``)."""
    info = load_engines().get(engine_id)
    if info is None:
        raise NotFound(f"There is no engine {engine_id!r}.", code="engine_not_found")
    return info


def resolve_language(info: EngineInfo, language: str) -> str:
    """The engine's tag for what a caller wrote: ``en-US``, ``de_DE``, ``zh``, ``Pt-BR``.

    Tries the tag itself, what it is usually called, then the same with its last part dropped,
    and at last the first tag of that language. Raises InvalidRequest
    (``unsupported_language``).
    """
    wanted = language.strip().lower().replace("_", "-")
    shortened = wanted
    while shortened:
        for tag in (shortened, *_ALIASES.get(shortened, ())):
            if tag in info.languages:
                return tag
        shortened = shortened.rpartition("-")[0]
    primary = wanted.partition("-")[0]
    for tag in info.languages:
        if primary and tag.startswith(f"{primary}-"):
            return tag
    raise InvalidRequest(
        f"{info.name} does not speak {language!r}.",
        code="unsupported_language",
        fields={"language": [f"Not spoken by {info.name}."]},
    )


def language_name(tag: str) -> str:
    """What people call a language; the tag itself where no name is known."""
    _, name = ESPEAK_LANGUAGES.get(tag, ("", CHATTERBOX_LANGUAGES.get(tag, tag)))
    return name
