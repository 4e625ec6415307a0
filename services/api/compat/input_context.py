"""A text that is spoken as it is written, and its sound: one of those of an ElevenLabs' WebSocket.

This module brings numpy, scipy and the encoder: the gateway imports it with the first socket.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from mynah.errors import Conflict
from services.api.auth.caller import Caller
from services.api.auth.standing import UTTERANCE_LOOK_S, Standing
from services.api.bootstrap import Container
from services.api.compat.input_text import InputText
from services.api.compat.input_voicing import TURN, InputVoicing
from services.api.live.sockets.messages import END, FLUSH
from services.api.live.sockets.speaking import SpokenJob
from services.api.live.sockets.utterances import asker_of, order_utterance
from services.api.use_cases.live_speech import LiveJob
from services.api.use_cases.speech_order import SpeechOrder

#: Turns that may wait to be spoken.
MOST_TURNS = 100
_OPENING = " "  # what a context's first message says, which is no text of it


@dataclass(frozen=True, slots=True)
class Talker:
    """Whose socket it is."""

    caller: Caller
    standing: Standing
    request_id: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """On whose behalf texts are spoken, and how."""

    container: Container
    talker: Talker
    order: SpeechOrder

    def speak(self, text: str) -> LiveJob | None:
        """Raises what ``order_utterance`` does, NotAuthenticated."""
        self.talker.standing.ensure(UTTERANCE_LOOK_S)
        asker = asker_of(self.talker.caller, self.talker.request_id)
        return order_utterance(self.container, asker, replace(self.order, text=text))


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one speaker says until another one does."""

    speaker: Speaker
    text: InputText


class InputContext:
    """A text, of one speaker or of several in turn, and its sound."""

    def __init__(self, speaker: Speaker, text: InputText, voicing: InputVoicing) -> None:
        self._turns = deque([_Turn(speaker, text)])
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
        return any(turn.text.has_due for turn in self._turns) or self._voicing.is_busy

    @property
    def waiting(self) -> int:
        """Characters that have come and were not spoken."""
        return sum(turn.text.waiting for turn in self._turns)

    @property
    def _text(self) -> InputText:
        """To which what comes belongs."""
        return self._turns[-1].text

    def begin_turn(self, speaker: Speaker, text: InputText) -> None:
        """What comes is said by this speaker, behind all that has come.

        Raises Conflict when too many wait.
        """
        if self._is_ending:
            return
        if len(self._turns) >= MOST_TURNS:
            raise Conflict("Too much waits to be spoken; slow down.", code="too_much_waiting")
        self._text.flush()
        self._turns.append(_Turn(speaker, text))

    def add(self, text: str) -> None:
        """Take an increment. Raises Conflict when too much waits."""
        if text and not self._is_ending:
            self._text.add(text)
            self._is_flushed = False

    def flush(self) -> None:
        """Speak all that has come, to its last sample."""
        if not self._is_ending:
            self._text.flush()
            self._is_flushed, self._mark = True, FLUSH

    def hear(self, said: dict[str, Any], *, is_auto: bool) -> None:
        """Take a message. Raises Conflict when too much waits."""
        text, self._is_new, is_new = said.get("text", ""), False, self._is_new
        if not (is_new and text == _OPENING):
            self.add(text)
        if said["try_trigger_generation"]:
            self._text.ask()
        if is_auto and not self._is_ending:
            self._text.flush()
        if said["flush"]:
            self.flush()

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
        self._speak_of(self._turns[0], is_quiet=is_quiet)
        while len(self._turns) > 1 and not self._turns[0].text.has_due:
            self._turns.popleft()
            if self._is_unmarked:
                self._voicing.add(TURN)
            self._speak_of(self._turns[0], is_quiet=is_quiet)
        if self._mark and len(self._turns) == 1 and not self._text.has_due:
            if self._mark == END or self._is_unmarked:
                self._voicing.add(self._mark)
            self._mark, self._is_unmarked = "", False

    def _speak_of(self, turn: _Turn, *, is_quiet: bool) -> None:
        while not self._voicing.is_full and (text := turn.text.take(is_quiet=is_quiet)):
            if text.strip() and (job := turn.speaker.speak(text)) is not None:
                self._utterances += 1
                self._is_unmarked = True
                self._voicing.speak(SpokenJob(self._utterances, job), text)

    def stop(self) -> None:
        """Drop all that was not heard."""
        self._voicing.stop()
