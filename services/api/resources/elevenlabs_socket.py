"""ElevenLabs' WebSockets: …/stream-input of a text or a dialogue, and …/multi-stream-input."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from marshmallow import Schema

from mynah.errors import MynahError
from services.api.auth.caller import Caller, caller_of, current_caller
from services.api.auth.single_use_tokens import spend_single_use_token
from services.api.bootstrap import Container, current_container
from services.api.compat.bodies import read_query
from services.api.compat.vendors import without_scheme
from services.api.live.sockets.session import Session
from services.api.live.sockets.upgrade import SocketSlot, answer_socket
from services.api.live.sockets.websocket import WebSocket
from services.api.schemas.compat_elevenlabs import InputQuerySchema, SocketQuerySchema

if TYPE_CHECKING:
    from services.api.compat.input_socket import Asked, InputSocket

blp = Blueprint("elevenlabs socket", __name__, url_prefix="/v1")

#: Makes what talks, of its session, what was asked, and whom to tell who it is.
_Open = Callable[[Session, "Callable[[], Asked]", Callable[[Caller], None]], "InputSocket"]


@blp.route("/text-to-speech/<voice_id>/stream-input", websocket=True)  # others get 400
def stream_input(voice_id: str) -> Response:
    """Speak a text as it is written, until it ends."""
    return _talk_of_texts(voice_id, has_contexts=False)


@blp.route("/text-to-speech/<voice_id>/multi-stream-input", websocket=True)
def multi_stream_input(voice_id: str) -> Response:
    """Speak several texts beside each other."""
    return _talk_of_texts(voice_id, has_contexts=True)


@blp.route("/text-to-dialogue/stream-input", websocket=True)
def dialogue_input() -> Response:
    """Speak a dialogue as it is written, until it ends."""
    container = current_container()

    def open_(
        session: Session, ask: Callable[[], Asked], admit: Callable[[Caller], None]
    ) -> InputSocket:
        # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
        from services.api.compat.dialogue_input import DialogueInput  # noqa: PLC0415

        return DialogueInput(container, session, ask, admit)

    return _talk(container, SocketQuerySchema, open_)


def _talk_of_texts(voice_id: str, *, has_contexts: bool) -> Response:
    container = current_container()

    def open_(
        session: Session, ask: Callable[[], Asked], admit: Callable[[Caller], None]
    ) -> InputSocket:
        # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
        from services.api.compat.stream_input import StreamInput  # noqa: PLC0415

        return StreamInput(
            *(container, session, ask, admit), voice_name=voice_id, has_contexts=has_contexts
        )

    return _talk(container, InputQuerySchema, open_)


def _talk(container: Container, query_schema: type[Schema], open_: _Open) -> Response:
    # A single-use token is worth nothing when it is looked at again.
    find_caller = cache(lambda: _known_caller(container))
    with SocketSlot(container) as slot:
        _take(slot, find_caller)

        def talk(socket: WebSocket, request_id: str) -> str:
            from services.api.compat.input_socket import Asked  # noqa: PLC0415

            def ask() -> Asked:
                return Asked(read_query(query_schema), find_caller(), request_id)

            session = Session(socket, resume_s=0, kept_bytes=0, lay_aside=slot.lay_aside)
            return open_(session, ask, slot.take).run()

        return answer_socket(container, talk)


def _take(slot: SocketSlot, find_caller: Callable[[], Caller | None]) -> None:
    """The slot of who is known already; else a stranger's.

    What is wrong with the credentials, and that a user has too many, is told on the socket.
    """
    with suppress(MynahError):
        if caller := find_caller():
            slot.take(caller)
            return
    slot.take(None)


def _known_caller(container: Container) -> Caller | None:
    """Who the headers or the query name; None when they name nobody. Raises NotAuthenticated."""
    if token := request.args.get("single_use_token"):
        return spend_single_use_token(container, token)
    if authorization := request.args.get("authorization"):
        return caller_of(container, without_scheme(authorization))
    names = ("xi-api-key", "X-API-Key", "Authorization")
    return current_caller() if any(name in request.headers for name in names) else None
