"""Which batches are computed on distinct patches on a GPU: by a model, or as the environment says."""

from __future__ import annotations

import numpy as np
import pytest

from shanshui.backend import gpu_patches
from shanshui.backend.runtime import load_jittor
from shanshui.errors import UsageError
from shanshui.nn import patch_numbering
from shanshui.storage.size import Size

jt = load_jittor()
FULL = 512 * 384
CLASSES = 3


def choose(monkeypatch: pytest.MonkeyPatch, choice: str | None) -> None:
    if choice is None:
        monkeypatch.delenv(gpu_patches.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(gpu_patches.VARIABLE, choice)


@pytest.mark.parametrize("choice", [None, "auto", ""])
def test_by_the_model_large_batches_run_on_patches(monkeypatch: pytest.MonkeyPatch, choice: str | None) -> None:
    choose(monkeypatch, choice)
    paid = {p: [n for n in range(1, 11) if gpu_patches.pay(n * FULL, p)] for p in ("fp32", "tf32", "bf16")}
    assert {precision: batches[0] for precision, batches in paid.items()} == {"fp32": 2, "tf32": 6, "bf16": 6}


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "on")
    assert gpu_patches.pay(1, "bf16")
    choose(monkeypatch, "off")
    assert not gpu_patches.pay(100 * FULL, "fp32")
    choose(monkeypatch, "yes")
    with pytest.raises(UsageError, match="SHANSHUI_GPU_PATCHES=yes") as error:
        gpu_patches.pay(FULL, "fp32")
    assert "auto, on or off" in str(error.value)


def test_small_sizes_stay_dense_by_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_numbering, "serves", lambda num_classes: True)
    monkeypatch.setattr(gpu_patches, "DENSE_BELOW", {"fp32": 5000})
    monkeypatch.setattr(gpu_patches, "LEAST_PIXELS", 2000)
    maps, sizes = np.zeros((1, 64, 80), np.uint8), [Size(64, 80), Size(32, 40), Size(16, 20)]
    for choice, found in (("auto", sizes[:1]), ("on", sizes[:2]), ("off", [])):
        choose(monkeypatch, choice)
        assert [*patch_numbering.patches_of(maps, sizes, CLASSES)] == found, choice
    choose(monkeypatch, "auto")
    monkeypatch.setattr(gpu_patches, "DENSE_BELOW", {"fp32": 6000})
    assert patch_numbering.patches_of(maps, sizes, CLASSES) == {}
    assert patch_numbering.patches_of(maps, [], CLASSES) == {}


def test_on_a_cpu_the_loader_finds_them() -> None:
    maps, sizes = np.zeros((1, 64, 80), np.uint8), [Size(64, 80)]
    assert patch_numbering.sizes_for_loader(sizes, CLASSES) == sizes
    found = patch_numbering.patches_of(maps, sizes, CLASSES)[sizes[0]]
    assert found.order is None, "in the form of the CPU"
    assert patch_numbering.patches_of(maps, sizes, CLASSES, found={}) == {}, "what the loader found is used"
