"""Token ids against the library's own tokenizers on the same files."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chatterbox import mtl_tts, tts, tts_turbo
from chatterbox.models.tokenizers import EnTokenizer, MTLTokenizer
from chatterbox.models.tokenizers import tokenizer as library_tokenizer
from transformers import AutoTokenizer

from bench.chatterbox.checkpoints import write_checkpoint
from mynah.engines.chatterbox.checkpoint import MODELS
from mynah.engines.chatterbox.text import TextTokenizer, load_tokenizer, speakable_text
from mynah.errors import EngineUnavailable, InvalidRequest, TextTooLong

ENGLISH_TEXTS = [
    "hello   there: the lamp is lit… isn't it?",
    "“Well” — she said; 'no' - 12 foxes...",
    "one",
    "Ends here!",
    "line one\nline two",
    "[STOP] <speak>a & b < c</speak>",
]
OTHER_TEXTS = [
    ("de", "Überraschung: Grüße aus Köln"),
    ("fr", "Ça va ? Très bien"),
    ("zh", "人日月，你好。"),
    ("ja", "こんにちは世界、東京へ行く"),
    ("ko", "안녕하세요 세계"),
    ("ru", "Привет, мир"),
    ("he", "שלום עולם"),
    ("en", "Hello there"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    written = {name: write_checkpoint(root, name, small=True, parts="") for name in MODELS}
    return {name: one.folder for name, one in written.items()}


def ours(folders: dict[str, Path], name: str) -> TextTokenizer:
    return load_tokenizer(MODELS[name], folders[name])


@pytest.mark.parametrize("text", ENGLISH_TEXTS)
def test_english_ids_are_the_librarys_between_the_marks(
    folders: dict[str, Path], text: str
) -> None:
    library = EnTokenizer(str(folders["english"] / "tokenizer.json"))
    expected = library.text_to_tokens(tts.punc_norm(text))[0].tolist()
    assert ours(folders, "english").encode(text, "en") == [255, *expected, 0]


@pytest.mark.parametrize(("language", "text"), OTHER_TEXTS)
def test_multilingual_ids_are_the_librarys_between_the_marks(
    folders: dict[str, Path], language: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders["multilingual"]
    cangjie = str(folder / "Cangjie5_TC.json")
    monkeypatch.setattr(library_tokenizer, "hf_hub_download", lambda **_: cangjie)
    library = MTLTokenizer(str(folder / MODELS["multilingual"].tokenizer[0]))
    with_letter = text + " a"  # the test's vocabulary holds Latin letters only
    expected = library.text_to_tokens(mtl_tts.punc_norm(with_letter), language_id=language)
    found = ours(folders, "multilingual").encode(with_letter, language)
    assert found == [255, *expected[0].tolist(), 0]


def test_characters_that_share_their_cangjie_keys_are_told_apart(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = MODELS["multilingual"]
    grapheme = json.loads((folders["multilingual"] / files.tokenizer[0]).read_text())
    (tmp_path / files.tokenizer[0]).write_text(json.dumps(grapheme))
    cangjie = tmp_path / "Cangjie5_TC.json"
    cangjie.write_text(json.dumps(["人\to", "入\to", "日\ta"]))
    monkeypatch.setattr(library_tokenizer, "hf_hub_download", lambda **_: str(cangjie))
    library = MTLTokenizer(str(tmp_path / files.tokenizer[0]))
    expected = library.text_to_tokens(mtl_tts.punc_norm("人入日"), language_id="zh")[0].tolist()
    assert load_tokenizer(files, tmp_path).encode("人入日", "zh")[1:-1] == expected


@pytest.mark.filterwarnings("ignore:Deprecated in 0.9.0:DeprecationWarning")
@pytest.mark.parametrize("text", [*ENGLISH_TEXTS, "Ça va, 世界? 🙂", "long " * 60])
def test_turbo_ids_are_the_librarys(folders: dict[str, Path], text: str) -> None:
    library = AutoTokenizer.from_pretrained(folders["turbo"])
    library.pad_token = library.eos_token
    expected = library(
        tts_turbo.punc_norm(text), return_tensors="pt", padding=True, truncation=True
    )
    assert ours(folders, "turbo").encode(text, "en") == expected.input_ids[0].tolist()


def test_what_the_model_has_no_letters_for_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ours(folders, "english").encode("你好。", "en")
    assert refused.value.code == "nothing_to_speak"


@pytest.mark.parametrize("text", ["", "   ", "\x00", "🙂🙂🙂", "\ud800", "…", "?!"])
def test_a_text_without_letters_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        speakable_text(text, 300)
    assert refused.value.code == "nothing_to_speak"


def test_a_text_is_cleaned_and_its_length_is_limited() -> None:
    assert speakable_text("  a\x00b\ud800 ", 300) == "a b"
    with pytest.raises(TextTooLong):
        speakable_text("a" * 10_000, 300)


def test_a_text_of_more_tokens_than_the_model_takes_is_refused(folders: dict[str, Path]) -> None:
    files = MODELS["english"]
    small = replace(files, t3_config=replace(files.t3_config, text_positions=10))
    with pytest.raises(TextTooLong):
        load_tokenizer(small, folders["english"]).encode("far too many letters", "en")


@pytest.mark.parametrize("name", list(MODELS))
def test_a_damaged_tokenizer_is_named(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    for file in MODELS[name].tokenizer:
        (tmp_path / file).write_text("{")
    with pytest.raises(EngineUnavailable) as refused:
        load_tokenizer(MODELS[name], tmp_path)
    assert str(tmp_path) in refused.value.message


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(folders: dict[str, Path]) -> None:
    files = MODELS["turbo"]
    small = replace(files, t3_config=replace(files.t3_config, text_vocabulary=100))
    with pytest.raises(EngineUnavailable) as refused:
        load_tokenizer(small, folders["turbo"])
    assert refused.value.code == "checkpoint_mismatch"


def test_many_threads_share_a_tokenizer(folders: dict[str, Path]) -> None:
    for name in MODELS:
        tokenizer = ours(folders, name)
        texts = [f"Number {i} speaks " + "on " * i for i in range(12)]
        alone = [tokenizer.encode(text, "en") for text in texts]
        together: list[Any] = [None] * len(texts)

        def encode(index: int, tokenizer: Any, texts: list[str], together: list[Any]) -> None:
            together[index] = tokenizer.encode(texts[index], "en")

        threads = [
            threading.Thread(target=encode, args=(i, tokenizer, texts, together))
            for i in range(len(texts))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert together == alone
