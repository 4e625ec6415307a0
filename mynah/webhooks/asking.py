"""Asking a responder: a signed POST whose answer is a text that is read as it comes."""

from __future__ import annotations

import codecs
import http.client
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from mynah.webhooks.addresses import Resolver, Target
from mynah.webhooks.connection import SendFailed, open_connection, refusal

MAX_ANSWER_BYTES = 64 * 1024
_READ_BYTES = 4096
TEXT_TYPE = "text/plain"


@dataclass(frozen=True, slots=True)
class ResponderClient:
    """Asks responders.

    ``timeout_s``: for the whole answer; ``silence_s``: for connecting, the first byte and between
    bytes.
    """

    resolve: Resolver
    timeout_s: float
    silence_s: float
    allow_private: bool = False

    def ask(
        self,
        target: Target,
        body: bytes,
        headers: Mapping[str, str],
        begun: Callable[[Callable[[], None]], None],
    ) -> Generator[str]:
        """The answer's text, UTF-8, as it comes; NUL is left out.

        ``begun`` gets what cuts the answer off, which any thread may call. Raises SendFailed:
        what ``open_connection`` does, status_refused, redirect_refused, answer_not_text,
        answer_too_long.
        """
        with open_connection(
            target,
            self.resolve,
            self.timeout_s,
            allow_private=self.allow_private,
            silence_s=self.silence_s,
        ) as connection:
            begun(connection.cut)
            with connection.post(body, headers) as response:
                _ensure_text(response)
                decoder = codecs.getincrementaldecoder("utf-8")("replace")
                for data in _read(response):
                    yield decoder.decode(data).replace("\x00", "")
                connection.ensure_goes_on()
                yield decoder.decode(b"", final=True)


def _read(response: http.client.HTTPResponse) -> Iterator[bytes]:
    left = MAX_ANSWER_BYTES
    while data := response.read1(_READ_BYTES):
        left -= len(data)
        if left < 0:
            raise SendFailed("answer_too_long")
        yield data
    if response.length:  # fewer bytes than were promised
        raise http.client.IncompleteRead(b"", response.length)


def _ensure_text(response: http.client.HTTPResponse) -> None:
    code = refusal(response.status)
    if code is not None:
        raise SendFailed(code, response.status)
    kind = response.headers.get_content_type()  # text/plain where none is given
    if kind != TEXT_TYPE:
        raise SendFailed("answer_not_text", response.status)
