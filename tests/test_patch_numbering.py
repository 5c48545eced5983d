"""Numbering of distinct patches by the GPU kernels, run on the CPU: the same patches, users and pixels as in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.data import patch_order
from shanshui.data.nearest import nearest_index
from shanshui.data.patch_order import padded
from shanshui.data.patches import find_patches, patch_pyramid
from shanshui.nn import patch_numbering, patch_spade
from shanshui.nn.patch_spade import DevicePatches
from shanshui.storage.size import Size

jt = load_jittor()
CLASSES = 5


def random_maps(seed: int) -> np.ndarray:
    """Of a random size: regions, lines, single pixels, some of no class."""
    rng = np.random.default_rng(seed)
    n, height, width = (int(rng.integers(*ends)) for ends in ((1, 4), (24, 60), (24, 60)))
    side = int(rng.integers(6, 20))
    coarse = rng.integers(0, CLASSES, (n, -(-height // side), -(-width // side)))
    maps = coarse.repeat(side, 1).repeat(side, 2)[:, :height, :width].astype(np.uint8)
    maps[0, :, int(rng.integers(width))] = 255
    for _ in range(int(rng.integers(0, 9))):
        maps[rng.integers(n), rng.integers(height), rng.integers(width)] = rng.integers(CLASSES)
    return maps


def on_device(maps: np.ndarray, sizes: Sequence[Size], num_classes: int = CLASSES) -> dict[Size, DevicePatches]:
    return dict(patch_numbering.find_patches(jt.array(maps.astype(np.int32)), sizes, num_classes))


def as_found_in_numpy(maps: np.ndarray, size: Size, device: DevicePatches) -> None:
    """Check all tables against the numbers of `find_patches`, which are others of the same patches."""
    rows, columns = (nearest_index(*sides) for sides in zip(maps.shape[1:], size, strict=True))
    patches = find_patches(maps[:, rows][:, :, columns])
    expected = patch_spade.to_device({size: patches}, CLASSES, gpu=True)[size]
    index, lists = device.index.numpy(), device.order
    assert lists
    assert expected.order
    k3, k5 = len(patches.labels), len(patches.neighbours)
    assert device.one_hot.shape == (padded(k3), 9 * CLASSES) == tuple(expected.one_hot.shape)
    assert device.neighbours.shape == (padded(k5), 9)
    assert lists.rows == padded(k3)
    pairs = np.unique(np.stack([index.ravel(), patches.index.ravel()]), axis=1)
    assert pairs.shape[1] == k5 == pairs[0].max() + 1, "one number for each patch, and no others"
    assert len(set(pairs[1])) == k5
    given = jt.concat([expected.one_hot, jt.zeros((1, 9 * CLASSES))], 0).numpy()[expected.neighbours.numpy()]
    found = jt.concat([device.one_hot, jt.zeros((1, 9 * CLASSES))], 0).numpy()[device.neighbours.numpy()]
    np.testing.assert_array_equal(found[pairs[0]], given[pairs[1]])
    np.testing.assert_array_equal(device.neighbours.numpy()[k5:], lists.rows)
    np.testing.assert_array_equal(device.one_hot.numpy()[k3:], 0)
    assert (device.neighbours.numpy() < k3).sum() == (patches.neighbours < k3).sum()
    lists_are_of(index, device)


def lists_are_of(index: np.ndarray, device: DevicePatches) -> None:
    """Check that the lists name every pixel and every user once, and where they belong."""
    lists, neighbours = device.order, device.neighbours.numpy()
    assert lists
    order, short, long, segments = (
        a.numpy() for a in (lists.order, lists.short, lists.long, lists.segments)
    )  # fmt: skip
    counts = np.bincount(index.ravel(), minlength=len(neighbours))
    np.testing.assert_array_equal(order, np.argsort(index, axis=None, kind="stable"))
    begins = np.cumsum(counts) - counts
    covered = np.zeros(order.size, int)
    for k, (number, begin, end) in enumerate(short):
        assert number == (k if counts[k] <= patch_order.SHORT else -1)
        if number >= 0:
            assert end - begin == counts[k]
            assert begin == begins[k] or begin == end
            covered[begin:end] += 1
    for k, (first, last) in enumerate(segments):
        assert (last > first) == (counts[k] > patch_order.SHORT)
        for begin, end in long[first:last]:
            assert 0 < end - begin <= patch_order.LONG
            assert begins[k] <= begin < end <= begins[k] + counts[k]
            covered[begin:end] += 1
    assert (covered == 1).all()
    assert (long[segments.max() :] == 0).all()
    users, starts = lists.users.numpy(), lists.begins.numpy()
    assert len(starts) == 9 * lists.rows + 1
    for row in range(lists.rows):
        for j in range(9):
            mine = users[starts[9 * row + j] : starts[9 * row + j + 1]]
            np.testing.assert_array_equal(mine, np.nonzero(neighbours[:, j] == row)[0])


@pytest.mark.parametrize("seed", range(6))
def test_random_label_maps(seed: int) -> None:
    maps = random_maps(seed)
    size = Size(*maps.shape[1:])
    half = Size(size.height // 2 + 1, size.width // 2)
    found = on_device(maps, [size, half])
    assert set(found) == set(patch_pyramid(maps, [size, half]))
    assert found
    for each, device in found.items():
        as_found_in_numpy(maps, each, device)


def test_long_patches_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """With short limits, which many patches have exactly."""
    for module in (patch_order, patch_numbering):
        monkeypatch.setattr(module, "LONG", 40)
        monkeypatch.setattr(module, "SHORT", 1)
    maps = random_maps(7)
    size = Size(*maps.shape[1:])
    device = on_device(maps, [size])[size]
    assert device.order
    assert len(device.order.long.numpy()) > 64
    as_found_in_numpy(maps, size, device)


def test_one_class_alone() -> None:
    maps = np.full((1, 40, 50), 3, np.uint8)
    as_found_in_numpy(maps, Size(40, 50), on_device(maps, [Size(40, 50)])[Size(40, 50)])


def test_sizes_without_gain_are_left_out() -> None:
    noise = np.random.default_rng(0).integers(0, CLASSES, (1, 64, 64)).astype(np.uint8)
    assert on_device(noise, [Size(64, 64), Size(4, 4)]) == {}
    assert on_device(noise, []) == {}


def test_too_many_patches_for_their_keys_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = random_maps(8)
    size = Size(*maps.shape[1:])
    k3 = len(find_patches(maps).labels)
    monkeypatch.setattr(patch_numbering, "MOST_NUMBERS", k3)
    assert on_device(maps, [size]) == {}
    monkeypatch.setattr(patch_numbering, "MOST_NUMBERS", k3 + 1)
    as_found_in_numpy(maps, size, on_device(maps, [size])[size])


def test_keys_of_many_classes() -> None:
    assert patch_numbering.MOST_CLASSES == 125
    assert (125 + 2) ** 9 < 2**63 < (126 + 2) ** 9 + 1
    assert patch_numbering.MOST_NUMBERS**4 < 2**63
    maps = random_maps(9)
    maps[maps < CLASSES] += 120
    size = Size(*maps.shape[1:])
    found: Any = on_device(maps, [size], 125)[size]
    few = on_device(maps - np.where(maps < 255, 120, 0).astype(np.uint8), [size])[size]
    np.testing.assert_array_equal(found.index.numpy(), few.index.numpy())


def test_bits_repeat() -> None:
    maps = random_maps(10)
    size = Size(*maps.shape[1:])
    first, second = (on_device(maps, [size])[size] for _ in range(2))
    np.testing.assert_array_equal(first.index.numpy(), second.index.numpy())
    np.testing.assert_array_equal(first.one_hot.numpy(), second.one_hot.numpy())
