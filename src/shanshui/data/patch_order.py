"""Sorted lists of who uses which distinct patch, for GPU kernels that sum over them without atomic operations.

The pixels of a patch lie side by side in `order`. Most patches are those of a single pixel, and most pixels belong to
few patches: patches of up to `SHORT` pixels are summed by one thread each, longer ones in segments of up to `LONG`.

Arrays are padded to few different lengths, so that memory is not allocated again for every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shanshui.data.patches import Patches

SHORT = 16  # pixels of a patch that one thread sums
LONG = 1024  # pixels of a segment that 32 threads sum
EIGHTHS = 8  # lengths are padded to a multiple of an eighth of the power of two below them
UNUSED = -1


@dataclass(frozen=True)
class PatchOrder:
    """Sorted lists for K3 and K5 distinct patches, padded to `rows` and `patches` of them; all arrays are int32.

    Attributes:
        rows: K3 padded; also the number in `neighbours` that stands for "outside of the map".
        neighbours: (patches, 9), each 5x5 patch as the numbers of its nine 3x3 patches.
        order: (N * h * w,) pixels of the batch, sorted by the number of their 5x5 patch.
        short: (S, 3) patches of at most SHORT pixels: number, first and end in `order`; number -1 for padding.
        long: (L, 2) segments of longer patches, first and end in `order`; (0, 0) for padding.
        segments: (patches, 2) first and end in `long` of each patch; equal for short ones.
        users: 5x5 patches, sorted by the 3x3 patch they use and by its position in them.
        begins: (9 * rows + 1,): where in `users` the patches with 3x3 patch r at position j begin, at 9 r + j.
    """

    rows: int
    neighbours: np.ndarray
    order: np.ndarray
    short: np.ndarray
    long: np.ndarray
    segments: np.ndarray
    users: np.ndarray
    begins: np.ndarray


def padded(count: int) -> int:
    """Round a length up to one of eight per power of two, at least 64."""
    step = max(64, 1 << max(0, count.bit_length() - 1)) // EIGHTHS
    return max(64, -(-count // step) * step)


def sort_patches(patches: Patches) -> PatchOrder:
    """Sort the pixels by patch, and the 5x5 patches by the 3x3 patches they use."""
    k3, k5 = len(patches.labels), len(patches.neighbours)
    rows, columns = padded(k3), padded(k5)
    neighbours = np.full((columns, 9), rows, np.int64)
    neighbours[:k5] = np.where(patches.neighbours == k3, rows, patches.neighbours)
    counts = np.bincount(patches.index.ravel(), minlength=columns)
    order = np.argsort(patches.index, axis=None, kind="stable")
    short, long, segments = split(counts)

    inside = neighbours < rows
    places = (neighbours * 9 + np.arange(9))[inside]  # 3x3 patch and position
    users = np.nonzero(inside)[0][np.argsort(places, kind="stable")]
    begins = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=rows * 9))])
    arrays = neighbours, order, pad(short, UNUSED), pad(long, 0), segments, pad(users, 0), begins
    return PatchOrder(rows, *(array.astype(np.int32) for array in arrays))


def split(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split patches of `counts` sorted pixels: short ones (S, 3), segments of the others (L, 2), and whose they are."""
    ends = np.cumsum(counts)
    begins = ends - counts
    is_short = counts <= SHORT
    short = np.stack([np.nonzero(is_short)[0], begins[is_short], ends[is_short]], 1)
    pieces = np.where(is_short, 0, -(-counts // LONG))
    last = np.cumsum(pieces)
    segments = np.stack([last - pieces, last], 1)
    owner = np.repeat(np.arange(len(counts)), pieces)
    begin = begins[owner] + (np.arange(len(owner)) - segments[owner, 0]) * LONG
    return short, np.stack([begin, np.minimum(begin + LONG, ends[owner])], 1), segments


def pad(array: np.ndarray, value: int) -> np.ndarray:
    """Append rows of `value` up to the next padded length."""
    more = np.full((padded(len(array)) - len(array), *array.shape[1:]), value, array.dtype)
    return np.concatenate([array, more])
