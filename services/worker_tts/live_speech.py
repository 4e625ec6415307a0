"""A piece for somebody who listens: each block goes out as soon as the engine has made it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter

from mynah.audio.waveform import Waveform
from mynah.contracts.speech import SpokenWord
from mynah.contracts.states import JobKind, Lane
from mynah.jobs.claims import Claim, ClaimLost
from mynah.messaging.live import Interest, LiveBlock, LiveWriter

_WORDS = TypeAdapter(list[SpokenWord])


class LivePiece:
    """What of one piece is told to its listener.

    When the listener has left, the claim counts as lost: its job is cancelled as soon as the
    gateway gets to it.
    """

    def __init__(self, writer: LiveWriter, claim: Claim) -> None:
        self._writer = writer
        self._claim = claim
        self._offset = 0

    def tell(self, waveform: Waveform) -> None:
        """The next block, mono. Raises ClaimLost when the listener has left."""
        if waveform.frames:
            self._write(LiveBlock(self._attempt, self._offset, waveform.to_pcm16()))
            self._offset += waveform.frames

    def end(self, words: Sequence[SpokenWord]) -> None:
        """All was told; the words' times. Raises ClaimLost when the listener has left."""
        shown = _WORDS.dump_json(list(words)).decode()
        self._write(LiveBlock(self._attempt, self._offset, is_end=True, words=shown))

    @property
    def _attempt(self) -> int:
        return self._claim.step.attempts

    def _write(self, block: LiveBlock) -> None:
        claim = self._claim
        if self._writer.write(claim.job.id, claim.step.id, block) is Interest.LEFT:
            raise _left(claim)


def open_live_piece(writer: LiveWriter | None, claim: Claim) -> LivePiece | None:
    """A claimed piece of the live lane for its listener; None when there is none.

    A job that is not kept has one as long as it is there, so nobody is asked: the answer to its
    first block tells when they have left. Raises ClaimLost when that is known already.
    """
    if writer is None or not claim.step.queue.endswith(f".{Lane.LIVE}"):
        return None
    if claim.job.kind == JobKind.LIVE:
        return LivePiece(writer, claim)
    interest = writer.interest(claim.job.id)
    if interest is Interest.LEFT:
        raise _left(claim)
    return LivePiece(writer, claim) if interest is Interest.LISTENER else None


def _left(claim: Claim) -> ClaimLost:
    return ClaimLost(f"the listener of job {claim.job.id} left")
