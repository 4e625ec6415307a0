"""What is said on one WebSocket: text in as it is written, speech out as it is spoken.

The gateway's thread reads messages and orders speech; a thread beside it sends the sound. Each
text that is complete is a live job of its own: jobs are spoken in parallel and heard in order.

This module brings numpy, scipy and the encoder: the gateway imports it with the first socket.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from marshmallow import ValidationError

from mynah.errors import Conflict, InvalidRequest, MynahError, NotAuthenticated, PermissionDenied
from services.api.auth.caller import Caller, caller_of
from services.api.auth.standing import UTTERANCE_LOOK_S, Standing
from services.api.bootstrap import Container
from services.api.live.sockets.device_profiles import DEVICE_PROFILES
from services.api.live.sockets.ears import Ears
from services.api.live.sockets.increments import Increments
from services.api.live.sockets.messages import END, FLUSH, read_message, show
from services.api.live.sockets.relaying import Relay
from services.api.live.sockets.session import Received, Session
from services.api.live.sockets.speaking import SpokenJob, Voicing
from services.api.live.sockets.talk import Talk
from services.api.live.sockets.utterances import asker_of, order_utterance
from services.api.live.sockets.websocket import NORMAL, POLICY, SocketClosed
from services.api.schemas.live import ConversationSchema, ResumeSchema
from services.api.use_cases.speech import Requester
from services.api.use_cases.speech_order import SpeechOrder

LOOK_S = 0.2
AUTHENTICATE_WITHIN_S = 5.0
REASON_READ_WITHIN_S = 1.0
SCOPE = "speech:write"


def ensure_may_speak(caller: Caller) -> None:
    """Raises PermissionDenied."""
    if SCOPE not in caller.scopes:
        raise PermissionDenied(f"This needs the scope {SCOPE}.", code="missing_scope")


@dataclass(slots=True)
class Conversation:
    """One client. ``caller`` None: it has to authenticate first, and then ``admit`` is called."""

    container: Container
    socket: Session
    request_id: str
    caller: Caller | None
    admit: Callable[[Caller], None]
    _standing: Standing | None = None
    _order: SpeechOrder | None = None
    _voicing: Voicing | None = None
    _increments: Increments | None = None
    _utterances: int = 0
    _ears: Ears = field(default_factory=Ears)
    # What is said is put in order by the thread that reads and by the one that answers questions.
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def run(self) -> str:
        """Talk until somebody ends it; returns why it ended. Never raises MynahError."""
        try:
            self._talk()
            return "end"
        except SocketClosed as closed:
            return closed.reason
        except MynahError as error:
            self._refuse(error)
            return error.code
        finally:
            self.container.sessions.remove(self.socket)
            self._ears.stop()
            if self._voicing is not None:
                self._voicing.stop()

    def _talk(self) -> None:
        standing = self._authenticate()
        settings, quiet_since = self.container.settings, time.monotonic()
        while True:
            message = self.socket.receive(LOOK_S)
            standing.ensure_beside(settings.credential_check_interval_s)
            if self._voicing is not None and self._voicing.has_ended:
                self.socket.finish(NORMAL, "done")
                return
            if isinstance(message, str) or self._is_busy:
                quiet_since = time.monotonic()
            if isinstance(message, str):
                said = read_message(message)
                if said["type"] == "resume" and self._voicing is None:
                    del said["type"]
                    self._resume(said)
                    return
                self._handle(said)
            elif message is not None:
                self._ears.take(message)
            if time.monotonic() - quiet_since > settings.socket_idle_timeout_s:
                raise Conflict("Nothing was said for too long.", code="idle_timeout")

    @property
    def _is_busy(self) -> bool:
        """Whether somebody speaks, the device or its owner; sound alone is no speech."""
        return (self._voicing is not None and self._voicing.is_busy) or self._ears.is_busy

    def _authenticate(self) -> Standing:
        """Take credentials in the first message, unless the request had some."""
        if self.caller is None:
            message = self.socket.receive(AUTHENTICATE_WITHIN_S)
            if not isinstance(message, str):
                raise NotAuthenticated("Authenticate before anything else.")
            said = read_message(message)
            if said["type"] != "authenticate":
                raise NotAuthenticated("Authenticate before anything else.")
            self.caller = self._caller_who_says(said)
            self.admit(self.caller)
        ensure_may_speak(self.caller)
        self._standing = Standing(self.container.new_uow, self.caller.grant)
        self.socket.send(
            show(
                "ready",
                profiles=sorted(DEVICE_PROFILES),
                session=self.container.sessions.name(self.socket),
                resume_s=self.container.settings.socket_resume_s,
            )
        )
        return self._standing

    def _caller_who_says(self, said: dict[str, Any]) -> Caller:
        """Raises NotAuthenticated."""
        if not isinstance(said.get("token"), str):
            raise NotAuthenticated("Authenticate with a token.")
        return caller_of(self.container, said["token"])

    def _renew(self, said: dict[str, Any]) -> None:
        """Go on with newer credentials of the same account, whatever becomes of the first ones."""
        caller = self._caller_who_says(said)
        ensure_may_speak(caller)
        if self._standing is None or caller.user_id != self._standing.user_id:
            raise PermissionDenied("This is another account's.", code="other_account")
        self.caller = caller
        self._standing.renew(caller.grant)
        self.socket.send(show("authenticated"))

    def _handle(self, said: dict[str, Any]) -> None:
        kind = said.pop("type")
        if kind == "start":
            self._start(said)
            return
        if kind == "ping":
            self.socket.send(show("pong"))
            return
        if kind == "authenticate":
            self._renew(said)
            return
        voicing = self._voicing
        if voicing is None:
            raise Conflict("Send start before anything else.", code="not_started")
        if kind == "text":
            self._hear(said.get("text"))
        elif kind == FLUSH:
            self._flush()
            voicing.add(kind)
        elif kind == END:
            self._flush()
            self._ears.end(partial(voicing.add, kind))
        elif kind == "interrupt":
            self._interrupt()
        elif kind == "listen":
            self._ears.listen(self._talk_of(voicing), said)
        elif kind == "audio_end":
            self._ears.end_question()
        else:
            raise InvalidRequest("There is no such message.", code="unknown_message")

    def _start(self, said: dict[str, Any]) -> None:
        """Take how to speak. Raises Conflict when that was said before."""
        if self._voicing is not None:
            raise Conflict("It has started already.", code="already_started")
        try:
            profile_name, order = ConversationSchema().load(said)
        except ValidationError as error:
            raise InvalidRequest("The start is not valid.", fields=error.messages_dict) from None
        self._order = order.speech
        limit = self.container.settings.max_sync_characters
        self._increments = Increments(order.speech.language or "en", limit)
        profile = DEVICE_PROFILES[profile_name]
        self._voicing = Voicing(self.container, self.socket, profile, is_adaptive=order.is_adaptive)
        self.socket.begin()
        if self._standing is not None:
            self.container.sessions.add(self.socket, self._standing)

    def _resume(self, said: dict[str, Any]) -> None:
        """Carry on a conversation that broke, wherever it is, until it ends."""
        try:
            found = ResumeSchema().load(said)
        except ValidationError as error:
            raise InvalidRequest("The resume is not valid.", fields=error.messages_dict) from None
        received = Received(found["received_bytes"], found["received_events"])
        if self.caller is not None:
            relay = Relay(self.container.sessions.lines, self.socket)
            relay.run(found["session"], self.caller.grant, received)

    def _hear(self, text: Any) -> None:
        """Take an increment; say what is complete."""
        if not isinstance(text, str) or "\x00" in text:
            raise InvalidRequest("text must be a string.", code="invalid_text")
        with self._turn:
            for complete in self._increments.add(text) if self._increments else ():
                self._say(complete)

    def _flush(self) -> None:
        """Say what waits, though no sentence ended."""
        with self._turn:
            if self._increments is not None:
                self._say(self._increments.take_all())

    def _interrupt(self) -> None:
        """Be silent, and forget what waits and what is being answered."""
        with self._turn:
            if self._increments is not None and self._voicing is not None:
                self._increments.take_all()
                self._ears.drop_answer()
                self._voicing.interrupt()

    def _talk_of(self, voicing: Voicing) -> Talk:
        """What hearing needs. Needs a caller and an order, which ``start`` has brought."""
        order, asker = self._order, self._asker
        if order is None or asker is None:
            raise Conflict("Send start before anything else.", code="not_started")

        def speak(text: str, is_dropped: threading.Event) -> None:
            with self._turn:
                if not is_dropped.is_set():
                    self._say(text)

        def mark(name: str, is_dropped: threading.Event) -> None:
            with self._turn:
                if not is_dropped.is_set():
                    voicing.add(name)

        return Talk(
            self.container, self.socket, asker, order, voicing, speak, mark, self._interrupt
        )

    @property
    def _asker(self) -> Requester | None:
        return None if self.caller is None else asker_of(self.caller, self.request_id)

    def _say(self, text: str) -> None:
        """Have a text spoken behind what waits. Raises Conflict when too much waits."""
        voicing, order, asker = self._voicing, self._order, self._asker
        if not text.strip() or voicing is None or order is None or asker is None:
            return
        with self._turn:
            if self._standing is not None:
                self._standing.ensure(UTTERANCE_LOOK_S)
            if voicing.is_full:
                raise Conflict("Too much waits to be spoken; slow down.", code="too_much_waiting")
            job = order_utterance(self.container, asker, replace(order, text=text))
            if job is None:
                return
            self._utterances += 1
            accepted = show(
                "accepted", utterance=self._utterances, job_id=str(job.id), text=job.text
            )
            try:
                self.socket.send(accepted)
            finally:  # who sends the sound ends a job that nobody hears
                voicing.add(SpokenJob(self._utterances, job))

    def _refuse(self, error: MynahError) -> None:
        try:
            self.socket.send(
                show("error", error_code=error.code, message=error.message, errors=error.fields)
            )
        except SocketClosed:
            return
        self.socket.close(POLICY, error.code)
        # Closing with something unread would take back what was just said.
        self.socket.await_goodbye(REASON_READ_WITHIN_S)
