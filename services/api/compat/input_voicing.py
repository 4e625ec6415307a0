"""The sound of text that comes in increments, in the messages of ElevenLabs' WebSockets.

This module brings numpy, scipy and the encoder: the gateway imports it with the first socket.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mynah.errors import MynahError
from mynah.text.alignment import CharacterTimes
from services.api.bootstrap import Container
from services.api.compat.formats import VendorFormat
from services.api.compat.timing import PieceTimes, spoken_words
from services.api.live.connection import StreamCut
from services.api.live.forms import StreamForm
from services.api.live.live_job import SpokenPart
from services.api.live.sockets.device_profiles import DeviceProfile
from services.api.live.sockets.messages import END
from services.api.live.sockets.session import Session
from services.api.live.sockets.speaking import SpokenJob, Voicing

TURN = "turn"  # the mark behind what one speaker said
_ANY_BITRATE_KBPS = 64  # of a format that has none to choose


@dataclass(frozen=True, slots=True)
class Manner:
    """How one text's sound is told.

    ``marks`` is in every message. ``sync_alignment``: a piece's sound goes with its times, and so
    waits for them. ``at_end`` is called behind the last message, by the thread that sends.
    """

    format: VendorFormat
    sync_alignment: bool
    at_end: Callable[[], None] | None
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Timed:
    """The times of an utterance, of which ``lead`` characters stand before its job's text."""

    utterance: int
    times: PieceTimes
    lead: int


class InputVoicing(Voicing):
    """Sends utterances as base64 in JSON, each piece's last sound with its characters' times."""

    def __init__(self, container: Container, socket: Session, manner: Manner) -> None:
        self._manner = manner
        self._held = b""
        self._is_holding = False
        self._texts: dict[int, str] = {}
        self._timed: _Timed | None = None
        self.failure: MynahError | None = None
        super().__init__(container, socket, _profile_of(manner.format), is_adaptive=False)

    def speak(self, item: SpokenJob, text: str) -> None:
        """Behind all that waits. ``text``: what the job's own is, with the spaces around it."""
        self._texts[item.utterance] = text
        self.add(item)

    def _announce(self, bitrate_kbps: int) -> None:  # noqa: ARG002 - nothing is announced
        if self._form is not None:
            self._held = self._form.start()

    def _sound(self, form: StreamForm, part: SpokenPart) -> int:
        self._is_holding = self._manner.sync_alignment or part.words is not None
        return super()._sound(form, part)

    def _send_bytes(self, data: bytes) -> int:
        if not data:
            return 0
        with self._gate:
            if self._is_silenced():
                raise StreamCut("interrupted")
            self._held += data
            if not self._is_holding:
                self._tell(self._held, None)
                self._held = b""
        return len(data)

    def _tell_segment(
        self, item: SpokenJob, part: SpokenPart, form: StreamForm, frames: int
    ) -> None:
        if self._timed is None or self._timed.utterance != item.utterance:
            self._timed = self._timed_of(item)
        lead = self._timed.lead
        words = [
            replace(word, start=word.start + lead, end=word.end + lead)
            for word in spoken_words(part, 0.0)
        ]
        length_s = (frames - part.start_frame) / form.sample_rate
        times, _ = self._timed.times.take(words, 0.0, length_s)
        with self._gate:
            if self._is_silenced():
                raise StreamCut("interrupted")
            self._tell(self._held, times)
            self._held, self._is_holding = b"", False

    def _tell_failure(self, item: SpokenJob, error: MynahError) -> None:  # noqa: ARG002
        self.failure = error
        self._is_stopped = True

    def _tell_interrupted(self) -> None:
        self._held, self._is_holding = b"", False

    def _tell_done(self, mark: str) -> None:
        if self._held:
            self._tell(self._held, None)
        self._held = b""
        self._tell_turn_over()
        if mark == END:
            self._tell_final()
            if self._manner.at_end is not None:
                self._manner.at_end()

    def _timed_of(self, item: SpokenJob) -> _Timed:
        """What surrounds a job's text belongs to its first and last piece."""
        written = self._texts.pop(item.utterance)
        lead = len(written) - len(written.lstrip())
        tail = written[len(written.rstrip()) :]
        text = written[:lead] + item.job.text + tail
        starts = [piece.source_start + lead for piece in item.job.pieces]
        return _Timed(item.utterance, PieceTimes(text, starts), lead)

    def _tell_turn_over(self) -> None:
        """Say that all that was said in turn was sent; a text has no turns."""

    def _tell_final(self) -> None:
        """Say that nothing follows."""
        self._show(audio=None, isFinal=True, alignment=None, normalizedAlignment=None)

    def _tell(self, audio: bytes, times: CharacterTimes | None) -> None:
        """Send sound, with the times of its piece if it is the last of it."""
        shown = None if times is None else _alignment(times)
        self._show(audio=_encoded(audio), isFinal=False, alignment=shown, normalizedAlignment=shown)

    def _show(self, **message: Any) -> None:
        self._socket.send(json.dumps({**message, **self._manner.marks}))


class DialogueVoicing(InputVoicing):
    """The same in the words of the sockets for dialogues, which say also when a turn is over."""

    _is_in_turn = False

    def _finish(self, mark: str) -> None:
        if mark == TURN:  # the sound goes on, so its encoder does
            self._tell_done(mark)
        else:
            super()._finish(mark)

    def _tell_turn_over(self) -> None:
        if self._is_in_turn:
            self._show(is_final_audio_for_turn=True)
        self._is_in_turn = False

    def _tell_final(self) -> None:
        self._show(is_final=True)

    def _tell(self, audio: bytes, times: CharacterTimes | None) -> None:
        self._is_in_turn = True
        alignment = None
        if times is not None and self._manner.sync_alignment:
            starts, durations = _in_ms(times)
            alignment = {
                "chars": times.characters,
                "char_start_times_ms": starts,
                "char_durations_ms": durations,
            }
        self._show(audio=_encoded(audio), alignment=alignment, normalized_alignment=None)


def _profile_of(fmt: VendorFormat) -> DeviceProfile:
    """A client that takes all as soon as it is there."""
    return DeviceProfile(
        format=fmt.output_format.value,
        frame_bytes=0,
        prebuffer_ms=0,
        ahead_s=math.inf,
        bitrate_kbps=fmt.bitrate_kbps or _ANY_BITRATE_KBPS,
        sample_rate=fmt.sample_rate,
    )


def _encoded(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


def _in_ms(times: CharacterTimes) -> tuple[list[int], list[int]]:
    """When the characters begin, from the piece's first sample, and how long they last."""
    starts = [round(moment * 1000) for moment in times.starts_s]
    ends = [round(moment * 1000) for moment in times.ends_s]
    return starts, [end - start for start, end in zip(starts, ends, strict=True)]


def _alignment(times: CharacterTimes) -> dict[str, Any]:
    """The characters' times; the older spelling of the durations stands beside."""
    starts, durations = _in_ms(times)
    return {
        "chars": times.characters,
        "charStartTimesMs": starts,
        "charDurationsMs": durations,
        "charsDurationsMs": durations,
    }
