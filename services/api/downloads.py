"""Send an object of the store, whole or a range of it."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from flask import Response, request
from werkzeug.datastructures import ContentRange
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from mynah.storage.base import ObjectInfo, ObjectStore

_UNQUOTABLE = str.maketrans({'"': "'", "\\": "_", "?": "_"})


def send_object(
    store: ObjectStore, key: str, filename: str, *, as_attachment: bool = True
) -> Response:
    """Stream an object in chunks; understands Range, If-Range, If-None-Match and HEAD.

    Raises NotFound. The tag holds as long as the key: objects are written once.
    """
    info = store.stat(key)
    tag = _tag_of(info)
    if request.method in ("GET", "HEAD") and request.if_none_match.contains(tag):
        response = Response(status=304)
        response.set_etag(tag)
        return response
    start, stop = _requested_range(info.size_bytes, tag)
    is_part = stop - start != info.size_bytes
    body = iter(()) if request.method == "HEAD" else store.iter_range(key, start, stop - start)
    response = Response(body, status=206 if is_part else 200, mimetype=info.content_type)
    response.set_etag(tag)
    response.content_length = stop - start
    response.accept_ranges = "bytes"
    if is_part:
        response.content_range = ContentRange("bytes", start, stop, info.size_bytes)
    kind = "attachment" if as_attachment else "inline"
    response.headers["Content-Disposition"] = f"{kind}; {filename_parameters(filename)}"
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def filename_parameters(filename: str) -> str:
    """A name as every browser reads it; control characters would end or break the header."""
    shown = "".join(character if character.isprintable() else "_" for character in filename)
    ascii_name = shown.encode("ascii", "replace").decode().translate(_UNQUOTABLE)
    return f"filename=\"{ascii_name}\"; filename*=UTF-8''{quote(shown, safe='')}"


def _tag_of(info: ObjectInfo) -> str:
    return hashlib.sha256(f"{info.key} {info.size_bytes}".encode()).hexdigest()[:32]


def _requested_range(size_bytes: int, tag: str) -> tuple[int, int]:
    wanted = request.range
    condition = request.headers.get("If-Range")
    if condition is not None and condition != f'"{tag}"':  # a part of something else
        return 0, size_bytes
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return 0, size_bytes
    start, _ = wanted.ranges[0]
    if start < -size_bytes:  # "the last n bytes" of a file that is shorter: all of it
        return 0, size_bytes
    found = wanted.range_for_length(size_bytes)
    if found is None:
        raise RequestedRangeNotSatisfiable(size_bytes, "bytes")
    return found
