"""From settings to a T3 that serves, and what is said where that cannot be."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from bench.chatterbox import checkpoints
from mynah.engines.chatterbox import checkpoint, loading, readiness
from mynah.engines.chatterbox.quantization import Precision, build_linear
from mynah.engines.chatterbox.rows import MAX_PIECE_CHARACTERS
from mynah.engines.chatterbox.sampling import ENGLISH_SAMPLING
from mynah.engines.chatterbox.scheduler import SchedulerLimits, SpeechScheduler, TokenRequest
from mynah.engines.chatterbox.t3.model import T3Model
from mynah.engines.chatterbox.t3.needs import least_cache_bytes
from mynah.errors import EngineUnavailable, TextTooLong
from mynah.settings import Settings
from tests.unit.engines.chatterbox.conftest import build_case

if TYPE_CHECKING:
    from tests.unit.engines.chatterbox.conftest import Case


def test_a_model_is_loaded_as_the_settings_say_and_speaks(
    english: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = checkpoints.write_checkpoint(tmp_path, "english", small=True, parts="t3")
    for other in (written.files.s3gen, written.files.voice_encoder):
        (written.folder / other).touch()  # must be there; T3's loading does not read them
    small = replace(written.files, t3_config=written.config)
    monkeypatch.setitem(checkpoint.MODELS, "english", small)
    settings = Settings(
        chatterbox_dir=tmp_path, chatterbox_device="cpu", chatterbox_precision="bf16"
    )
    scheduler = loading.load_t3("english", settings)
    wanted = TokenRequest(english.voice(), english.text(), ENGLISH_SAMPLING, max_tokens=12)
    tokens = [token for block in scheduler.submit(wanted) for token in block]
    scheduler.close()
    assert 0 < len(tokens) <= 12


def test_a_missing_folder_of_checkpoints_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable) as refused:
        loading.load_t3("turbo", Settings(chatterbox_dir=tmp_path / "nowhere"))
    assert "t3_turbo_v1.safetensors" in refused.value.message


def test_the_best_device_is_chosen_and_an_absent_one_refused() -> None:
    assert loading.choose_device("cpu").type == "cpu"
    assert loading.choose_device("auto").type in ("cuda", "mps", "cpu")
    with pytest.raises(EngineUnavailable):
        loading.choose_device("xpu")


def test_the_format_follows_the_device_unless_it_is_chosen() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert loading.choose_precision("auto", cpu) is Precision.FP32
    assert loading.choose_precision("auto", cuda) is Precision.BF16
    assert loading.choose_precision("int8", cpu) is Precision.INT8
    with pytest.raises(EngineUnavailable):
        build_linear(torch.ones(4, 4), None, Precision.INT8, cuda)


def test_an_int8_row_does_not_depend_on_its_neighbours() -> None:
    generator = torch.Generator().manual_seed(1)
    linear = build_linear(
        torch.randn(96, 64, generator=generator), None, Precision.INT8, torch.device("cpu")
    )
    rows = torch.randn(9, 64, generator=generator)
    rows[4] *= 1000
    together = linear(rows)
    alone = torch.cat([linear(row[None]) for row in rows])
    torch.testing.assert_close(together, alone)


def test_a_cache_too_small_for_a_piece_is_refused_before_anything_is_loaded(
    tmp_path: Path,
) -> None:
    written = checkpoints.write_checkpoint(tmp_path, "english", small=True, parts="")
    for name in written.files.required:
        (written.folder / name).touch()
    settings = Settings(chatterbox_dir=tmp_path, chatterbox_device="cpu", chatterbox_cache_mib=629)
    with pytest.raises(EngineUnavailable) as refused:
        loading.load_model("english", settings)
    assert refused.value.code == "cache_too_small"
    assert "MYNAH_CHATTERBOX_CACHE_MIB is 629" in refused.value.message
    assert "630" in refused.value.message
    enough = settings.model_copy(update={"chatterbox_cache_mib": 630})
    with pytest.raises(EngineUnavailable, match="damaged"):
        loading.load_model("english", enough)
    for mib, is_refused in ((314, True), (315, False)):  # what auto becomes is not known there
        asked = settings.model_copy(update={"chatterbox_cache_mib": mib})
        assert ("CACHE_MIB" in str(readiness.check_readiness("chatterbox", asked))) is is_refused


@pytest.mark.skipif(sys.platform != "linux", reason="tells by Linux' table of what is mapped")
@pytest.mark.parametrize("precision", list(Precision))
def test_a_loaded_model_no_longer_holds_its_file(case: Case, precision: Precision) -> None:
    model = T3Model.load(case.path, case.config, precision, "cpu")
    gc.collect()
    assert str(case.path) not in Path("/proc/self/maps").read_text()
    assert model.compute_prefix(case.voice(), 0.5).size_bytes


@pytest.mark.parametrize("name", ["english", "turbo"])
def test_the_least_cache_that_is_named_is_enough_for_a_piece(
    name: str, checkpoint_folder: Path
) -> None:
    case = build_case(checkpoint_folder, name)
    least = least_cache_bytes(case.config, 4, MAX_PIECE_CHARACTERS)
    text = case.text(length=MAX_PIECE_CHARACTERS + (0 if case.config.is_gpt2 else 1))
    wanted = TokenRequest(case.voice(), text, ENGLISH_SAMPLING)
    for limit, is_enough in ((least, True), (least // 2, False)):
        scheduler = SpeechScheduler(case.ours, SchedulerLimits(cache_bytes=limit))
        try:
            if is_enough:
                scheduler.submit(wanted).cancel()
            else:
                with pytest.raises(TextTooLong):
                    scheduler.submit(wanted)
        finally:
            scheduler.close()
