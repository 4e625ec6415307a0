"""The speech worker with Chatterbox at test size; only the models' shapes are not the real ones.

Celery's entry point: ``celery -A tests.integration.chatterbox.small_worker worker …``.
"""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the library's imports warn of their own dependencies
    import torch

    from tests.unit.engines.chatterbox.small_models import load_at_test_size

torch.set_num_threads(1)
# A long text is spoken for long, a short one for a second or two.
load_at_test_size(pytest.MonkeyPatch(), lambda text: 30 + max(0, len(text) - 60) * 6)

from services.worker_tts import engine_queues  # noqa: E402
from services.worker_tts.app import app  # noqa: E402

engine_queues.FIRST_LOOK_S, engine_queues.MAX_LOOK_S = 0.5, 2.0  # type: ignore[misc]

__all__ = ["app"]
