"""The voices' prefixes that were used last, within a budget of memory."""

from __future__ import annotations

from collections import OrderedDict

from mynah.engines.chatterbox.t3.conditioning import VoiceConditioning
from mynah.engines.chatterbox.t3.model import T3Model, VoicePrefix


class PrefixCache:
    """Computes a voice's prefix once. Not thread-safe: one thread owns it.

    A prefix grows with the texts that are spoken (``T3Model.add_empty_text``): ``trim`` after each.
    """

    def __init__(self, model: T3Model, max_bytes: int) -> None:
        self._model = model
        self._max_bytes = max_bytes
        self._prefixes: OrderedDict[tuple[str, float], VoicePrefix] = OrderedDict()
        self.hits = 0
        self.misses = 0

    @property
    def size_bytes(self) -> int:
        """The memory that the kept prefixes take."""
        return sum(prefix.size_bytes for prefix in self._prefixes.values())

    def get(self, voice: VoiceConditioning, exaggeration: float) -> VoicePrefix:
        """The prefix, kept or computed. Turbo knows no exaggeration. Raises InvalidRequest."""
        key = (voice.key, 0.0 if self._model.config.is_gpt2 else exaggeration)
        if key in self._prefixes:
            self.hits += 1
            self._prefixes.move_to_end(key)
            return self._prefixes[key]
        self.misses += 1
        prefix = self._model.compute_prefix(voice, exaggeration)
        self._prefixes[key] = prefix
        return prefix

    def trim(self) -> None:
        """Forget those that were used longest ago until the others fit; a single one that is too
        large is computed for each text."""
        while self.size_bytes > self._max_bytes:
            self._prefixes.popitem(last=False)
