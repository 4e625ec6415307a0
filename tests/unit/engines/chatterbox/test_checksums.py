"""Files that changed without changing their shape are told apart where their sums are known."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from bench.chatterbox import checkpoints
from mynah.engines.chatterbox.checksums import SUMS_FILE, check_sums
from mynah.engines.chatterbox.loading import load_model
from mynah.errors import EngineUnavailable
from mynah.settings import Settings

LAYER = "tfmr.layers.1"
SWAPS = [
    (f"{LAYER}.self_attn.q_proj.weight", f"{LAYER}.self_attn.k_proj.weight"),
    (f"{LAYER}.input_layernorm.weight", "tfmr.layers.2.input_layernorm.weight"),
    ("speech_emb.weight", "speech_head.weight"),
]


@pytest.fixture
def written(tmp_path: Path) -> checkpoints.WrittenModel:
    return checkpoints.write_checkpoint(tmp_path, "english", small=True, parts="t3")


def swap(path: Path, one: str, other: str) -> None:
    tensors = load_file(path)
    assert tensors[one].shape == tensors[other].shape
    tensors[one], tensors[other] = tensors[other], tensors[one]
    save_file(tensors, path)


def write_sums(folder: Path) -> None:
    """As ``sha256sum *`` does."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
    ]
    (folder / SUMS_FILE).write_text("".join(lines))


@pytest.mark.parametrize(("one", "other"), SWAPS)
def test_swapped_tensors_of_one_shape_are_found_by_the_list_of_sums(
    written: checkpoints.WrittenModel, one: str, other: str
) -> None:
    names = (written.files.t3, *written.files.tokenizer)
    write_sums(written.folder)
    check_sums(written.folder, names)
    swap(written.folder / written.files.t3, one, other)
    with pytest.raises(EngineUnavailable) as refused:
        check_sums(written.folder, names)
    assert refused.value.code == "checkpoint_damaged"
    assert written.files.t3 in refused.value.message
    assert SUMS_FILE in refused.value.message


def test_a_model_is_not_loaded_from_a_file_that_is_not_the_listed_one(
    written: checkpoints.WrittenModel,
) -> None:
    for name in (written.files.s3gen, written.files.voice_encoder):
        (written.folder / name).touch()
    write_sums(written.folder)
    swap(written.folder / written.files.t3, *SWAPS[0])
    settings = Settings(chatterbox_dir=written.folder, chatterbox_device="cpu")
    with pytest.raises(EngineUnavailable, match=r"t3_cfg\.safetensors is damaged: its sha256"):
        load_model("english", settings)


def test_the_hubs_cache_names_large_files_by_their_sums(
    written: checkpoints.WrittenModel, tmp_path: Path
) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    t3, tokenizer = written.files.t3, written.files.tokenizer[0]
    digest = hashlib.sha256((written.folder / t3).read_bytes()).hexdigest()
    for name, blob in ((t3, digest), (tokenizer, "a" * 40)):  # small ones by another sum
        shutil.copy(written.folder / name, blobs / blob)
        (snapshot / name).symlink_to(blobs / blob)
    check_sums(snapshot, (t3, tokenizer))
    swap(blobs / digest, *SWAPS[0])
    with pytest.raises(EngineUnavailable, match="hub's cache"):
        check_sums(snapshot, (t3, tokenizer))


def test_files_that_nobody_vouches_for_pass(written: checkpoints.WrittenModel) -> None:
    swap(written.folder / written.files.t3, *SWAPS[0])
    (written.folder / SUMS_FILE).write_text(f"{'0' * 64} *another.safetensors\n\n")
    check_sums(written.folder, (written.files.t3,))


@pytest.mark.parametrize("line", ["nonsense", f"{'0' * 63}  t3_cfg.safetensors"])
def test_a_list_that_cannot_be_read_is_said(tmp_path: Path, line: str) -> None:
    (tmp_path / SUMS_FILE).write_text(f"\n{line}\n")
    with pytest.raises(EngineUnavailable, match="line 2"):
        check_sums(tmp_path, ())
