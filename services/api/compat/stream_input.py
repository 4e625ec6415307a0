"""ElevenLabs' WebSockets for a text: in as it is written, out as it is spoken.

The utterances and their sound are those of ``/ws/tts``. A connection has one context, or several
beside each other, each with a text and a sound of its own.

This module brings numpy, scipy and the encoder: the gateway imports it with the first socket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from marshmallow import Schema

from mynah.contracts.speech import Markup
from mynah.errors import TooManyRequests
from services.api.compat.formats import ELEVENLABS_FORMATS
from services.api.compat.input_context import InputContext, Speaker, Talker
from services.api.compat.input_socket import Asked, InputSocket
from services.api.compat.input_text import DEFAULT_SCHEDULE, InputText
from services.api.compat.input_voicing import InputVoicing, Manner
from services.api.compat.orders import text_order
from services.api.schemas.compat_elevenlabs import InputMessageSchema

MOST_CONTEXTS = 5


@dataclass(slots=True, kw_only=True)
class StreamInput(InputSocket):
    """One client. ``has_contexts``: whether messages name the context that they are for."""

    voice_name: str
    has_contexts: bool

    message_schema: ClassVar[type[Schema]] = InputMessageSchema

    def _hear(self, asked: Asked, talker: Talker, said: dict[str, Any]) -> None:
        """Take a message: for a context that is there, or one that begins with it."""
        if self.has_contexts and said["close_socket"]:
            self._is_over = True
            for open_one in self._contexts.values():
                open_one.end()
            return
        name = said["context_id"] if self.has_contexts else ""
        context = self._contexts.get(name)
        if context is None and not self._is_over and (said.get("text") or not self.has_contexts):
            context = self._open(asked, talker, name, said)
        if context is None:
            return
        if self.has_contexts and said["close_context"]:
            context.close()
            self._closed.append(self._contexts.pop(name))
        elif not self.has_contexts and said.get("text") == "":
            self._is_over = True
            context.end()
        else:
            context.hear(said, is_auto=asked.query["auto_mode"])

    def _open(self, asked: Asked, talker: Talker, name: str, said: dict[str, Any]) -> InputContext:
        if len(self._every) >= MOST_CONTEXTS:
            message = f"A connection has {MOST_CONTEXTS} contexts at most."
            raise TooManyRequests(message, code="max_contexts_exceeded")
        query, settings = asked.query, self.container.settings
        body = {**query, **said, "text": ""}
        order = text_order(self.container, talker.caller.user_id, self.voice_name, body)
        schedule = said.get("generation_config", {}).get("chunk_length_schedule", DEFAULT_SCHEDULE)
        if query["enable_ssml_parsing"]:  # only who wrote it knows where its elements end
            order, schedule = replace(order, markup=Markup.SSML, unknown_tags="speak"), ()
        manner = Manner(
            format=ELEVENLABS_FORMATS[query["output_format"]],
            sync_alignment=query["sync_alignment"],
            at_end=None if self.has_contexts else self._end,
            marks={"contextId": name} if self.has_contexts else {},
        )
        text = InputText(
            order.language or "en",
            schedule,
            settings.max_sync_characters,
            settings.max_text_characters,
        )
        voicing = InputVoicing(self.container, self.socket, manner)
        context = InputContext(Speaker(self.container, talker, order), text, voicing)
        self._contexts[name] = context
        return context
