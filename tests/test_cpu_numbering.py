"""Enumeration of distinct patches by a compiled kernel: the arrays that NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

from shanshui.backend.device import on_cpu
from shanshui.data.patches import find_patches
from shanshui.nn.cpu_numbering import found_by_kernel


@pytest.mark.parametrize(
    ("shape", "classes", "block"),
    [((1, 32, 48), 5, 8), ((3, 20, 17), 200, 3), ((2, 9, 2), 3, 1), ((1, 64, 64), 256, 1)],
)
def test_gives_the_arrays_of_numpy(shape: tuple[int, int, int], classes: int, block: int) -> None:
    if not on_cpu():
        pytest.skip("on a GPU")
    n, h, w = shape
    blocks = np.random.default_rng(h).integers(0, classes, (n, -(-h // block), -(-w // block)), dtype=np.uint8)
    maps = np.repeat(np.repeat(blocks, block, 1), block, 2)[:, :h, :w]
    maps[0, 0] = 255
    found, expected = found_by_kernel(maps), find_patches(maps)
    for name in ("labels", "neighbours", "index"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.dtype == theirs.dtype
        assert np.array_equal(mine, theirs), name
