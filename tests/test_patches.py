"""Distinct patches of label maps, and SPADE layers computed on them against the same layers computed densely."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures import apf_generator
from shanshui.architectures.apf_generator import Generator
from shanshui.backend.device import distinct_patches
from shanshui.backend.modules import gather
from shanshui.backend.runtime import load_jittor
from shanshui.data.labels import one_hot
from shanshui.data.patches import NEIGHBOURS, find_patches, number, patch_pyramid
from shanshui.nn.patch_spade import to_device
from shanshui.nn.spade import SLOPE, SPADE
from shanshui.storage.size import Size

jt = load_jittor()

CLASSES = 4


def blocks(n: int, height: int, width: int, side: int, seed: int = 0) -> np.ndarray:
    """Label maps of square patches, with a patch of no class."""
    coarse = np.random.default_rng(seed).integers(0, CLASSES, (n, -(-height // side), -(-width // side)))
    coarse[0, 0, 0] = 255
    return coarse.repeat(side, 1).repeat(side, 2)[:, :height, :width].astype(np.uint8)


def windows(label_maps: np.ndarray, side: int) -> np.ndarray:
    """The side x side labels around every pixel (N, h, w, side * side), 256 outside of the map."""
    reach = side // 2
    wide = np.pad(label_maps.astype(int), ((0, 0), (reach, reach), (reach, reach)), constant_values=256)
    views = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(1, 2))  # type: ignore[call-overload]
    return np.asarray(views).reshape(*label_maps.shape, side * side)


@pytest.mark.parametrize(
    "label_maps",
    [
        blocks(2, 13, 17, 4),
        blocks(2, 9, 11, 1),
        np.zeros((1, 6, 7), np.uint8),
        np.full((2, 2, 3), 255, np.uint8),
        np.array([[[0, 1], [255, 0]]], np.uint8),
    ],
    ids=["pieces", "every pixel another", "one class", "no class", "two by two"],
)
def test_every_pixel_is_given_its_own_patch(label_maps: np.ndarray) -> None:
    patches = find_patches(label_maps)
    threes, fives = windows(label_maps, 3), windows(label_maps, 5)
    n, height, width = label_maps.shape
    for i, y, x in np.ndindex(n, height, width):
        for (dy, dx), three in zip(NEIGHBOURS, patches.neighbours[patches.index[i, y, x]], strict=True):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                np.testing.assert_array_equal(patches.labels[three], threes[i, y + dy, x + dx])
            else:
                assert three == len(patches.labels)
    assert len(patches.labels) == len(np.unique(threes.reshape(-1, 9), axis=0))  # and none is there twice
    assert len(patches.neighbours) == len(np.unique(fives.reshape(-1, 25), axis=0))


def test_numbers_in_order_of_appearance_beyond_64_bits() -> None:
    a = np.array([[7, 7, 2**20], [7, 2**20, 0]])
    codes, first = number([a, a, a, a])
    assert codes.tolist() == [[0, 0, 1], [0, 1, 2]]
    assert first.tolist() == [0, 2, 5]


def test_patches_are_used_where_they_save_time() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, CLASSES, (1, 64, 64)).astype(np.uint8)
    assert not patch_pyramid(noise, [Size(64, 64), Size(32, 32)])
    pyramid = patch_pyramid(blocks(2, 64, 64, 16), [Size(64, 64), Size(32, 32), Size(4, 4)])
    assert set(pyramid) == {(64, 64), (32, 32)}
    assert not patch_pyramid(np.zeros((8, 32, 4096), np.uint8), [Size(1, 128)]), "a single row has no patches"
    np.testing.assert_array_equal(
        pyramid[Size(32, 32)].labels[pyramid[Size(32, 32)].neighbours[pyramid[Size(32, 32)].index[..., 5, 5], 4], 4],
        blocks(2, 64, 64, 16)[:, 10, 10],
    )


def layer_and_inputs(n: int, label_maps: np.ndarray, norm: Any) -> tuple[Any, Any, Any, Any]:
    rng, channels = np.random.default_rng(1), 6
    layer = SPADE(channels, CLASSES, 5, seg_noise=True, norm=norm)
    for parameter in layer.parameters():
        parameter.assign(jt.array(rng.normal(scale=0.5, size=parameter.shape).astype(np.float32)))
    x = jt.array(rng.normal(3, 2, (n, channels, *label_maps.shape[1:])).astype(np.float32))
    noise = jt.array(rng.normal(size=(n, 1, *label_maps.shape[1:])).astype(np.float32))
    jt.sync_all()
    return layer, x, noise, jt.array(one_hot(label_maps, CLASSES))


@pytest.mark.parametrize("slope", [1.0, SLOPE])
@pytest.mark.parametrize(("training", "norm"), [(True, "batch"), (False, "batch"), (True, "instance")])
def test_layer_and_gradients_equal_the_dense_ones(training: bool, norm: str, slope: float) -> None:
    label_maps = blocks(2, 24, 32, 5)
    assert distinct_patches()
    patches = to_device({(24, 32): find_patches(label_maps)}, CLASSES)[24, 32]
    found = []
    for given in (None, patches):
        layer, x, noise, segmap = layer_and_inputs(2, label_maps, norm)
        if not training:
            layer(x, segmap, noise).sync()
            layer.eval()
        out = layer(x, segmap, noise, given, slope)
        target = jt.array(np.random.default_rng(2).normal(size=out.shape).astype(np.float32))
        parameters = {name: p for name, p in layer.state_dict().items() if "running" not in name}
        grads = jt.grad((out * target).sum(), [x, *parameters.values()])
        arrays = dict(zip(["x", *parameters], (g.numpy() for g in grads), strict=True))
        buffers = {name: a for name, a in gather(layer).items() if "running" in name}
        found.append({"out": out.numpy()} | arrays | buffers)
    dense, fast = found
    assert {"x", "mlp_shared.weight", "mlp_gamma.weight", "mlp_beta.bias", "seg_noise_var.weight"} <= set(dense)
    for name, expected in dense.items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(fast[name], expected, atol=2e-5 * scale, err_msg=name)


def test_generator_gives_the_same_picture() -> None:
    label_maps = blocks(2, 64, 128, 16)
    G = Generator(CLASSES, 8, halvings=5, heads=2, spade_hidden=8, seg_noise=True)
    for parameter in G.parameters():
        parameter.assign(jt.randn(parameter.shape) * 0.1)
    segmap, z = jt.array(one_hot(label_maps, CLASSES)), jt.randn(2, 128, 2, 4)
    for level, alpha in ((0, 0.0), (0, 0.5), (2, 0.0)):
        patches = patch_pyramid(label_maps, G.patch_sizes(Size(64, 128), level, alpha))
        assert patches
        pictures = [G(z, segmap, level, alpha, patches=given).numpy() for given in (None, to_device(patches, CLASSES))]
        np.testing.assert_allclose(pictures[0], pictures[1], atol=2e-5)


@pytest.mark.parametrize("halvings", [5, 6])
@pytest.mark.parametrize(("level", "alpha"), [(0, 0.0), (0, 0.5), (2, 0.0), (None, 0.0)])
def test_sizes_are_those_of_the_features(halvings: int, level: int | None, alpha: float) -> None:
    G = Generator(CLASSES, 2, halvings=halvings, heads=2, spade_hidden=2)
    segmap = jt.zeros((1, CLASSES, 128, 192))
    z = jt.zeros((1, 32, 128 >> halvings, 192 >> halvings))
    last = {0: "up_2", 2: "up_4", None: "up_4"}[level] if not alpha else "up_3"
    sizes = []
    for name, x in G.trace(z, segmap):
        sizes.append(tuple(x.shape[2:]))
        if name == last:
            break
    assert set(G.patch_sizes(Size(128, 192), level, alpha)) == set(sizes)


def test_no_patches_where_their_kernels_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    G = Generator(CLASSES, 2, halvings=5, spade_hidden=2)
    assert G.patch_sizes(Size(64, 64))
    monkeypatch.setattr(apf_generator, "distinct_patches", lambda: False)
    assert G.patch_sizes(Size(64, 64)) == []
