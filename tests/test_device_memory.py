"""A batch that will not fit a GPU is refused before the run, with the parts in which it fits."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shanshui.architectures.apf import Apf
from shanshui.architectures.network_cost import NetworkCounts
from shanshui.config.schema import Config
from shanshui.config.settings import validate
from shanshui.pipeline import device_memory

PEAK = Apf.device_peak or 0.0
COUNTS = NetworkCounts(10**7, 10**7, 10**7, 0, 10**8)
EACH = PEAK * 4 * COUNTS.outputs  # bytes a pair
FIXED = 4 * (10**7 * 5 + 10**7 * 4)  # weights, gradients, Adam's moments, the moving average


def gaps(card: float, **more: Any) -> dict[str, tuple[str, str]]:
    """What is refused on a GPU of that many bytes: text and remedy, by phase."""
    device = [{"name": "Card", "memory_mib": int(card / 2**20)}]
    return {one.name: (one.text, one.do) for one in device_memory.on_gpus(config(**more), COUNTS, device)}


def config(**more: Any) -> Config:
    return validate({"pretrain": {"batch": 10}, "finetune": {"batch": 5}, **more})


@pytest.fixture(autouse=True)
def dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHANSHUI_GPU_PATCHES", "off")


def test_what_fits_is_not_mentioned() -> None:
    assert gaps(FIXED + 10.5 * EACH) == {}


def test_the_largest_batch_and_the_parts_that_keep_the_batch_are_named() -> None:
    found = gaps(FIXED + 5.5 * EACH)
    assert found.keys() == {"GPU: pretrain"}
    text, do = found["GPU: pretrain"]
    assert "with 10 pairs at a time at 512x384" in text
    assert text.endswith(": 5 fit at most")
    assert do.startswith("pretrain.accumulate: 2,")
    assert gaps(FIXED + 5.5 * EACH, pretrain={"batch": 10, "accumulate": 2}) == {}
    assert gaps(FIXED + 4.5 * EACH)["GPU: pretrain"][1].startswith("pretrain.accumulate: 5,")  # 10 in 3 parts: no


def test_processes_and_jobs_share() -> None:
    room = FIXED + 5.5 * EACH
    assert gaps(room, pretrain={"batch": 10, "processes": 2}) == {}
    text, do = gaps(FIXED + 2.5 * EACH, pretrain={"batch": 12, "processes": 2})["GPU: pretrain"]
    assert "with 6 pairs at a time" in text
    assert do.startswith("pretrain.accumulate: 3,")
    assert "GPU: pretrain" in gaps(1.5 * (FIXED + 10 * EACH), jobs_per_gpu=2)


def test_not_even_one_pair() -> None:
    found = gaps(FIXED + 0.5 * EACH)
    assert found.keys() == {"GPU: pretrain", "GPU: finetune"}
    assert re.match("smaller images", found["GPU: finetune"][1])


def test_the_smallest_of_the_chosen_gpus_counts() -> None:
    devices = [{"name": "Card", "memory_mib": int((FIXED + n * EACH) / 2**20)} for n in (20, 3)]
    assert [one.name for one in device_memory.on_gpus(config(), COUNTS, devices)] == ["GPU: pretrain", "GPU: finetune"]
    assert list(device_memory.on_gpus(config(gpus=[0]), COUNTS, devices)) == []


def test_nothing_is_said_of_what_was_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gaps(FIXED, gpus=0) == {}
    monkeypatch.setattr(Apf, "device_peak", None)
    assert gaps(FIXED) == {}


# --- on distinct patches, which need less -----------------------------------------------------------------------


@pytest.fixture
def by_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHANSHUI_GPU_PATCHES", "auto")


@pytest.mark.usefixtures("by_the_model")
def test_batches_on_patches_are_compared_with_what_those_need() -> None:
    """At 512x384 in single precision: one pair is dense, two are not."""
    few = (Apf.device_peak_patches or 0.0) * 4 * COUNTS.outputs
    assert few < 0.7 * EACH
    assert gaps(FIXED + 10.1 * few) == {}
    text, do = gaps(FIXED + 5.1 * few)["GPU: pretrain"]
    assert text.endswith(": 5 fit at most")
    assert do.startswith("pretrain.accumulate: 2,")
    phases: Any = {"pretrain": {"batch": 10, "precision": "bf16"}, "finetune": {"batch": 5, "precision": "tf32"}}
    assert gaps(FIXED + 5.1 * few, **phases)["GPU: finetune"][0].endswith(f": {int(5.1 * few / EACH)} fit at most")
    assert gaps(FIXED + 10.1 * few, pretrain={"batch": 10, "processes": 2}).keys() == {"GPU: pretrain"}, "MPI: dense"


def test_patches_that_were_asked_for_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHANSHUI_GPU_PATCHES", "on")
    few = (Apf.device_peak_patches or 0.0) * 4 * COUNTS.outputs
    tf32: Any = {"pretrain": {"batch": 2, "precision": "tf32"}, "finetune": {"batch": 1, "precision": "tf32"}}
    assert gaps(FIXED + 2.6 * few, **tf32) == {}
    monkeypatch.setenv("SHANSHUI_GPU_PATCHES", "off")
    assert gaps(FIXED + 2.6 * few, **tf32).keys() == {"GPU: pretrain"}
