"""From logits to the next speech token, for all rows at once, each with its own settings.

The order of operations and the random draws are those of chatterbox-tts 0.1.7 and the logits
processors of transformers that it calls, so that one seed gives one and the same speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch

from mynah.errors import InvalidRequest

_COLUMNS: Final = ("guidance", "temperature", "penalty", "min_p", "below_top_p", "top_k")


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How one request's tokens are drawn.

    ``temperature`` 0 = always the likeliest token · ``guidance`` (upstream: cfg_weight) 0 = none,
    one row instead of two · ``repetition_penalty`` 1 = none · ``min_p``, ``top_p``: shares of
    probability; 0 and 1 switch them off · ``top_k`` 0 = all (Turbo only) · ``seed`` of the draws.
    """

    temperature: float = 0.8
    guidance: float = 0.5
    repetition_penalty: float = 1.2
    min_p: float = 0.05
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def check(self) -> None:
        """Raises InvalidRequest for a setting outside of its range."""
        ranges = {
            "temperature": (0.0, 5.0),
            "guidance": (0.0, 5.0),
            "repetition_penalty": (0.5, 10.0),
            "min_p": (0.0, 1.0),
            "top_p": (0.0, 1.0),
            "top_k": (0, 1_000_000),
            "seed": (-(2**63), 2**63 - 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:  # also where value is NaN
                raise InvalidRequest(
                    f"{name} must lie between {low} and {high}.",
                    fields={name: [f"Must lie between {low} and {high}."]},
                )


ENGLISH_SAMPLING: Final = SamplingSettings()
MULTILINGUAL_SAMPLING: Final = SamplingSettings(repetition_penalty=2.0)
TURBO_SAMPLING: Final = SamplingSettings(guidance=0.0, min_p=0.0, top_p=0.95, top_k=1000)


class Sampler:
    """The settings and histories of the rows that are there; row ``i`` is stream ``i``.

    ``filter_first``: Turbo's order (temperature, top-k, top-p, penalty) instead of the others'
    (penalty, temperature, min-p, top-p).
    """

    def __init__(self, vocabulary: int, *, filter_first: bool, device: Any) -> None:
        self._filter_first = filter_first
        self._device = device
        self._settings = {name: torch.zeros(0, 1, device=device) for name in _COLUMNS}
        self._seen = torch.zeros(0, vocabulary, dtype=torch.bool, device=device)
        self._draws = torch.ones(0, vocabulary, device=device)
        self._rows: list[SamplingSettings] = []
        self._generators: list[Any] = []
        self._draws_of: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, settings: SamplingSettings, seen_token: int) -> None:
        """A new last row; ``seen_token`` counts as spoken before."""
        position = len(self._rows)
        self._reserve(position + 1)
        generator = torch.Generator(self._device).manual_seed(settings.seed)
        self._rows.append(settings)
        self._generators.append(generator)
        vocabulary = self._seen.shape[1]
        greedy = settings.temperature == 0
        for name, value in (
            ("guidance", settings.guidance),
            ("temperature", 1.0 if greedy else settings.temperature),
            ("penalty", settings.repetition_penalty),
            ("min_p", settings.min_p),
            ("below_top_p", 1 - settings.top_p),
            ("top_k", min(settings.top_k or vocabulary, vocabulary)),
        ):
            self._settings[name][position] = value
        self._seen[position] = False
        self._seen[position, seen_token] = True
        self._draws[position] = 1.0
        self._list_draws()

    def drop(self, row: int) -> None:
        """Forget a row; the last one takes its place."""
        last = len(self._rows) - 1
        if row != last:
            for tensor in (*self._settings.values(), self._seen, self._draws):
                tensor[row] = tensor[last]
            self._rows[row] = self._rows[last]
            self._generators[row] = self._generators[last]
        self._rows.pop()
        self._generators.pop()
        self._list_draws()

    def forget(self, row: int, token: int, drawn: Any) -> None:
        """Take a token out of a row's history, unless it is the one just drawn (0-dim tensor)."""
        self._seen[row, token] = drawn == token

    def draw(self, conditional: Any, unconditional: Any | None) -> Any:
        """The next token of every row, (rows,) int64; logits are (rows, vocabulary) float32.

        ``unconditional`` None: no row is guided. A row whose logits are not finite gets -1.
        """
        count = len(self._rows)
        column = {name: tensor[:count] for name, tensor in self._settings.items()}
        seen = self._seen[:count]
        logits = conditional
        if unconditional is not None:
            logits = conditional + column["guidance"] * (conditional - unconditional)
        if self._filter_first:
            logits = self._cut_top(logits / column["temperature"], column)
            logits = _penalise(logits, seen, column["penalty"])
        else:
            logits = _penalise(logits, seen, column["penalty"]) / column["temperature"]
            logits = self._cut_top(self._cut_min_p(logits, column), column)
        probabilities = torch.softmax(logits, -1)
        for row in self._draws_of:  # what torch.multinomial does for one draw of one row
            self._draws[row].exponential_(1, generator=self._generators[row])
        tokens = torch.argmax(probabilities / self._draws[:count], -1)
        seen.scatter_(1, tokens[:, None], True)
        return tokens.masked_fill(~torch.isfinite(probabilities.amax(-1)), -1)

    def _cut_min_p(self, logits: Any, column: dict[str, Any]) -> Any:
        if not any(row.min_p > 0 for row in self._rows):
            return logits
        probabilities = torch.softmax(logits, -1)
        floor = column["min_p"] * probabilities.amax(-1, keepdim=True)
        return logits.masked_fill(probabilities < floor, -torch.inf)

    def _cut_top(self, logits: Any, column: dict[str, Any]) -> Any:
        vocabulary = logits.shape[-1]
        if any(0 < row.top_k < vocabulary for row in self._rows):
            ordered = logits.sort(-1, descending=True).values
            least = ordered.gather(1, column["top_k"].long() - 1)
            logits = logits.masked_fill(logits < least, -torch.inf)
        if any(row.top_p < 1 for row in self._rows):
            ordered, order = logits.sort(-1)
            out = ordered.softmax(-1).cumsum(-1) <= column["below_top_p"]
            out[:, -1] = False
            logits = logits.masked_fill(torch.zeros_like(out).scatter_(1, order, out), -torch.inf)
        return logits

    def _list_draws(self) -> None:
        self._draws_of = [i for i, row in enumerate(self._rows) if row.temperature > 0]

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._seen):
            return
        more = max(rows, 2 * len(self._seen)) - len(self._seen)
        for name, tensor in self._settings.items():
            self._settings[name] = torch.cat([tensor, tensor.new_zeros(more, 1)])
        self._seen = torch.cat([self._seen, self._seen.new_zeros(more, self._seen.shape[1])])
        self._draws = torch.cat([self._draws, self._draws.new_ones(more, self._draws.shape[1])])


def _penalise(logits: Any, seen: Any, penalty: Any) -> Any:
    weaker = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(seen, weaker, logits)
