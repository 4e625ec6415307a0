"""One of ElevenLabs' WebSockets: who talks there, what ends it, and what is said of errors.

What is said there is the vendor's; the socket is that of ``/ws/tts``.

This module brings numpy, scipy and the encoder: the gateway imports it with the first socket.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from marshmallow import Schema

from mynah.errors import Conflict, MynahError, NotAuthenticated
from services.api.auth.caller import Caller, caller_of
from services.api.auth.single_use_tokens import spend_single_use_token
from services.api.auth.standing import Standing
from services.api.bootstrap import Container
from services.api.compat.bodies import load_said
from services.api.compat.envelopes import socket_error
from services.api.compat.input_context import InputContext, Talker
from services.api.compat.vendors import without_scheme
from services.api.live.sockets.conversation import (
    AUTHENTICATE_WITHIN_S,
    LOOK_S,
    REASON_READ_WITHIN_S,
    ensure_may_speak,
)
from services.api.live.sockets.messages import read_object
from services.api.live.sockets.session import Session
from services.api.live.sockets.websocket import NORMAL, POLICY, SocketClosed


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's request: what its query's schema has read, and who asks, if known."""

    query: Mapping[str, Any]
    caller: Caller | None
    request_id: str


@dataclass(slots=True)
class InputSocket(ABC):
    """One client. ``admit`` is called once it is known who it is.

    ``ask`` reads the request: what is wrong with it is said on the socket, as the vendor does.
    """

    container: Container
    socket: Session
    ask: Callable[[], Asked]
    admit: Callable[[Caller], None]
    _contexts: dict[str, InputContext] = field(default_factory=dict)
    _closed: list[InputContext] = field(default_factory=list)  # of which something is still heard
    _is_over: bool = False

    message_schema: ClassVar[type[Schema]]

    @abstractmethod
    def _hear(self, asked: Asked, talker: Talker, said: dict[str, Any]) -> None:
        """Take a message. Raises MynahError."""

    def run(self) -> str:
        """Talk until somebody ends it; returns why it ended. Never raises MynahError."""
        try:
            self._talk()
            return "end"
        except SocketClosed as closed:
            is_heard = all(context.has_ended for context in self._every)
            return "end" if self._is_over and is_heard else closed.reason
        except MynahError as error:
            self._refuse(error)
            return error.code
        finally:
            for context in self._every:
                context.stop()

    @property
    def _every(self) -> list[InputContext]:
        return [*self._contexts.values(), *self._closed]

    def _talk(self) -> None:
        asked = self.ask()
        caller = self._admitted(asked.caller) if asked.caller else None
        longest_s = asked.query["inactivity_timeout"]
        patience_s = longest_s if caller else AUTHENTICATE_WITHIN_S
        said = self._receive(patience_s)
        if said is None:
            raise _timed_out(patience_s)
        caller = caller or self._admitted(self._named_by(said))
        standing = Standing(self.container.new_uow, caller.grant)
        talker, quiet_since = Talker(caller, standing, asked.request_id), time.monotonic()
        while not self._is_over or self._every:
            standing.ensure_beside(self.container.settings.credential_check_interval_s)
            if said is not None:
                self._hear(asked, talker, said)
            if self._advance(is_quiet=said is None) or said is not None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > longest_s:
                raise _timed_out(longest_s)
            said = self._receive(LOOK_S)
        self.socket.close(NORMAL, "done")

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        message = self.socket.receive(timeout_s)
        return None if message is None else load_said(self.message_schema, read_object(message))

    def _named_by(self, said: dict[str, Any]) -> Caller:
        if token := said.get("single_use_token"):
            return spend_single_use_token(self.container, token)
        credential = said.get("key") or without_scheme(said.get("authorization", ""))
        if not credential:
            raise NotAuthenticated("Send a key, in a header or in the first message.")
        return caller_of(self.container, credential)

    def _admitted(self, caller: Caller) -> Caller:
        ensure_may_speak(caller)
        self.admit(caller)
        return caller

    def _advance(self, *, is_quiet: bool) -> bool:
        """Have spoken what is to be; whether anything is. Raises what went wrong with it."""
        for context in self._every:
            context.advance(is_quiet=is_quiet)
        self._closed = [context for context in self._closed if not context.has_ended]
        ended = [name for name, context in self._contexts.items() if context.has_ended]
        for name in ended:
            del self._contexts[name]
        return any(context.is_busy for context in self._every)

    def _end(self) -> None:
        """All was heard. The thread of the sound says so at once."""
        self.socket.close(NORMAL, "done")

    def _refuse(self, error: MynahError) -> None:
        document = socket_error(error)
        try:
            self.socket.send(json.dumps({**document, "code": POLICY}))
        except SocketClosed:
            return
        self.socket.close(POLICY, document["error"])
        self.socket.await_goodbye(REASON_READ_WITHIN_S)


def _timed_out(after_s: float) -> Conflict:
    message = (
        f"No text came within {after_s:g} seconds. Send an empty text as the last message "
        "when all was sent, or set inactivity_timeout."
    )
    return Conflict(message, code="input_timeout_exceeded")
