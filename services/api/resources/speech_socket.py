"""/ws/tts: speech over a WebSocket, for devices and apps. Described in ``docs/streaming.md``."""

from __future__ import annotations

from flask import Blueprint, Response, request

from services.api.auth.caller import Caller, caller_of, current_caller
from services.api.bootstrap import Container, current_container
from services.api.live.sockets.session import Session
from services.api.live.sockets.upgrade import SocketSlot, answer_socket
from services.api.live.sockets.websocket import WebSocket

blp = Blueprint("speech socket", __name__)


@blp.route("/ws/tts", websocket=True)  # any other request gets 400
def speak() -> Response:
    """Talk over a WebSocket until somebody ends it."""
    container = current_container()
    caller = _known_caller(container)
    with SocketSlot(container) as slot:
        slot.take(caller)

        def talk(socket: WebSocket, request_id: str) -> str:
            # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
            from services.api.live.sockets.conversation import Conversation  # noqa: PLC0415

            settings = container.settings
            session = Session(
                socket,
                resume_s=settings.socket_resume_s,
                kept_bytes=settings.socket_kept_kib * 1024,
                lay_aside=slot.lay_aside,
            )
            return Conversation(container, session, request_id, caller, slot.take).run()

        return answer_socket(container, talk)


def _known_caller(container: Container) -> Caller | None:
    """Who the headers or the query name; None when they name nobody. Raises NotAuthenticated."""
    if token := request.args.get("token"):
        return caller_of(container, token)
    has_credentials = "X-API-Key" in request.headers or "Authorization" in request.headers
    return current_caller() if has_credentials else None
