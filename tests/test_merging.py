"""Averaging weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shanshui import checkpoint
from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.merging import average, refresh_singular_vectors


def part(value: float, shape: tuple[int, ...] = (2, 2)) -> checkpoint.Arrays:
    return {"G.a": np.full(shape, value, np.float32)}


def test_mean_is_taken_in_float64_and_stored_as_float32() -> None:
    mean = average([part(1e8), part(1.0), part(-1e8)], "abc")["G.a"]
    assert mean.dtype == np.float32
    assert np.allclose(mean, 1 / 3)


def test_other_shapes_and_names_are_refused_with_the_file() -> None:
    with pytest.raises(ShanshuiError, match=r"late.*shape"):
        average([part(1), part(1, (2, 3))], ["early", "late"])
    with pytest.raises(ShanshuiError, match=r"late.*missing G\.a"):
        average([part(1), {"G.b": np.zeros(2, np.float32)}], ["early", "late"])


def test_singular_vectors_are_recomputed_not_averaged() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((6, 4, 3, 3)).astype(np.float32)
    u = rng.standard_normal(6).astype(np.float32)
    arrays = refresh_singular_vectors({"G.c.weight": weight, "G.c.weight_u": u}, iterations=300)
    left = np.linalg.svd(weight.reshape(6, -1))[0]
    assert abs(abs(arrays["G.c.weight_u"] @ left[:, 0]) - 1) < 1e-4


def test_stage_records_what_was_averaged(tmp_path: Path) -> None:
    for epoch in (3, 5):
        checkpoint.save(
            tmp_path / f"{epoch}.safetensors", part(epoch), kind="generator", epoch=epoch, heads=0, level=None
        )
    out = tmp_path / "003+005.safetensors"
    assert main(["merge", *(str(tmp_path / f"{e}.safetensors") for e in (3, 5)), "--out", str(out)]) == 0
    merged = checkpoint.load(out)
    assert np.allclose(merged.arrays["G.a"], 4)
    assert [source["epoch"] for source in merged.meta["averaged"]] == [3, 5]
    assert merged.meta["heads"] == 0


def test_one_checkpoint_cannot_be_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(tmp_path / "a.safetensors"), "--out", str(tmp_path / "b.safetensors")]) == 2
    assert "two or more" in capsys.readouterr().err
