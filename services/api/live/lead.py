"""How far a listener is ahead of playing; in a crowd each is served the more rarely."""

from __future__ import annotations

import time
from dataclasses import dataclass

# From so many listeners of a process on, who has so much sound to spare waits so long for more.
CROWD, SPARE_S, REST_S = 32, 1.0, 0.5


@dataclass(slots=True)
class Lead:
    """The sound that was given to one listener, against the time since its beginning.

    What is joined and encoded in longer parts costs less, and nobody misses for half a second what
    they would only keep for later.
    """

    begun_at: float = 0.0
    given_at: float = 0.0
    given_s: float = 0.0

    def give(self, duration_s: float) -> None:
        """So much more was given."""
        self.given_at = time.monotonic()
        self.begun_at = self.begun_at or self.given_at
        self.given_s += duration_s

    def is_enough(self, listeners: int) -> bool:
        """Whether one of so many listeners of this process can wait a moment longer."""
        if listeners < CROWD:
            return False
        now = time.monotonic()
        lead_s = self.given_s - (now - self.begun_at)
        return lead_s > SPARE_S and now - self.given_at < REST_S
