"""Writes what ``torch.save`` writes, without torch; also what an attacker would write."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

_STORAGES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage",
             "<i8": "LongStorage", "<i2": "ShortStorage"}  # fmt: skip


def _rebuild_tensor_v2(*_: object) -> None:
    """Only its name is pickled."""


class _StorageReference:
    def __init__(self, storage_type: type, key: str, count: int) -> None:
        self.parts = ("storage", storage_type, key, "cpu", count)


class Tensor:
    """Stands for a torch tensor while it is pickled."""

    def __init__(self, array: npt.NDArray[Any], **claims: Any) -> None:
        self.array = array
        self.claims = claims  # what the file says of it, true or not


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, torch: ModuleType) -> None:
        super().__init__(file, protocol=2)
        self.torch = torch
        self.storages: list[bytes] = []

    def persistent_id(self, value: Any) -> Any:
        return value.parts if isinstance(value, _StorageReference) else None

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return NotImplemented
        array = value.array
        key = str(len(self.storages))
        self.storages.append(array.tobytes())
        storage_type = getattr(self.torch, _STORAGES[array.dtype.str])
        strides = tuple(step // array.itemsize for step in array.strides)
        count = value.claims.get("count", array.size)
        arguments = (
            _StorageReference(storage_type, key, count),
            value.claims.get("offset", 0),
            value.claims.get("shape", array.shape),
            value.claims.get("strides", strides),
            False,
            {},
        )
        return _rebuild_tensor_v2, arguments


def save(document: object, compression: int = zipfile.ZIP_STORED) -> bytes:
    """``torch.save(document)``; arrays in it are wrapped in ``Tensor``."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    _rebuild_tensor_v2.__module__ = "torch._utils"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    absent = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        stream = io.BytesIO()
        pickler = _Pickler(stream, torch)
        pickler.dump(document)
    finally:
        for name, module in absent.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return archive(stream.getvalue(), pickler.storages, compression)


def archive(pickled: bytes, storages: list[bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The archive around a pickle and the tensors' bytes."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", compression) as file:
        file.writestr("voice/data.pkl", pickled)
        file.writestr("voice/byteorder", b"little")
        for key, storage in enumerate(storages):
            file.writestr(f"voice/data/{key}", storage)
        file.writestr("voice/version", b"3\n")
    return output.getvalue()


def tensor(values: Any, dtype: str = "<f4", **claims: Any) -> Tensor:
    return Tensor(np.asarray(values, dtype), **claims)
