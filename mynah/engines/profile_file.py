"""Profiles as files: safetensors, stamped with engine, version and language. No pickle."""

from __future__ import annotations

import json
import struct

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mynah.engines.base import Profile
from mynah.errors import InvalidRequest

MAX_BYTES = 64 * 1024 * 1024
_MAX_HEADER_BYTES = 1024 * 1024
_META_PREFIX = "meta."


def dump_profile(profile: Profile) -> bytes:
    """A profile as the bytes of a file."""
    arrays = {name: np.ascontiguousarray(array) for name, array in profile.arrays.items()}
    stamp = {"engine": profile.engine, "version": profile.version, "language": profile.language}
    metadata = {**stamp, **{_META_PREFIX + name: text for name, text in profile.meta.items()}}
    return bytes(save(arrays, metadata=metadata))


def load_profile(data: bytes, engine: str) -> Profile:
    """A profile from a file. Raises InvalidRequest for another engine's or a damaged one."""
    if len(data) > MAX_BYTES:
        raise _invalid(f"it is larger than {MAX_BYTES} bytes")
    metadata = _read_metadata(data)
    made_by = metadata.get("engine")
    if made_by != engine:
        raise _invalid(f"it was made by {made_by!r}, not by {engine!r}")
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _invalid("it is damaged") from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise _invalid(f"its array {name!r} holds what is not a number")
    meta = {
        name.removeprefix(_META_PREFIX): text
        for name, text in metadata.items()
        if name.startswith(_META_PREFIX)
    }
    return Profile(engine, metadata.get("version", ""), metadata.get("language", ""), arrays, meta)


def _read_metadata(data: bytes) -> dict[str, str]:
    """The strings of the file's header (safetensors: 8 bytes of length, then JSON)."""
    if len(data) < 8:
        raise _invalid("it is too short")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise _invalid("its header is damaged")
    try:
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (ValueError, AttributeError, RecursionError) as error:
        raise _invalid("its header is damaged") from error
    if not isinstance(metadata, dict):
        raise _invalid("its header is damaged")
    return {str(name): str(text) for name, text in metadata.items()}


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The profile cannot be read: {why}.", code="invalid_profile")
