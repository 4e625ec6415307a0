"""The GPU benchmark runs: on a CPU, with small shapes; its figures are not looked at."""

from __future__ import annotations

import numpy as np
import pytest

from bench import gpu_chatterbox
from bench.gpu_chatterbox import Heard, Setting
from mynah.audio.waveform import Waveform

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize("model", ["english", "turbo"])
def test_every_figure_is_measured_on_a_cpu_with_small_shapes(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = Setting(
        model, "cpu", is_small=True, tokens=30, streams=2, rounds=1, prompt_tokens=10,
        read_bytes=1 << 20,
    )  # fmt: skip
    gpu_chatterbox.run(setting, set(gpu_chatterbox.FIGURES))
    printed = capsys.readouterr().out
    assert all(f"{figure}:" in printed for figure in gpu_chatterbox.FIGURES)
    assert ("ratio" in printed) == (model == "english")
    assert "nan" not in printed


def test_a_player_that_has_nothing_to_play_is_an_underrun(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 0.2, 0.9, 3.0])
    monkeypatch.setattr(gpu_chatterbox.time, "perf_counter", lambda: next(moments))
    heard = Heard(began=gpu_chatterbox.time.perf_counter())
    second = Waveform(np.zeros(24_000, np.float32), 24_000)
    for _ in range(3):  # at 0.9 s the first second is still playing, at 3.0 s both have ended
        heard.note(second, b"mp3")
    assert (heard.first_s, heard.underruns, heard.audio_s) == (0.2, 1, 3.0)
