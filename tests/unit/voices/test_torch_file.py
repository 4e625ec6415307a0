"""Tensors are read out of .pth files; nothing else in them does anything."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mynah.engines.torch_file import load_torch_file
from mynah.errors import InvalidRequest
from tests.unit.voices.torch_like import archive, save, tensor


def refused(data: bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        load_torch_file(data)
    return caught.value.code


def test_nested_tensors_numbers_and_texts_are_read() -> None:
    document = {
        "t3": {"embedding": tensor([[1, 2, 3], [4, 5, 6]]), "steps": 7, "rate": 0.5},
        "gen": OrderedDict(tokens=tensor([1, 2], "<i8"), half=tensor([0.5], "<f2")),
        "name": "Ann",
        "list": [1, None, True, "a"],
        "large": 2**40,
    }
    read: Any = load_torch_file(save(document))
    assert read["t3"]["embedding"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read["t3"]["embedding"].dtype == np.float32
    assert (read["t3"]["steps"], read["t3"]["rate"]) == (7, 0.5)
    assert read["gen"]["tokens"].tolist() == [1, 2]
    assert read["gen"]["half"].dtype == np.float16
    assert (read["name"], read["list"], read["large"]) == ("Ann", [1, None, True, "a"], 2**40)


def test_a_view_into_a_storage_keeps_its_shape_and_order() -> None:
    transposed = tensor(np.arange(6).reshape(2, 3), shape=(3, 2), strides=(1, 3))
    part = tensor(np.arange(10), offset=4, shape=(3,), strides=(2,))
    read: Any = load_torch_file(save({"transposed": transposed, "part": part}))
    assert read["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert read["part"].tolist() == [4, 6, 8]


class _Runs:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize(
    "function", [os.system, eval, exec, getattr, __import__], ids=lambda each: each.__name__
)
def test_code_in_a_file_is_never_run(
    function: Callable[..., object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "ran"
    trap = _Runs(function, f"touch {victim}")
    assert refused(save({"audio": tensor([1.0]), "trap": trap})) == "unsafe_voice_file"
    assert not victim.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    victim = tmp_path / "ran"
    pickled = pickle.dumps(_Runs(os.system, f"touch {victim}"), protocol)
    assert refused(archive(pickled, [])) in ("unsafe_voice_file", "damaged_voice_file")
    assert not victim.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        b"\x80\x02(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # STACK_GLOBAL
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02}(X\x01\x00\x00\x00a}u}bR.",  # calls a dictionary
        b"\x80\x02ctorch\nFloatStorage\n)R.",  # calls a type
        b"\x80\x02X\x01\x00\x00\x00aQ.",  # a persistent id that is none
        b"\x80\x02cbuiltins\neval\n.",
    ],
)
def test_every_other_way_to_a_call_is_refused(pickled: bytes) -> None:
    assert refused(archive(pickled, [])) in ("unsafe_voice_file", "damaged_voice_file")


@pytest.mark.parametrize(
    "claims",
    [
        {"shape": (100,), "strides": (1,)},
        {"shape": (4,), "strides": (2,)},
        {"offset": 1},
        {"offset": -1},
        {"shape": (-4,)},
        {"shape": (10**12,), "strides": (0,)},
        {"shape": (4, 4), "strides": (1, 0)},
        {"shape": (2, 3), "strides": (1, 1)},
        {"shape": (4,), "strides": (1, 1)},
        {"shape": (4,), "strides": (-1,)},
        {"shape": ("4",)},
        {"shape": [4]},
        {"offset": 2**70},
        {"count": 3},
        {"count": -4},
        {"count": 10**15},
    ],
)
def test_a_tensor_cannot_reach_beyond_its_bytes(claims: dict[str, Any]) -> None:
    assert refused(save({"audio": tensor([1, 2, 3, 4], **claims)})) == "damaged_voice_file"


def test_an_endless_structure_is_refused() -> None:
    pickled = b"\x80\x02]" + b"]a" * 150_000 + b"."
    assert refused(archive(pickled, [])) == "damaged_voice_file"


def test_compressed_entries_are_refused() -> None:
    document = {"audio": tensor(np.zeros(1_000_000))}
    assert refused(save(document, zipfile.ZIP_DEFLATED)) == "damaged_voice_file"


@pytest.mark.parametrize("keep", [0, 10, 100, -1])
def test_a_truncated_file_is_refused(keep: int) -> None:
    assert refused(save({"audio": tensor([1.0] * 100)})[:keep]) == "damaged_voice_file"


def test_any_changed_byte_gives_tensors_or_a_refusal() -> None:
    data = save({"audio": tensor([0.5] * 8), "sample_rate": 16000})
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0xFF
        try:
            load_torch_file(bytes(changed))
        except InvalidRequest:
            continue


def test_an_archive_without_tensors_is_refused() -> None:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as file:
        file.writestr("readme.txt", "hello")
    assert refused(output.getvalue()) == "damaged_voice_file"
