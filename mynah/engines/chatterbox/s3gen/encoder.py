"""From speech tokens to the flow's condition: the library's conformer, run once per text.

The library's layers are used as they are; only the masks, which cost a device synchronisation
each and say nothing for a single row, are left out.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.nn import functional

from mynah.engines.chatterbox.s3gen.layout import (
    FRAMES_PER_TOKEN,
    LOOKAHEAD_TOKENS,
)


class FlowEncoder:
    """The encoder half of the library's ``CausalMaskedDiffWithXvec``, left untouched."""

    def __init__(self, flow: Any, dtype: torch.dtype = torch.float32) -> None:
        # Only these, so that the rest of the module can be freed.
        self._embedding, self._projection = flow.input_embedding, flow.encoder_proj
        self._speaker = flow.spk_embed_affine_layer
        is_exact = dtype == torch.float32
        self._encoder = flow.encoder if is_exact else copy.deepcopy(flow.encoder).to(dtype)
        self._dtype = dtype
        self._no_mask = torch.ones((0, 0, 0), dtype=torch.bool)

    def encode(self, tokens: torch.Tensor, *, is_final: bool) -> torch.Tensor:
        """``tokens`` (count,) integers -> (frames, MELS), two frames a token.

        Not final: the last LOOKAHEAD_TOKENS are only looked at, their frames are left out.
        """
        encoder = self._encoder
        with torch.inference_mode():
            embedded = self._embedding(tokens)[None].to(self._dtype)
            hidden, positions, _ = encoder.embed(embedded, None)
            hidden = encoder.pre_lookahead_layer(hidden)
            hidden = self._run(encoder.encoders, hidden, positions)
            hidden, _ = encoder.up_layer(hidden.transpose(1, 2), 0)
            hidden, positions, _ = encoder.up_embed(hidden.transpose(1, 2), None)
            hidden = self._run(encoder.up_encoders, hidden, positions)
            frames: torch.Tensor = self._projection(encoder.after_norm(hidden).float())[0]
        return frames if is_final else frames[: -LOOKAHEAD_TOKENS * FRAMES_PER_TOKEN]

    def project_speaker(self, x_vector: torch.Tensor) -> torch.Tensor:
        """A speaker embedding (192,) as the flow takes it, (MELS,)."""
        with torch.inference_mode():
            projected: torch.Tensor = self._speaker(functional.normalize(x_vector[None], dim=1))[0]
        return projected

    def _run(self, layers: Any, hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            hidden, _, _, _ = layer(hidden, self._no_mask, positions, self._no_mask)
        return hidden
