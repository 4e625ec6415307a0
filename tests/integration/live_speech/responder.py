"""An app's responder: a small HTTP server whose answer a test gives out part by part."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

END = None
CUT = b""


@dataclass
class Responder:
    """What was asked, and how to answer: ``parts`` are sent as they come, up to END or CUT."""

    url: str = ""
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    parts: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    #: Set when a connection ended before its answer did.
    was_left: threading.Event = field(default_factory=threading.Event)

    def answer(self, *parts: str) -> None:
        """Give out an answer, whole."""
        for part in parts:
            self.parts.put(part.encode())
        self.parts.put(END)

    def begin_anew(self) -> None:
        """Forget what was; who is still answering gets nothing of what is given out from now on."""
        self.parts.put(END)
        self.asked, self.parts = [], queue.Queue()
        self.was_left = threading.Event()
        self.status, self.content_type = 200, "text/plain; charset=utf-8"

    @property
    def questions(self) -> list[dict[str, Any]]:
        return [json.loads(body)["data"] for _, body in self.asked]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """The gateway hangs up."""


@contextmanager
def open_responder() -> Iterator[Responder]:
    """A responder on a port of its own."""
    responder = Responder()
    server = _Server(("127.0.0.1", 0), _handler_of(responder))
    responder.url = f"http://127.0.0.1:{server.server_port}/answer"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield responder
    finally:
        responder.parts.put(END)
        server.shutdown()
        server.server_close()
        thread.join()


def _handler_of(responder: Responder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            parts = responder.parts
            responder.asked.append((dict(self.headers), body))
            self.send_response(responder.status)
            self.send_header("Content-Type", responder.content_type)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while (part := parts.get(timeout=20)) not in (END, CUT):
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                if part is END:
                    self.wfile.write(b"0\r\n\r\n")
            except (OSError, queue.Empty):
                responder.was_left.set()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
