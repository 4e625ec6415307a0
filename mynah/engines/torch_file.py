"""Tensors out of a ``.pth`` file without torch, and without running what lies in it.

Such a file is a zip archive with a pickle, ``data.pkl``, and each tensor's bytes beside it.
A pickle is a program. Python's unpickler is not used at all: the few instructions that
``torch.save`` writes for dictionaries, lists, numbers, strings and tensors are interpreted
here, the functions that it names are looked up in a table of three, and any other instruction
or name refuses the file.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mynah.engines.untrusted_zip import damaged_archive, open_untrusted_zip, read_entry
from mynah.errors import InvalidRequest

MAX_INSTRUCTIONS = 200_000
MAX_PICKLE_BYTES = 4 * 1024 * 1024
MAX_ENTRIES = 4096

# torch's storage types that numpy has too
_STORAGES: Final[dict[tuple[str, str], np.dtype[Any]]] = {
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "DoubleStorage"): np.dtype("<f8"),
    ("torch", "HalfStorage"): np.dtype("<f2"),
    ("torch", "LongStorage"): np.dtype("<i8"),
    ("torch", "IntStorage"): np.dtype("<i4"),
    ("torch", "ShortStorage"): np.dtype("<i2"),
    ("torch", "CharStorage"): np.dtype("<i1"),
    ("torch", "ByteStorage"): np.dtype("<u1"),
}
_MARK: Final = object()


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Named:
    """A function that a file may call: ours, in place of torch's of that name."""

    call: Callable[..., object]


def load_torch_file(data: bytes) -> object:
    """What ``torch.save`` stored: nested dicts and lists of numpy arrays, numbers and strings.

    Raises InvalidRequest: ``unsafe_voice_file`` for any
    instruction, function or type beyond plain tensors, ``damaged_voice_file``.
    """
    with open_untrusted_zip(io.BytesIO(data), MAX_ENTRIES) as archive:
        entries = _Entries(archive)
        return _Interpreter(entries).run(entries.pickle)


class _Entries:
    """The archive's parts. They are stored, not compressed, so nothing can swell."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise damaged_archive("its entries are compressed, which torch does not do")
        self._archive = archive
        self._infos = {info.filename: info for info in infos}
        pickles = [name for name in self._infos if name.endswith("/data.pkl")]
        if len(pickles) != 1 or self._infos[pickles[0]].file_size > MAX_PICKLE_BYTES:
            raise damaged_archive("it was not written by torch.save")
        self._folder = pickles[0].removesuffix("data.pkl")
        self._storages: dict[str, npt.NDArray[Any]] = {}
        if self._has_order(b"big"):
            raise damaged_archive("its numbers are big-endian")
        self.pickle = self._read("data.pkl")

    def storage(self, key: str, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
        """The numbers of one tensor or of several, shape ``(count,)``; each is read once."""
        if key not in self._storages:
            data = self._read(f"data/{key}")
            if count < 0 or count * dtype.itemsize != len(data):
                raise damaged_archive("a tensor's size is not what it says")
            self._storages[key] = np.frombuffer(data, dtype)
        return self._storages[key]

    def _has_order(self, order: bytes) -> bool:
        return f"{self._folder}byteorder" in self._infos and self._read("byteorder") == order

    def _read(self, name: str) -> bytes:
        info = self._infos.get(self._folder + name)
        if info is None:
            raise damaged_archive(f"its entry {name} is missing")
        return read_entry(self._archive, info, info.compress_size)


class _Interpreter:
    """A stack machine for the instructions that plain data needs, and no others."""

    def __init__(self, entries: _Entries) -> None:
        self._entries = entries
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._names: dict[tuple[str, str], object] = {
            ("torch._utils", "_rebuild_tensor_v2"): _Named(_rebuild_tensor),
            ("torch._utils", "_rebuild_parameter"): _Named(_rebuild_parameter),
            ("collections", "OrderedDict"): _Named(_empty_dict),
            **{name: _StorageType(dtype) for name, dtype in _STORAGES.items()},
        }

    def run(self, pickle: bytes) -> object:
        """Interpret the pickle; the value that it leaves."""
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
                if count > MAX_INSTRUCTIONS:
                    raise damaged_archive("it holds too many values")
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._step(opcode.name, argument)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
            raise damaged_archive("its table of contents cannot be read") from error
        raise damaged_archive("its table of contents ends too soon")

    def _step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif (method := _METHODS.get(name)) is not None:
            method(self, argument)
        elif name not in _WITHOUT_EFFECT:
            raise _unsafe(f"the instruction {name}")

    def _push_name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        if (module, name) not in self._names:
            raise _unsafe(f"{module}.{name}")
        self._stack.append(self._names[module, name])

    def _call(self, _: object) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, _Named) or not isinstance(arguments, tuple):
            raise _unsafe("a call of something that is not a function")
        self._stack.append(function.call(*arguments))

    def _load_storage(self, _: object) -> None:
        kind, storage_type, key, _location, count = self._stack.pop()
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise _unsafe("a tensor of an unknown type")
        self._stack.append(self._entries.storage(str(key), storage_type.dtype, int(count)))

    def _memoize(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def _recall(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _push_mark(self, _: object) -> None:
        self._stack.append(_MARK)

    def _pop_to_mark(self) -> list[Any]:
        position = len(self._stack) - 1
        while self._stack[position] is not _MARK:
            if position == 0:
                raise damaged_archive("its table of contents cannot be read")
            position -= 1
        items = self._stack[position + 1 :]
        del self._stack[position:]
        return items

    def _make_tuple(self, _: object) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _tuple_of(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _append(self, _: object) -> None:
        item = self._stack.pop()
        _own(self._stack[-1], list).append(item)

    def _extend(self, _: object) -> None:
        items = self._pop_to_mark()
        _own(self._stack[-1], list).extend(items)

    def _set_item(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_all([key, value])

    def _set_items(self, _: object) -> None:
        self._set_all(self._pop_to_mark())

    def _drop_attributes(self, _: object) -> None:
        """A state_dict's note on its modules' versions: of no use here."""
        self._stack.pop()
        _own(self._stack[-1], dict)

    def _set_all(self, items: Sequence[Any]) -> None:
        target = _own(self._stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_own(key, str | int)] = value


_LITERALS: Final = frozenset(
    {
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE"),
    }
)
_CONSTANTS: Final[dict[str, Callable[[], object]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_WITHOUT_EFFECT: Final = frozenset({"PROTO", "FRAME"})
_METHODS: Final[dict[str, Callable[[_Interpreter, Any], None]]] = {
    "GLOBAL": _Interpreter._push_name,
    "REDUCE": _Interpreter._call,
    "BINPERSID": _Interpreter._load_storage,
    "BINPUT": _Interpreter._memoize,
    "LONG_BINPUT": _Interpreter._memoize,
    "MEMOIZE": _Interpreter._memoize,
    "BINGET": _Interpreter._recall,
    "LONG_BINGET": _Interpreter._recall,
    "MARK": _Interpreter._push_mark,
    "TUPLE": _Interpreter._make_tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "APPEND": _Interpreter._append,
    "APPENDS": _Interpreter._extend,
    "SETITEM": _Interpreter._set_item,
    "SETITEMS": _Interpreter._set_items,
    "BUILD": _Interpreter._drop_attributes,
}


def _rebuild_tensor(
    storage: object, offset: object, shape: object, strides: object, *_: object
) -> npt.NDArray[Any]:
    """torch's ``_rebuild_tensor_v2``: a view of ``storage``, in elements, within its bounds."""
    if not isinstance(storage, np.ndarray):
        raise damaged_archive("a tensor has no storage")
    sizes, steps = _lengths(shape), _lengths(strides)
    if len(sizes) != len(steps) or not isinstance(offset, int) or offset < 0:
        raise damaged_archive("a tensor's shape cannot be read")
    if 0 in sizes:
        return np.zeros(sizes, storage.dtype)
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    # A step of 0 would make a small file look like a large tensor.
    if last >= storage.size or any(
        step == 0 and size > 1 for size, step in zip(sizes, steps, strict=True)
    ):
        raise damaged_archive("a tensor lies outside its storage")
    width = storage.dtype.itemsize
    view = np.lib.stride_tricks.as_strided(
        storage[offset:], sizes, [step * width for step in steps], writeable=False
    )
    if view.size > storage.size:
        raise damaged_archive("a tensor lies outside its storage")
    return view


def _lengths(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > 8:
        raise damaged_archive("a tensor's shape cannot be read")
    if any(not isinstance(length, int) or length < 0 for length in value):
        raise damaged_archive("a tensor's shape cannot be read")
    return value


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _empty_dict() -> dict[object, object]:
    return {}


def _own(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise damaged_archive("its table of contents cannot be read")
    return value


def _unsafe(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"The file holds more than tensors: {what}. It was not opened.", code="unsafe_voice_file"
    )
