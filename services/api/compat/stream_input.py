"""ElevenLabs' WebSockets: text in as it is written, speech out as it is spoken.

What is said there is the vendor's; the socket, the utterances and their sound are those of
``/ws/tts``. A connection has one context, or several beside each other, each with a voice, a text
and a sound of its own.

This module brings numpy, scipy and the encoder: the gateway imports it with the first socket.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mynah.contracts.speech import Markup
from mynah.errors import (
    Conflict,
    MynahError,
    NotAuthenticated,
    PermissionDenied,
    TooManyRequests,
)
from services.api.auth.caller import Caller, caller_of
from services.api.bootstrap import Container
from services.api.compat.bodies import load_said
from services.api.compat.envelopes import socket_error
from services.api.compat.formats import ELEVENLABS_FORMATS
from services.api.compat.input_text import DEFAULT_SCHEDULE, InputText
from services.api.compat.input_voicing import InputVoicing, Manner
from services.api.compat.orders import text_order
from services.api.compat.vendors import without_scheme
from services.api.live.sockets.conversation import (
    AUTHENTICATE_WITHIN_S,
    LOOK_S,
    REASON_READ_WITHIN_S,
    SCOPE,
)
from services.api.live.sockets.messages import END, FLUSH, read_object
from services.api.live.sockets.session import Session
from services.api.live.sockets.speaking import SpokenJob
from services.api.live.sockets.utterances import asker_of, order_utterance
from services.api.live.sockets.websocket import NORMAL, POLICY, SocketClosed
from services.api.schemas.compat_elevenlabs import InputMessageSchema
from services.api.use_cases.live_speech import LiveJob
from services.api.use_cases.speech import Requester
from services.api.use_cases.speech_order import SpeechOrder

MOST_CONTEXTS = 5
_OPENING = " "  # what a context's first message says, which is no text of it


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's request: what ``InputQuerySchema`` has read, whose voice, and who asks, if known.

    ``has_contexts``: whether messages name the context that they are for.
    """

    voice_name: str
    query: Mapping[str, Any]
    caller: Caller | None
    request_id: str
    has_contexts: bool


@dataclass(slots=True)
class StreamInput:
    """One client. ``admit`` is called once it is known who it is.

    ``ask`` reads the request: what is wrong with it is said on the socket, as the vendor does.
    """

    container: Container
    socket: Session
    ask: Callable[[], Asked]
    admit: Callable[[Caller], None]
    _contexts: dict[str, _Context] = field(default_factory=dict)
    _closed: list[_Context] = field(default_factory=list)  # of which something is still heard
    _is_over: bool = False

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
    def _every(self) -> list[_Context]:
        return [*self._contexts.values(), *self._closed]

    def _talk(self) -> None:
        asked = self.ask()
        caller = self._admitted(asked.caller) if asked.caller else None
        longest_s = asked.query["inactivity_timeout"]
        said = self._receive(longest_s if caller else AUTHENTICATE_WITHIN_S)
        if said is None:
            raise _timed_out(longest_s)
        caller = caller or self._admitted(self._named_by(said))
        quiet_since = time.monotonic()
        while not self._is_over or self._every:
            if said is not None:
                self._hear(asked, caller, said)
            if self._advance(is_quiet=said is None) or said is not None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > longest_s:
                raise _timed_out(longest_s)
            said = self._receive(LOOK_S)
        self.socket.close(NORMAL, "done")

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        message = self.socket.receive(timeout_s)
        return None if message is None else load_said(InputMessageSchema, read_object(message))

    def _named_by(self, said: dict[str, Any]) -> Caller:
        credential = said.get("key") or without_scheme(said.get("authorization", ""))
        if not credential:
            raise NotAuthenticated("Send a key, in a header or in the first message.")
        return caller_of(self.container, credential)

    def _admitted(self, caller: Caller) -> Caller:
        if SCOPE not in caller.scopes:
            raise PermissionDenied(f"This needs the scope {SCOPE}.", code="missing_scope")
        self.admit(caller)
        return caller

    def _hear(self, asked: Asked, caller: Caller, said: dict[str, Any]) -> None:
        """Take a message: for a context that is there, or one that begins with it."""
        if asked.has_contexts and said["close_socket"]:
            self._is_over = True
            for open_one in self._contexts.values():
                open_one.end()
            return
        name = said["context_id"] if asked.has_contexts else ""
        context = self._contexts.get(name)
        if context is None and not self._is_over and (said.get("text") or not asked.has_contexts):
            context = self._open(asked, caller, name, said)
        if context is None:
            return
        if asked.has_contexts and said["close_context"]:
            context.close()
            self._closed.append(self._contexts.pop(name))
        elif not asked.has_contexts and said.get("text") == "":
            self._is_over = True
            context.end()
        else:
            context.hear(said, is_auto=asked.query["auto_mode"])

    def _open(self, asked: Asked, caller: Caller, name: str, said: dict[str, Any]) -> _Context:
        if len(self._every) >= MOST_CONTEXTS:
            message = f"A connection has {MOST_CONTEXTS} contexts at most."
            raise TooManyRequests(message, code="max_contexts_exceeded")
        query, settings = asked.query, self.container.settings
        order = text_order(
            self.container, caller.user_id, asked.voice_name, {**query, **said, "text": ""}
        )
        schedule = said.get("generation_config", {}).get("chunk_length_schedule", DEFAULT_SCHEDULE)
        if query["enable_ssml_parsing"]:  # only who wrote it knows where its elements end
            order, schedule = replace(order, markup=Markup.SSML, unknown_tags="speak"), ()
        manner = Manner(
            format=ELEVENLABS_FORMATS[query["output_format"]],
            sync_alignment=query["sync_alignment"],
            at_end=None if asked.has_contexts else self._end,
            marks={"contextId": name} if asked.has_contexts else {},
        )
        language = order.language or "en"
        text = InputText(
            language, schedule, settings.max_sync_characters, settings.max_text_characters
        )
        speaker = _Speaker(self.container, asker_of(caller, asked.request_id), order)
        voicing = InputVoicing(self.container, self.socket, manner)
        self._contexts[name] = _Context(speaker, text, voicing)
        return self._contexts[name]

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


@dataclass(frozen=True, slots=True)
class _Speaker:
    """On whose behalf a context's texts are spoken, and how."""

    container: Container
    asker: Requester
    order: SpeechOrder

    def speak(self, text: str) -> LiveJob | None:
        """Raises what ``order_utterance`` does."""
        order = replace(self.order, text=text)
        return order_utterance(self.container, self.asker, order)


class _Context:
    """A text, and its sound."""

    def __init__(self, speaker: _Speaker, text: InputText, voicing: InputVoicing) -> None:
        self._speaker = speaker
        self._text = text
        self._voicing = voicing
        self._utterances = 0
        self._is_new = True
        self._is_flushed = False
        self._is_ending = False
        self._is_unmarked = False  # something was spoken behind the last mark
        self._mark = ""  # that is due behind the text that is

    @property
    def has_ended(self) -> bool:
        """Whether all was heard that ever will be."""
        return self._voicing.has_ended

    @property
    def is_busy(self) -> bool:
        """Whether something is to be heard."""
        return self._text.has_due or self._voicing.is_busy

    def hear(self, said: dict[str, Any], *, is_auto: bool) -> None:
        """Take an increment. Raises Conflict when too much waits."""
        text, self._is_new, is_new = said.get("text", ""), False, self._is_new
        if self._is_ending:
            return
        if text and not (is_new and text == _OPENING):
            self._text.add(text)
            self._is_flushed = False
        if said["try_trigger_generation"]:
            self._text.ask()
        if said["flush"] or is_auto:
            self._text.flush()
        if said["flush"]:
            self._is_flushed, self._mark = True, FLUSH

    def end(self) -> None:
        """Speak what there is; nothing follows."""
        self._text.flush()
        self._is_ending, self._mark = True, END

    def close(self) -> None:
        """Nothing more is to be heard, but for what was flushed."""
        if not self._is_flushed:
            self._text.forget()
            self._voicing.interrupt()
        self.end()

    def advance(self, *, is_quiet: bool) -> None:
        """Have spoken what is to be, as far as there is room. Raises what went wrong with it."""
        if self._voicing.failure is not None:
            raise self._voicing.failure
        while not self._voicing.is_full and (text := self._text.take(is_quiet=is_quiet)):
            if text.strip() and (job := self._speaker.speak(text)) is not None:
                self._utterances += 1
                self._is_unmarked = True
                self._voicing.speak(SpokenJob(self._utterances, job), text)
        if self._mark and not self._text.has_due:
            if self._mark == END or self._is_unmarked:
                self._voicing.add(self._mark)
            self._mark, self._is_unmarked = "", False

    def stop(self) -> None:
        """Drop all that was not heard."""
        self._voicing.stop()


def _timed_out(after_s: float) -> Conflict:
    message = (
        f"No text came within {after_s:g} seconds. Send an empty text as the last message "
        "when all was sent, or set inactivity_timeout."
    )
    return Conflict(message, code="input_timeout_exceeded")
