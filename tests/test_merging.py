"""Averaging weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shanshui.__main__ import main
from shanshui.architectures.apf_generator import MIDDLE
from shanshui.architectures.networks import build_generator, restore_generator
from shanshui.backend.modules import gather
from shanshui.backend.runtime import load_jittor
from shanshui.data.labels import one_hot
from shanshui.data.nearest import nearest_index
from shanshui.errors import ShanshuiError
from shanshui.evaluation.merging import average
from shanshui.nn.singular_vectors import refresh_singular_vectors
from shanshui.storage import checkpoint
from shanshui.storage.files import write_json

jt = load_jittor()


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
    kept = {"G.c.weight": weight, "G.c.weight_u": u}
    left, largest, _ = np.linalg.svd(weight.reshape(6, -1))
    arrays = refresh_singular_vectors(kept, iterations=300)
    assert set(arrays) == set(kept)
    assert abs(abs(arrays["G.c.weight_u"] @ left[:, 0]) - 1) < 1e-4
    arrays = refresh_singular_vectors(kept | {"G.c.weight_v": np.ones(36, np.float32)}, iterations=300)
    sigma = arrays["G.c.weight_u"] @ weight.reshape(6, -1) @ arrays["G.c.weight_v"]
    assert sigma == pytest.approx(largest[0], rel=1e-5)
    assert average([arrays, arrays], "ab")["G.c.weight_v"] is arrays["G.c.weight_v"]


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


def test_statistics_are_those_of_the_averaged_network(tmp_path: Path) -> None:
    """At G's first norm they are the moments of what goes in, batch by batch; weights and encoder stay."""
    rng = np.random.default_rng(0)
    data = {"classes": ["a", "b", "c"], "width": 64, "height": 32}
    generator = {"name": "apf", "base_channels": 4, "halvings": 5, "spade_hidden": 4}
    settings = {"data": data, "model": {"generator": generator},
                "parity": {"spectral_norm": "off", "seg_noise_init": "zero"}}  # fmt: skip
    generator = build_generator(settings)
    arrays = checkpoint.prefixed("G", gather(generator.G)) | checkpoint.prefixed("E", gather(generator.E))
    for epoch in (3, 5):
        moved = {name: array + np.float32(0.01 * epoch) for name, array in arrays.items()}
        meta = {**settings, "kind": "generator", "epoch": epoch, "heads": 0, "seg_noise": False}
        checkpoint.save(tmp_path / f"{epoch}.safetensors", moved, **meta)
    np.save(tmp_path / "maps.npy", rng.integers(0, 3, (7, 40, 80)).astype(np.uint8))
    write_json(tmp_path / "settings.json", {"seed": 1, "batch": 2, "label_maps": 5})
    out = tmp_path / "003+005.safetensors"
    call = ["merge", *(str(tmp_path / f"{e}.safetensors") for e in (3, 5)), "--out", str(out)]
    assert main(call) == 0
    plain = checkpoint.load(out).arrays
    assert (
        main([*call, "--estimate-on", str(tmp_path / "maps.npy"), "--settings", str(tmp_path / "settings.json")]) == 0
    )
    merged = checkpoint.load(out)
    assert merged.meta["batch_norm"] == "estimated"
    changed = {name for name, array in merged.arrays.items() if not np.array_equal(array, plain[name])}
    assert changed
    assert all("running" in name for name in changed)

    encoder = restore_generator(plain, merged.meta, "plain").E
    label_maps = np.load(tmp_path / "maps.npy")[[0, 2, 4, 6]]
    rows, columns = nearest_index(40, 32), nearest_index(80, 64)
    means = []
    for start in (0, 2):
        segmap = one_hot(label_maps[start : start + 2][:, rows][:, :, columns], 3)
        means.append(encoder(jt.array(segmap)).numpy().mean((0, 2, 3)))
    first = f"G.{MIDDLE[0]}.norm_0.param_free_norm.running_mean"
    np.testing.assert_allclose(merged.arrays[first], np.mean(means, axis=0), rtol=1e-4, atol=1e-6)


def test_one_checkpoint_cannot_be_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(tmp_path / "a.safetensors"), "--out", str(tmp_path / "b.safetensors")]) == 2
    assert "two or more" in capsys.readouterr().err
