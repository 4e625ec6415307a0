"""ElevenLabs' WebSocket for dialogues: lines of several voices as they are written.

This module brings numpy, scipy and the encoder: the gateway imports it with the first socket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from marshmallow import Schema

from mynah.errors import InvalidRequest
from services.api.compat.formats import ELEVENLABS_FORMATS
from services.api.compat.input_context import InputContext, Speaker, Talker
from services.api.compat.input_socket import Asked, InputSocket
from services.api.compat.input_text import DEFAULT_SCHEDULE, InputText
from services.api.compat.input_voicing import DialogueVoicing, Manner
from services.api.compat.orders import text_order
from services.api.schemas.compat_elevenlabs import DialogueMessageSchema


@dataclass(slots=True)
class DialogueInput(InputSocket):
    """One client. A turn ends with ``new_turn``, a flush, or the next voice."""

    _speakers: dict[str, Speaker] = field(default_factory=dict)
    _voice: str = ""  # that speaks now

    message_schema: ClassVar[type[Schema]] = DialogueMessageSchema

    def _hear(self, asked: Asked, talker: Talker, said: dict[str, Any]) -> None:
        """Take a message; the first one names the voices."""
        context = self._contexts.get("")
        if context is None and not self._is_over:
            context = self._open(asked, talker, said)
        if context is None:
            return
        for line in said["inputs"]:
            self._say(context, line)
        if said["flush"]:
            context.flush()
        if said["close_socket"]:
            self._is_over = True
            context.end()

    def _open(self, asked: Asked, talker: Talker, said: dict[str, Any]) -> InputContext:
        """Raises InvalidRequest without voices, NotFound, Conflict (not ready)."""
        names = said.get("voices")
        if not names:
            raise _not_valid("voices", "The first message names the voices.")
        body = {**asked.query, **said, "text": ""}
        for name in names:
            order = text_order(self.container, talker.caller.user_id, name, body)
            self._speakers[name] = Speaker(self.container, talker, order)
        manner = Manner(
            format=ELEVENLABS_FORMATS[asked.query["output_format"]],
            sync_alignment=asked.query["sync_alignment"],
            at_end=self._end,
            marks={},
        )
        self._voice = names[0]
        speaker = self._speakers[self._voice]
        voicing = DialogueVoicing(self.container, self.socket, manner)
        self._contexts[""] = InputContext(speaker, self._new_text(speaker, 0), voicing)
        return self._contexts[""]

    def _say(self, context: InputContext, line: dict[str, Any]) -> None:
        """Take a line. Raises InvalidRequest for another voice, Conflict (too much waits)."""
        name = line["voice_id"]
        speaker = self._speakers.get(name)
        if speaker is None:
            raise _not_valid("inputs", "A voice_id is none of the voices of the first message.")
        if line["new_turn"] or name != self._voice:
            context.begin_turn(speaker, self._new_text(speaker, context.waiting))
            self._voice = name
        context.add(line["text"])

    def _new_text(self, speaker: Speaker, waiting: int) -> InputText:
        settings = self.container.settings
        return InputText(
            speaker.order.language or "en",
            DEFAULT_SCHEDULE,
            settings.max_sync_characters,
            settings.max_text_characters - waiting,
        )


def _not_valid(name: str, message: str) -> InvalidRequest:
    return InvalidRequest("A message is not valid.", fields={name: [message]})
