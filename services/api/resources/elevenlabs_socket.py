"""/v1/text-to-speech/{voice}/stream-input and /multi-stream-input: ElevenLabs' WebSockets."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, Response, request

from mynah.errors import MynahError
from services.api.auth.caller import Caller, caller_of, current_caller
from services.api.bootstrap import Container, current_container
from services.api.compat.bodies import read_query
from services.api.compat.vendors import without_scheme
from services.api.live.sockets.session import Session
from services.api.live.sockets.upgrade import SocketSlot, answer_socket
from services.api.live.sockets.websocket import WebSocket
from services.api.schemas.compat_elevenlabs import InputQuerySchema

blp = Blueprint("elevenlabs socket", __name__, url_prefix="/v1/text-to-speech")


@blp.route("/<voice_id>/stream-input", websocket=True)  # any other request gets 400
def stream_input(voice_id: str) -> Response:
    """Speak a text as it is written, until it ends."""
    return _talk(voice_id, has_contexts=False)


@blp.route("/<voice_id>/multi-stream-input", websocket=True)
def multi_stream_input(voice_id: str) -> Response:
    """Speak several texts beside each other."""
    return _talk(voice_id, has_contexts=True)


def _talk(voice_id: str, *, has_contexts: bool) -> Response:
    container = current_container()
    with SocketSlot(container) as slot:
        _take(slot, container)

        def talk(socket: WebSocket, request_id: str) -> str:
            # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
            from services.api.compat.stream_input import Asked, StreamInput  # noqa: PLC0415

            def ask() -> Asked:
                query = read_query(InputQuerySchema)
                caller = _known_caller(container, query.get("authorization"))
                return Asked(voice_id, query, caller, request_id, has_contexts)

            session = Session(socket, resume_s=0, kept_bytes=0, lay_aside=slot.lay_aside)
            return StreamInput(container, session, ask, slot.take).run()

        return answer_socket(container, talk)


def _take(slot: SocketSlot, container: Container) -> None:
    """The slot of who is known already; else nobody's, of which there are as few as of a user's.

    What is wrong with the credentials, and that a user has too many, is told on the socket.
    """
    with suppress(MynahError):
        if caller := _known_caller(container, request.args.get("authorization")):
            slot.take(caller)
            return
    slot.take(None)


def _known_caller(container: Container, authorization: str | None) -> Caller | None:
    """Who the headers or the query name; None when they name nobody. Raises NotAuthenticated."""
    if authorization:
        return caller_of(container, without_scheme(authorization))
    names = ("xi-api-key", "X-API-Key", "Authorization")
    return current_caller() if any(name in request.headers for name in names) else None
