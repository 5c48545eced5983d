"""SPADE on distinct patches by the GPU kernels, whose threads take turns on a CPU here, against dense layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.backend.modules import gather
from shanshui.backend.runtime import load_jittor
from shanshui.data import patch_order
from shanshui.data.labels import one_hot
from shanshui.data.patch_order import LONG, SHORT, padded, sort_patches
from shanshui.data.patches import find_patches
from shanshui.nn import patch_numbering
from shanshui.nn.patch_spade import DevicePatches, to_device
from shanshui.nn.spade import SPADE
from shanshui.storage.size import Size

jt = load_jittor()

CLASSES = 4


def label_maps(n: int, height: int, width: int, seed: int) -> np.ndarray:
    """Half of every map one class, the rest blocks and single pixels of others, some of no class."""
    rng = np.random.default_rng(seed)
    maps = np.ones((n, height, width), np.uint8)
    rows = height // 2
    coarse = rng.integers(0, CLASSES, (n, -(-rows // 5), -(-width // 5)))
    maps[:, :rows] = coarse.repeat(5, 1).repeat(5, 2)[:, :rows, :width]
    maps[:, 0, ::3] = rng.integers(0, CLASSES, maps[:, 0, ::3].shape)
    maps[0, 1, 1] = 255
    return maps


# --- the sorted lists -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maps", [label_maps(2, 20, 37, 0), np.zeros((1, 90, 64), np.uint8)], ids=["many", "one"])
def test_pixels_of_a_patch_lie_side_by_side(maps: np.ndarray) -> None:
    patches = find_patches(maps)
    order = sort_patches(patches)
    index = patches.index.ravel()
    assert sorted(order.order) == list(range(index.size))
    covered = []
    for number, begin, end in order.short:
        if number >= 0:
            assert end - begin <= SHORT
            assert set(index[order.order[begin:end]]) <= {number}
            covered += list(range(begin, end))
    for number, (first, last) in enumerate(order.segments):
        for begin, end in order.long[first:last]:
            assert 0 < end - begin <= LONG
            assert set(index[order.order[begin:end]]) == {number}
            covered += list(range(begin, end))
    assert sorted(covered) == list(range(index.size)), "every pixel is in one sum"
    numbers = {number for number, *_ in order.short} | set(np.nonzero(order.segments[:, 1] > order.segments[:, 0])[0])
    assert set(range(len(order.neighbours))) <= numbers, "every row of the table has a sum, those of padding too"


def test_users_are_those_who_use_it() -> None:
    patches = find_patches(label_maps(2, 20, 37, 1))
    order = sort_patches(patches)
    for row in range(len(patches.labels)):
        for j in range(9):
            begin, end = order.begins[9 * row + j : 9 * row + j + 2]
            assert sorted(order.users[begin:end]) == sorted(np.nonzero(patches.neighbours[:, j] == row)[0])


def test_lengths_are_padded_to_few() -> None:
    lengths = {padded(count) for count in range(1, 100_000)}
    assert len(lengths) < 90
    assert all(count <= padded(count) <= max(64, 1.125 * count + 1) for count in range(1, 100_000, 7))


# --- the layer ----------------------------------------------------------------------------------------------------


def layer_and_inputs(maps: np.ndarray, channels: int, hidden: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1)
    layer = SPADE(channels, CLASSES, hidden)
    for name, parameter in layer.state_dict().items():
        if "running" in name:
            continue
        parameter.assign(jt.array(rng.normal(scale=0.5, size=parameter.shape).astype(np.float32)))
    x = jt.array(rng.normal(3, 2, (len(maps), channels, *maps.shape[1:])).astype(np.float32))
    jt.sync_all()
    return layer, x, jt.array(one_hot(maps, CLASSES))


def results(
    maps: np.ndarray, channels: int, hidden: int, patches: DevicePatches | None, slope: float, training: bool
) -> dict[str, np.ndarray]:
    """Output, gradients and statistics of a layer."""
    layer, x, segmap = layer_and_inputs(maps, channels, hidden)
    if not training:
        layer(x, segmap).sync()
        layer.eval()
    out = layer(x, segmap, None, patches, slope)
    target = jt.array(np.random.default_rng(2).normal(size=out.shape).astype(np.float32))
    parameters = {name: p for name, p in layer.state_dict().items() if "running" not in name}
    grads = jt.grad((out * target).sum(), [x, *parameters.values()])
    arrays = dict(zip(["x", *parameters], (g.numpy() for g in grads), strict=True))
    buffers = {name: a for name, a in gather(layer).items() if "running" in name}
    return {"out": out.numpy()} | arrays | buffers


def on_gpu(maps: np.ndarray) -> DevicePatches:
    return next(iter(to_device({(0, 0): find_patches(maps)}, CLASSES, gpu=True).values()))  # type: ignore[dict-item]


CASES = {
    "eight channels": (label_maps(2, 16, 24, 3), 8, 5, 0.2),
    "eleven channels, no activation": (label_maps(1, 17, 13, 4), 11, 3, 1.0),
    "one class": (np.full((1, 48, 48), 2, np.uint8), 8, 4, 0.2),
    "no class": (np.full((2, 6, 7), 255, np.uint8), 3, 4, 0.2),
    "every pixel another": (np.random.default_rng(5).integers(0, CLASSES, (1, 12, 11)).astype(np.uint8), 9, 4, 0.2),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_layer_and_gradients_equal_the_dense_ones(case: str, training: bool) -> None:
    maps, channels, hidden, slope = CASES[case]
    dense = results(maps, channels, hidden, None, slope, training)
    fast = results(maps, channels, hidden, on_gpu(maps), slope, training)
    assert {"x", "mlp_shared.weight", "mlp_gamma.weight", "mlp_beta.bias"} <= set(dense)
    for name, expected in dense.items():
        scale = max(np.abs(expected).max(), 1e-3)
        np.testing.assert_allclose(fast[name], expected, atol=1e-5 * scale, err_msg=name)


def test_long_patches_are_summed_in_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """With short limits, so that one patch has many segments and few pixels suffice."""
    monkeypatch.setattr(patch_order, "LONG", 64)
    maps, channels, hidden, slope = CASES["one class"]
    order = sort_patches(find_patches(maps))
    assert (order.segments[:, 1] - order.segments[:, 0]).max() > 20
    dense, fast = (results(maps, channels, hidden, given, slope, True) for given in (None, on_gpu(maps)))
    for name in ("x", "mlp_gamma.bias", "mlp_beta.bias", "mlp_gamma.weight"):
        np.testing.assert_allclose(fast[name], dense[name], atol=1e-5 * np.abs(dense[name]).max(), err_msg=name)


@pytest.mark.parametrize("case", ["eight channels", "eleven channels, no activation", "no class"])
def test_layer_on_patches_that_the_device_numbered(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.setattr(patch_numbering, "LEAST_PIXELS", 0)
    monkeypatch.setattr(patch_numbering, "MOST_DISTINCT", 1)
    maps, channels, hidden, slope = CASES[case]
    size = Size(*maps.shape[1:])
    patches = patch_numbering.find_patches(jt.array(maps.astype(np.int32)), [size], CLASSES)[size]
    dense, fast = (results(maps, channels, hidden, given, slope, True) for given in (None, patches))
    for name, expected in dense.items():
        scale = max(np.abs(expected).max(), 1e-3)
        np.testing.assert_allclose(fast[name], expected, atol=1e-5 * scale, err_msg=name)


def test_bits_repeat() -> None:
    maps, channels, hidden, slope = CASES["eight channels"]
    first, second = (results(maps, channels, hidden, on_gpu(maps), slope, True) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
