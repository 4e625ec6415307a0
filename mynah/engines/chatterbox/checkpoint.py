"""Finding, checking and reading the weights of Chatterbox's models.

A model's files lie in the folder ``MYNAH_CHATTERBOX_DIR`` (directly, or below the name of their
hub repository) or in the hub's cache. Only safetensors are read: nothing is unpickled. Each
file is checked as a whole before a tensor of it is used, and what is wrong is said in one error.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError

from mynah.engines.chatterbox.t3.config import (
    ENGLISH,
    MULTILINGUAL,
    TURBO,
    T3Config,
    tensor_shapes,
)
from mynah.errors import EngineUnavailable

MAX_HEADER_BYTES: Final = 100_000_000  # safetensors' own limit
Shapes = Mapping[str, tuple[int, ...]]

# Tables that follow from constants: the library computes them where a file lacks them.
OPTIONAL_TENSORS: Final = frozenset({"tokenizer._mel_filters", "tokenizer.window"})
FLOAT_TYPES: Final = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What one model consists of: its hub repository and the names of its files."""

    id: str
    repository: str
    t3: str
    t3_config: T3Config
    s3gen: str
    voice_encoder: str
    tokenizer: tuple[str, ...]
    conditionals: str = "conds.pt"  # the built-in voice; optional

    @property
    def required(self) -> tuple[str, ...]:
        """The files without which the model cannot speak."""
        return (self.t3, self.s3gen, self.voice_encoder, *self.tokenizer)


_ENGLISH_FILES: Final = ModelFiles(
    id="english",
    repository="ResembleAI/chatterbox",
    t3="t3_cfg.safetensors",
    t3_config=ENGLISH,
    s3gen="s3gen.safetensors",
    voice_encoder="ve.safetensors",
    tokenizer=("tokenizer.json",),
)
_MULTILINGUAL_FILES: Final = ModelFiles(
    id="multilingual",
    repository="ResembleAI/chatterbox",
    t3="t3_mtl23ls_v2.safetensors",
    t3_config=MULTILINGUAL,
    s3gen="s3gen.safetensors",
    voice_encoder="ve.safetensors",
    tokenizer=("grapheme_mtl_merged_expanded_v1.json", "Cangjie5_TC.json"),
)
_TURBO_FILES: Final = ModelFiles(
    id="turbo",
    repository="ResembleAI/chatterbox-turbo",
    t3="t3_turbo_v1.safetensors",
    t3_config=TURBO,
    s3gen="s3gen_meanflow.safetensors",
    voice_encoder="ve.safetensors",
    tokenizer=("vocab.json", "merges.txt", "tokenizer_config.json"),
)
MODELS: Final = {files.id: files for files in (_ENGLISH_FILES, _MULTILINGUAL_FILES, _TURBO_FILES)}


def find_checkpoint(files: ModelFiles, folder: Path | None, *, may_download: bool) -> Path:
    """The folder that holds all of a model's files.

    ``folder`` None: the hub's cache, filled from the hub only if ``may_download``. Raises
    EngineUnavailable that names every missing file.
    """
    if folder is None:
        return _find_in_hub_cache(files, may_download=may_download)
    below = folder / files.repository.rpartition("/")[2]
    found = below if below.is_dir() else folder
    missing = [name for name in files.required if not (found / name).is_file()]
    if missing:
        raise EngineUnavailable(
            f"Chatterbox {files.id}: {found} lacks {', '.join(missing)}.", code="checkpoint_missing"
        )
    return found


def _find_in_hub_cache(files: ModelFiles, *, may_download: bool) -> Path:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415  not needed for a folder
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    paths = []
    for name in files.required:
        try:
            paths.append(hf_hub_download(files.repository, name, local_files_only=not may_download))
        except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
            hint = (
                ""
                if may_download
                else " Name their folder in MYNAH_CHATTERBOX_DIR, or let MYNAH_CHATTERBOX_DOWNLOAD"
                " fetch them."
            )
            raise EngineUnavailable(
                f"Chatterbox {files.id}: {name} of {files.repository} is not in the hub's "
                f"cache.{hint}",
                code="checkpoint_missing",
            ) from error
    with suppress(LocalEntryNotFoundError, HfHubHTTPError, OSError):  # a voice, good to have
        hf_hub_download(files.repository, files.conditionals, local_files_only=not may_download)
    return Path(paths[0]).parent


def check_checkpoint(files: ModelFiles, folder: Path) -> None:
    """Look at the heads of a model's files: whether they are whole and T3 is this model's.

    Reads a few hundred kilobytes. Raises EngineUnavailable as ``load_weights``.
    """
    _check_header(
        folder / files.t3,
        read_header(folder / files.t3),
        tensor_shapes(files.t3_config),
        other_tensors_allowed=False,
    )
    for name in (files.s3gen, files.voice_encoder):
        read_header(folder / name)


def load_t3_weights(path: Path, config: T3Config) -> dict[str, Any]:
    """The T3 tensors by name, checked. Raises EngineUnavailable."""
    return load_weights(path, tensor_shapes(config))


def load_weights(
    path: Path, expected: Shapes, *, other_tensors_allowed: bool = False
) -> dict[str, Any]:
    """The tensors of a safetensors file, on the CPU, after checking it against ``expected``.

    ``other_tensors_allowed``: names beyond ``expected`` are skipped, as the library does for
    S3Gen. Raises EngineUnavailable (``checkpoint_missing``, ``checkpoint_damaged``,
    ``checkpoint_mismatch``) that names the file, the tensor, what was expected and what found.
    """
    import torch  # noqa: PLC0415  whether a checkpoint is there can be told without torch
    from safetensors.torch import load_file  # noqa: PLC0415

    header = read_header(path)
    _check_header(path, header, expected, other_tensors_allowed)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise damaged(path, str(error)) from error
    kept = {name: tensor for name, tensor in tensors.items() if name in expected}
    for name, tensor in kept.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.sum())):
            raise damaged(path, f"{name} holds numbers that are not finite")
    return kept


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """A safetensors file's table of tensors, after checking that the file is as long as it says.

    Raises EngineUnavailable (``checkpoint_missing``, ``checkpoint_damaged``).
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(8)
            length = struct.unpack("<Q", first)[0] if len(first) == 8 else MAX_HEADER_BYTES + 1
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise damaged(path, f"its {size} bytes are no safetensors file")
            header = json.loads(file.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = 8 + length + max((int(t["data_offsets"][1]) for t in tensors.values()), default=0)
    except FileNotFoundError as error:
        raise EngineUnavailable(
            f"The checkpoint file {path} is missing.", code="checkpoint_missing"
        ) from error
    except OSError as error:
        raise damaged(path, f"it cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise damaged(path, "its table of tensors cannot be read") from error
    if end != size:
        raise damaged(path, f"it has {size} bytes where its table of tensors says {end}")
    return tensors


def _check_header(
    path: Path, header: dict[str, dict[str, Any]], expected: Shapes, other_tensors_allowed: bool
) -> None:
    for name, shape in expected.items():
        entry = header.get(name)
        if entry is None:
            if name not in OPTIONAL_TENSORS:
                raise _mismatch(path, f"the tensor {name} {list(shape)} is missing")
        elif tuple(entry["shape"]) != tuple(shape):
            raise _mismatch(path, f"{name} has the shape {entry['shape']}, not {list(shape)}")
        elif entry["dtype"] not in FLOAT_TYPES and not name.endswith("num_batches_tracked"):
            raise _mismatch(path, f"{name} is of type {entry['dtype']}, not F32, F16 or BF16")
    unknown = sorted(header.keys() - expected.keys())
    if unknown and not other_tensors_allowed:
        raise _mismatch(path, f"the tensor {unknown[0]} is not one of this model")


def damaged(path: Path, what: str) -> EngineUnavailable:
    """The error for a file that is not whole, or not what it was."""
    return EngineUnavailable(
        f"The checkpoint file {path} is damaged: {what}.", code="checkpoint_damaged"
    )


def _mismatch(path: Path, what: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"The checkpoint file {path} is not what its name says: {what}.", code="checkpoint_mismatch"
    )
