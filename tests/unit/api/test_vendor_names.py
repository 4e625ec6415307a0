"""The table of the vendors' names, and an operator's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mynah.engines.catalog import BUILTIN_VOICES, load_engines
from mynah.errors import NotFound
from mynah.settings import Settings
from services.api.compat.names import load_names
from services.api.compat.vendors import Vendor

SETTINGS = Settings(default_engine="espeak")


@pytest.mark.parametrize("vendor", list(Vendor))
def test_the_shipped_names_stand_for_voices_and_engines_that_are_there(vendor: Vendor) -> None:
    table = load_names(None)[vendor]
    assert set(table.voices.values()) <= {voice.name for voice in BUILTIN_VOICES}
    assert set(table.models.values()) <= {"default", *load_engines()}


def test_a_model_may_be_dated_or_an_engine() -> None:
    table = load_names(None)[Vendor.OPENAI]
    for model in ("tts-1", "TTS-1", "gpt-4o-mini-tts-2025-12-15", "espeak"):
        assert table.engine(SETTINGS, model).id == "espeak"
    with pytest.raises(NotFound):
        table.engine(SETTINGS, "gpt-9")


def test_an_operators_entries_come_before_the_shipped_ones(tmp_path: Path) -> None:
    own = tmp_path / "names.toml"
    own.write_text('[openai.voices]\nAlloy = "Pip"\nmine = "Ada"\n[openai.models]\nm = "espeak"\n')
    table = load_names(own)[Vendor.OPENAI]
    assert (table.voices["alloy"], table.voices["mine"]) == ("Pip", "Ada")
    assert table.voices["nova"] == "Ada"
    assert table.engine(SETTINGS, "m").id == "espeak"


@pytest.mark.parametrize(
    "text",
    ["[openai", "[google.voices]\na = 'b'", "openai = 1", "[openai.voices]\na = 1", "[openai.x]"],
)
def test_a_table_that_says_something_else_is_refused(tmp_path: Path, text: str) -> None:
    own = tmp_path / "names.toml"
    own.write_text(text)
    with pytest.raises(ValueError, match=r"names\.toml"):
        load_names(own)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        load_names(tmp_path / "none.toml")
