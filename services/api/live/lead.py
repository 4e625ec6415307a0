"""How far a listener is ahead of playing; in a crowd each is served the more rarely."""

from __future__ import annotations

import time
from dataclasses import dataclass

# From so many listeners of a process on, who has at least so much sound to spare waits for more
# while half of it is played, but not for longer than so.
CROWD, SPARE_S, LONGEST_REST_S = 32, 0.4, 1.0


@dataclass(slots=True)
class Lead:
    """The sound that was given to one listener, against the time since its beginning.

    What is joined and encoded in longer parts costs less, and nobody misses for a second what they
    would only keep for later.
    """

    begun_at: float = 0.0
    given_s: float = 0.0
    rests_until: float = 0.0

    def give(self, duration_s: float) -> None:
        """So much more was given."""
        now = time.monotonic()
        self.begun_at = self.begun_at or now
        self.given_s += duration_s
        lead_s = self.given_s - (now - self.begun_at)
        rest_s = min(lead_s / 2, LONGEST_REST_S) if lead_s > SPARE_S else 0.0
        self.rests_until = now + rest_s

    @property
    def dry_at(self) -> float:
        """When all that was given is played; long ago before the first sound."""
        return self.begun_at + self.given_s

    def rest_s(self, listeners: int) -> float:
        """How long one of so many listeners of this process can wait for more from now on."""
        return max(0.0, self.rests_until - time.monotonic()) if listeners >= CROWD else 0.0
