"""Send an object of the store, whole or a range of it."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response, request
from werkzeug.datastructures import ContentRange
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from mynah.storage.base import ObjectStore


def send_object(
    store: ObjectStore, key: str, filename: str, *, as_attachment: bool = True
) -> Response:
    """Stream an object in chunks; understands Range and HEAD. Raises NotFound."""
    info = store.stat(key)
    start, stop = _requested_range(info.size_bytes)
    is_part = stop - start != info.size_bytes
    body = iter(()) if request.method == "HEAD" else store.iter_range(key, start, stop - start)
    response = Response(body, status=206 if is_part else 200, mimetype=info.content_type)
    response.content_length = stop - start
    response.accept_ranges = "bytes"
    if is_part:
        response.content_range = ContentRange("bytes", start, stop, info.size_bytes)
    kind = "attachment" if as_attachment else "inline"
    ascii_name = filename.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    response.headers["Content-Disposition"] = (
        f'{kind}; filename="{ascii_name.replace("?", "_")}"; '
        f"filename*=UTF-8''{quote(filename, safe='')}"
    )
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _requested_range(size_bytes: int) -> tuple[int, int]:
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return 0, size_bytes
    found = wanted.range_for_length(size_bytes)
    if found is None:
        raise RequestedRangeNotSatisfiable(size_bytes, "bytes")
    return found
