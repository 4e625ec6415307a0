"""A checkpoint that is not what it should be is named, file and tensor, before it is used."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.chatterbox import checkpoints, upstream
from mynah.engines.chatterbox.checkpoint import (
    MODELS,
    find_checkpoint,
    load_t3_weights,
    load_weights,
    read_header,
)
from mynah.engines.chatterbox.t3.config import ENGLISH, MULTILINGUAL, TURBO, tensor_shapes
from mynah.errors import EngineUnavailable

SMALL = checkpoints.SMALL_ENGLISH


@pytest.fixture
def t3_file(checkpoint_folder: Path, tmp_path: Path) -> Path:
    written = checkpoints.write_checkpoint(checkpoint_folder, "english", small=True, parts="t3")
    path = tmp_path / "t3_cfg.safetensors"
    shutil.copy(written.folder / written.files.t3, path)
    return path


def refusal(path: Path, code: str) -> str:
    with pytest.raises(EngineUnavailable) as refused:
        load_t3_weights(path, SMALL)
    assert refused.value.code == code
    assert str(path) in refused.value.message
    return refused.value.message


def test_a_whole_file_is_read(t3_file: Path) -> None:
    tensors = load_t3_weights(t3_file, SMALL)
    assert {name: tuple(t.shape) for name, t in tensors.items()} == tensor_shapes(SMALL)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    refusal(tmp_path / "t3_cfg.safetensors", "checkpoint_missing")


@pytest.mark.parametrize("kept", [0, 5, 100, 5000, -1, -1000])
def test_a_truncated_file_is_damaged(t3_file: Path, kept: int) -> None:
    data = t3_file.read_bytes()
    t3_file.write_bytes(data[:kept])
    refusal(t3_file, "checkpoint_damaged")


@pytest.mark.parametrize(
    "data", [b"\xff" * 5000, b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04" * 400]
)
def test_another_kind_of_file_is_damaged(t3_file: Path, data: bytes) -> None:
    t3_file.write_bytes(data)
    refusal(t3_file, "checkpoint_damaged")


@pytest.mark.parametrize("table", ["[]", '{"a": 1}', '{"a": {"data_offsets": "x"}}', "{nonsense"])
def test_a_nonsense_table_of_tensors_is_damaged(t3_file: Path, table: str) -> None:
    t3_file.write_bytes(len(table).to_bytes(8, "little") + table.encode())
    refusal(t3_file, "checkpoint_damaged")


def test_a_missing_tensor_is_named(t3_file: Path) -> None:
    tensors = load_file(t3_file)
    del tensors["tfmr.layers.2.mlp.up_proj.weight"]
    save_file(tensors, t3_file)
    message = refusal(t3_file, "checkpoint_mismatch")
    assert "tfmr.layers.2.mlp.up_proj.weight [192, 128] is missing" in message


def test_swapped_tensors_are_named_with_both_shapes(t3_file: Path) -> None:
    tensors = load_file(t3_file)
    one, other = "text_emb.weight", "speech_emb.weight"
    tensors[one], tensors[other] = tensors[other], tensors[one]
    save_file(tensors, t3_file)
    message = refusal(t3_file, "checkpoint_mismatch")
    assert re.search(
        r"(text|speech)_emb.weight has the shape \[\d+, 128\], not \[\d+, 128\]", message
    )


def test_a_tensor_of_whole_numbers_is_refused(t3_file: Path) -> None:
    tensors = load_file(t3_file)
    tensors["tfmr.norm.weight"] = tensors["tfmr.norm.weight"].to(torch.int32)
    save_file(tensors, t3_file)
    assert "tfmr.norm.weight is of type I32" in refusal(t3_file, "checkpoint_mismatch")


def test_a_tensor_of_another_model_is_refused(t3_file: Path) -> None:
    save_file({**load_file(t3_file), "tfmr.h.0.ln_1.weight": torch.ones(3)}, t3_file)
    assert "tfmr.h.0.ln_1.weight" in refusal(t3_file, "checkpoint_mismatch")


def test_weights_that_are_not_finite_are_damaged(t3_file: Path) -> None:
    tensors = load_file(t3_file)
    tensors["speech_head.weight"][3, 3] = torch.nan
    save_file(tensors, t3_file)
    assert "speech_head.weight" in refusal(t3_file, "checkpoint_damaged")


def test_tables_may_be_missing_and_more_be_there_where_the_library_allows_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s3gen.safetensors"
    save_file({"a": torch.ones(2), "more": torch.ones(1)}, path)
    expected = {"a": (2,), "tokenizer.window": (400,)}
    assert list(load_weights(path, expected, other_tensors_allowed=True)) == ["a"]


@pytest.mark.parametrize("name", ["english", "multilingual", "turbo"])
def test_the_table_is_what_the_library_s_own_class_holds(name: str) -> None:
    config = {"english": ENGLISH, "multilingual": MULTILINGUAL, "turbo": TURBO}[name]
    with torch.device("meta"):
        theirs = upstream.build_t3(config).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in theirs.items()} == tensor_shapes(config)


def test_every_missing_file_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EngineUnavailable) as refused:
        find_checkpoint(MODELS["english"], tmp_path, may_download=False)
    for name in ("t3_cfg.safetensors", "s3gen.safetensors", "ve.safetensors"):
        assert name in refused.value.message
    assert "tokenizer.json" not in refused.value.message


def test_files_are_found_in_the_folder_and_below_the_repository_s_name(tmp_path: Path) -> None:
    files = MODELS["turbo"]
    for folder in (tmp_path / "flat", tmp_path / "deep" / "chatterbox-turbo"):
        folder.mkdir(parents=True)
        for name in files.required:
            (folder / name).touch()
    assert find_checkpoint(files, tmp_path / "flat", may_download=False) == tmp_path / "flat"
    deep = find_checkpoint(files, tmp_path / "deep", may_download=False)
    assert deep == tmp_path / "deep" / "chatterbox-turbo"


def test_the_hub_s_cache_is_found_and_never_filled_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = MODELS["english"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EngineUnavailable) as refused:
        find_checkpoint(files, None, may_download=False)
    assert "MYNAH_CHATTERBOX_DOWNLOAD" in refused.value.message
    repository = tmp_path / "models--ResembleAI--chatterbox"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    for name in files.required:
        (snapshot / name).touch()
    assert find_checkpoint(files, None, may_download=False) == snapshot


def test_a_table_can_be_read_without_the_tensors(t3_file: Path) -> None:
    header = read_header(t3_file)
    assert header["speech_head.weight"]["shape"] == [8194, 128]
    assert json.dumps(header)
