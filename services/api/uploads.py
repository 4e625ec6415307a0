"""The request class: it closes the temporary files of an upload however the request ends."""

from __future__ import annotations

from typing import IO, Any

from flask import Request


class GatewayRequest(Request):
    """A request whose files are closed with it, also those of a body that was cut off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._file_streams: list[IO[bytes]] = []

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        stream = super()._get_file_stream(
            total_content_length, content_type, filename, content_length
        )
        self._file_streams.append(stream)
        return stream

    def close(self) -> None:
        """Close the request and every file that it opened."""
        super().close()
        for stream in self._file_streams:
            stream.close()
