"""Encoding goes no further than the listener's connection, and its bitrate follows its speed.

What waits in the kernel can neither be taken back by an interruption nor be made smaller; so
little is put there, and what is not encoded yet waits as it is.

This module brings numpy, scipy and the encoder: the gateway imports it after its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mynah.audio.mp3_switching import SwitchingMp3Encoder
from mynah.audio.waveform import Waveform
from mynah.observability.metrics import BITRATE_CHANGES
from services.api.live.adapting import BitrateChoice
from services.api.live.connection import Connection, StreamCut
from services.api.live.draining import Drain, Drained
from services.api.live.forms import StreamEncoder, StreamForm
from services.api.live.lead import Lead
from services.api.live.turns import TURNS

#: Sound that may wait in a connection.
QUEUED_S = 1.0
#: How much is encoded at a time where little fits: each look at the connection costs its share.
STEP_S = 0.2
#: How often whoever waits for room looks.
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Line:
    """A listener's connection. ``is_gone``: whether nobody hears it any more.

    ``unsent``: bytes that wait in it, if that is known. ``give_up`` is called when it takes
    nothing for ``stall_timeout_s``. ``tell``: is told each new bitrate.
    """

    unsent: Callable[[], int | None]
    is_gone: Callable[[], bool]
    stall_timeout_s: float
    give_up: Callable[[], None]
    tell: Callable[[int], None] = lambda _: None


class Pace:
    """How fast one listener is sent sound, and at which of ``bitrates``, the highest first.

    Where the system does not tell how much waits in the connection, nothing is held back and the
    bitrate stays the highest.
    """

    def __init__(self, bitrates: Sequence[int], line: Line) -> None:
        self._line = line
        self._drain = Drain(line.unsent)
        self._choice = BitrateChoice(bitrates)
        self._lead = Lead()

    @property
    def bitrate_kbps(self) -> int:
        """The bitrate of what is encoded next."""
        return self._choice.kbps

    def encoded(self, encoder: StreamEncoder, block: Waveform) -> Iterator[bytes]:
        """What ``encoder`` makes of a block, each part once there is room for it.

        Raises StreamCut when the listener leaves, and what giving up does.
        """
        frames = 0
        while frames < block.frames:
            part = block.part(frames, self._wait_for_room())
            frames += part.frames
            if isinstance(encoder, SwitchingMp3Encoder):
                encoder.switch(self.bitrate_kbps)
            with TURNS.turn(self._lead.dry_at):
                data = encoder.encode(part)
            self._lead.give(part.duration_s)
            self._drain.sent(len(data), part.duration_s)
            if data:
                yield data

    def restart(self) -> None:
        """The listener has thrown away what it had."""
        self._choice.restart()

    def _wait_for_room(self) -> float:
        """Wait until something may be sent; returns how many seconds of sound.

        The first sound shall not wait for the encoding of what follows.
        """
        taken_at, taken_s = time.monotonic(), -1.0
        while (drained := self._drain.look()) is not None:
            self._follow(drained)
            if drained.queued_s < QUEUED_S:
                return max(STEP_S, QUEUED_S - drained.queued_s) if self._drain.sent_s else STEP_S
            if self._line.is_gone():
                raise StreamCut("listener left")
            if drained.audio_s > taken_s:
                taken_at, taken_s = drained.at, drained.audio_s
            elif drained.at - taken_at > self._line.stall_timeout_s:
                self._line.give_up()
            time.sleep(LOOK_S)
        return QUEUED_S if self._drain.sent_s else STEP_S

    def _follow(self, drained: Drained) -> None:
        before = self._choice.kbps
        now = self._choice.choose(drained, self._drain.sent_s)
        if now != before:
            BITRATE_CHANGES.labels("down" if now < before else "up").inc()
            self._line.tell(now)


def encoding_for(
    form: StreamForm, connection: Connection, *, is_adaptive: bool
) -> tuple[Callable[[Waveform], Iterable[bytes]], StreamEncoder]:
    """What encodes a block for a listener over HTTP, and its encoder.

    As one, unless the bitrate follows the listener's connection and so may change in a block.
    """
    if not is_adaptive:
        encoder = form.encoder()
        return lambda block: (encoder.encode(block),), encoder
    line = Line(
        connection.unsent_bytes,
        connection.is_gone,
        connection.stall_timeout_s,
        connection.give_up,
    )
    pace, switching = Pace(form.bitrates_kbps, line), form.switching_encoder()
    return partial(pace.encoded, switching), switching
