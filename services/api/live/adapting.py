"""Which bitrate a listener's connection bears: down before it runs dry, up when it bears more.

A player takes sound at its own pace when it has enough of it, so neither a full queue nor a pause
in the taking means that a connection is slow. It is when the listener's lead (the sound that
reached them less the time since they began) falls although there is something to take.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.api.live.draining import Drained

LADDER_KBPS = (128, 96, 64, 48)
#: Less than this in the queue may simply be on its way.
_ON_ITS_WAY_S = 0.5
#: Whoever has more than this in hand is left alone.
_ENOUGH_S = 1.0
_FALLEN_S = 0.6  # below its best, and the connection counts as too slow
_SINKING_S = 0.3
_SHARE_USED = 0.9  # of what the connection takes
_EVIDENCE = 1.25  # a connection that took so much more than the next bitrate bears it
_PROVEN_CALM_S = 1.0
_CALM_S = 8.0  # without evidence the next bitrate is a try
_LIMITED_CALM = 4  # times longer where the queue is full: a slow fall takes longer to be seen
_LONGEST_CALM_S = 64.0
_TRIAL_S = 60.0
_SURPLUS = 1.03  # who takes more than real time with a full queue takes all that they can


def bitrates_below(highest_kbps: int, legal_kbps: Sequence[int]) -> tuple[int, ...]:
    """The bitrates of a listener who wishes for ``highest_kbps``, the highest first."""
    lower = (kbps for kbps in LADDER_KBPS if kbps < highest_kbps and kbps in legal_kbps)
    return (highest_kbps, *lower)


class BitrateChoice:
    """Chooses among ``bitrates`` (the highest first, where it begins) for one listener."""

    def __init__(self, bitrates: Sequence[int]) -> None:
        self._bitrates = tuple(bitrates)
        self._rung = 0
        self._began: float | None = None  # when the listener's playing would have begun
        self._settled_from_s = 0.0  # the sound from which on the last change is heard
        self._best_s: float | None = None  # lead, since that was heard
        self._calm_since = self._raised_at = float("-inf")
        self._calm_s = _CALM_S

    @property
    def kbps(self) -> int:
        """The bitrate for what is encoded next."""
        return self._bitrates[self._rung]

    def restart(self) -> None:
        """The listener has thrown away what it had; its playing begins anew."""
        self._began = None
        self._best_s = None

    def choose(self, drained: Drained, sent_s: float) -> int:
        """The bitrate to go on with. ``sent_s``: sound that was sent so far."""
        lead_s = self._lead_s(drained)
        if drained.audio_s < self._settled_from_s:
            return self.kbps  # the last change has not arrived yet
        if self._best_s is None:
            self._best_s, self._calm_since = lead_s, drained.at
        self._best_s = max(self._best_s, lead_s)
        is_limited = drained.queued_s > _ON_ITS_WAY_S and lead_s < _ENOUGH_S
        if is_limited and lead_s < self._best_s - _FALLEN_S:
            self._go_down(drained, sent_s)
        elif is_limited and lead_s < self._best_s - _SINKING_S:
            self._calm_since = drained.at
        elif self._may_rise(drained, is_limited=is_limited):
            self._raised_at = drained.at
            self._go_to(self._rung - 1, sent_s)
        return self.kbps

    def _lead_s(self, drained: Drained) -> float:
        """How much sound the listener has in hand; below nothing it has run dry."""
        if self._began is None:
            self._began = drained.at - drained.audio_s
        lead_s = drained.audio_s - (drained.at - self._began)
        if lead_s < 0 and drained.queued_s < _ON_ITS_WAY_S:
            # It waits for the speaker, not for the connection.
            self._began -= lead_s
            return 0.0
        return lead_s

    def _may_rise(self, drained: Drained, *, is_limited: bool) -> bool:
        if self._rung == 0:
            return False
        taken, following = drained.throughput_kbps or 0.0, self._bitrates[self._rung - 1]
        is_full = drained.queued_s > _ON_ITS_WAY_S
        if taken >= _EVIDENCE * following:
            calm_s = _PROVEN_CALM_S
        elif is_full and _SURPLUS * self.kbps < taken < following:
            return False
        else:
            calm_s = self._calm_s * (_LIMITED_CALM if is_limited else 1)
        return drained.at - self._calm_since >= calm_s

    def _go_down(self, drained: Drained, sent_s: float) -> None:
        """To what the connection takes, at once: what is sent too fast is heard too late."""
        is_failed_try = drained.at - self._raised_at < _TRIAL_S
        self._calm_s = min(2 * self._calm_s, _LONGEST_CALM_S) if is_failed_try else _CALM_S
        bearable = _SHARE_USED * (drained.throughput_kbps or float("inf"))
        rung = min(self._rung + 1, len(self._bitrates) - 1)
        while rung < len(self._bitrates) - 1 and self._bitrates[rung] > bearable:
            rung += 1
        self._go_to(rung, sent_s)

    def _go_to(self, rung: int, sent_s: float) -> None:
        self._rung = rung
        self._settled_from_s = sent_s
        self._best_s = None
