"""CLADE layers, the positional encoding and edges, on cases that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.spade_generator import SPADEGenerator
from shanshui.backend.modules import gather, restore
from shanshui.backend.runtime import load_jittor
from shanshui.data.edges import edges
from shanshui.data.labels import one_hot
from shanshui.data.positions import positions
from shanshui.nn import clade
from shanshui.nn.clade import CLADE
from shanshui.nn.condition import Condition, class_index
from shanshui.nn.spade_block import BlockKind

jt = load_jittor()

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (2, 4, 6)).astype(np.uint8)
LABELS[0, :2, :2] = 255
X = RNG.normal(size=(2, 5, 4, 6)).astype(np.float32)


def condition(labels: np.ndarray, **more: Any) -> Condition:
    segmap = jt.array(one_hot(labels, 3))
    return Condition(segmap, index=class_index(segmap), **more)


def layer(norm: Any, positions: bool = False) -> Any:
    """Scales 1, 2, 3 and shifts 0, 10, 20 by class."""
    found = CLADE(5, 3, norm=norm, positions=positions)
    found.class_specified_affine.weight.assign(jt.array(np.float32([[1], [2], [3]]).repeat(5, 1)))
    found.class_specified_affine.bias.assign(jt.array(np.float32([[0], [10], [20]]).repeat(5, 1)))
    jt.sync_all()
    return found


def standardised(axes: tuple[int, ...]) -> np.ndarray:
    return (X - X.mean(axes, keepdims=True)) / np.sqrt(X.var(axes, keepdims=True) + 1e-5)


@pytest.fixture(params=["kernel", "dense"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of computing it."""
    monkeypatch.setattr(clade, "on_cpu", lambda: request.param == "kernel")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("norm", "axes"), [("batch", (0, 2, 3)), ("instance", (2, 3))])
def test_scale_and_shift_by_class(norm: Any, axes: tuple[int, ...]) -> None:
    ids = np.where(LABELS == 255, 0, LABELS)[:, None]  # scale 1 and shift 0 where there is no class
    wanted = standardised(axes) * (1 + ids) + 10 * ids
    np.testing.assert_allclose(layer(norm)(jt.array(X), condition(LABELS)).numpy(), wanted, atol=1e-4)
    leaky = layer(norm)(jt.array(X), condition(LABELS), 0.2).numpy()
    np.testing.assert_allclose(leaky, np.where(wanted > 0, wanted, 0.2 * wanted), atol=1e-4)


def test_both_ways_have_the_same_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for kernel in (True, False):
        monkeypatch.setattr(clade, "on_cpu", lambda kernel=kernel: kernel)
        network, x = layer("instance"), jt.array(X)
        target = jt.array(np.random.default_rng(2).normal(size=X.shape).astype(np.float32))
        loss = (network(x, condition(LABELS), 0.2) * target).sum()
        affine = network.class_specified_affine
        found.append([grad.numpy() for grad in jt.grad(loss, [x, affine.weight, affine.bias])])
    for fast, dense in zip(*found, strict=True):
        np.testing.assert_allclose(fast, dense, atol=1e-4)


def test_position_tilts_scale_and_shift() -> None:
    network = layer("instance", positions=True)
    affine = network.class_specified_affine
    affine.dist_conv_w.weight.assign(jt.array(np.float32([0.5, 0]).reshape(1, 2, 1, 1)))
    affine.dist_conv_b.weight.assign(jt.array(np.float32([0, 2]).reshape(1, 2, 1, 1)))
    jt.sync_all()
    place = np.random.default_rng(3).random((2, 2, 4, 6)).astype(np.float32)
    ids = np.where(LABELS == 255, 0, LABELS)[:, None]
    wanted = standardised((2, 3)) * (1 + ids) * (1 + 0.5 * place[:, :1]) + 10 * ids * (1 + 2 * place[:, 1:])
    found = network(jt.array(X), condition(LABELS, positions=jt.array(place)))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)


def test_positional_encoding_changes_nothing_at_first() -> None:
    labels = RNG.integers(0, 3, (1, 4, 4)).repeat(16, 1).repeat(16, 2).astype(np.uint8)
    segmap = jt.array(one_hot(labels, 3))
    plain, tilted = (SPADEGenerator(BlockKind(3, kind), 2) for kind in ("clade", "clade_icpe"))  # type: ignore[arg-type]
    restore(tilted, gather(tilted) | gather(plain), "plain")
    place = jt.array(positions(labels[0])[None])
    np.testing.assert_allclose(tilted(segmap, positions=place).numpy(), plain(segmap).numpy(), atol=1e-5)


# --- encoding and edges -----------------------------------------------------------------------------------


def test_positions_in_a_rectangle() -> None:
    label_map = np.full((7, 9), 255, np.uint8)
    label_map[1:4, 2:7] = 0
    down, right = positions(label_map)
    np.testing.assert_allclose(down[1:4, 2:7], np.float32([[-1], [0], [1]]).repeat(5, 1), atol=2e-5)
    np.testing.assert_allclose(right[1:4, 2:7], np.float32([[-1, -0.5, 0, 0.5, 1]]).repeat(3, 0), atol=2e-5)
    assert not down[label_map == 255].any()
    assert max(abs(down).max(), abs(right).max()) < 1


def test_regions_touch_at_corners_and_every_class_counts() -> None:
    diagonal = np.array([[0, 1], [1, 0]], np.uint8)
    down, right = positions(diagonal)
    np.testing.assert_allclose(down, [[-1, -1], [1, 1]], atol=3e-5)
    np.testing.assert_allclose(right, [[-1, 1], [-1, 1]], atol=3e-5)


def mirror(encoding: np.ndarray) -> np.ndarray:
    """The encoding of the label map flipped left to right: (..., 2, H, W) -> (..., 2, H, W)."""
    flipped = encoding[..., ::-1].copy()
    flipped[..., 1, :, :] *= -1
    return flipped


def test_mirrored_map_has_the_mirrored_encoding() -> None:
    label_map = RNG.integers(0, 3, (6, 8)).astype(np.uint8)
    np.testing.assert_allclose(positions(label_map[:, ::-1]), mirror(positions(label_map)), atol=1e-6)


def test_edges_mark_both_pixels() -> None:
    ids = np.full((1, 5, 6), 7, np.int32)
    ids[0, 1, 4], ids[0, 3, 1] = 300, -1
    wanted = np.zeros((5, 6), np.float32)
    for y, x in ((1, 4), (3, 1)):
        wanted[y, x - 1 : x + 2] = wanted[y - 1 : y + 2, x] = 1
    np.testing.assert_array_equal(edges(ids), wanted[None, None])
    assert not edges(np.zeros((2, 3, 4), np.uint8)).any()
