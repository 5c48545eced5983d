"""Distinct neighbourhoods of a label map, on which gamma and beta of SPADE layers depend.

Two 3x3 convolutions of the one-hot label map see its 5x5 neighbourhood and nothing else, and label maps are
piecewise constant: at 512x384, one pixel in twenty-six of a street scene has a neighbourhood that is new. Here the
distinct ones are numbered, once per label map and size; `nn.patch_spade` computes on the numbered ones
only, which gives what the convolutions give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from shanshui.data.nearest import nearest_index
from shanshui.data.patch_order import PatchOrder, sort_patches
from shanshui.storage.size import Size

NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
CORNERS = [0, 2, 6, 8]  # of NEIGHBOURS: they fix all others, as their 3x3 patches overlap in the middle
OUTSIDE = 256  # label of what lies outside of the map, which is neither a class nor 255
MOST_DISTINCT = 0.6  # share of distinct 3x3 patches above which the convolutions are faster
LEAST_PIXELS = 512  # below that, too


@dataclass(frozen=True)
class Patches:
    """Distinct patches of label maps (N, h, w), numbered over the whole batch.

    Attributes:
        labels: (K3, 9) uint16, the 3x3 patches row by row; 256 where they reach out of the map.
        neighbours: (K5, 9) int32, each 5x5 patch as the numbers of the 3x3 patches around its nine inner
            pixels; K3 where that pixel lies outside.
        index: (N, h, w) int32, number of the 5x5 patch around each pixel.
        order: sorted lists for GPU kernels, if they were asked for.
    """

    labels: np.ndarray
    neighbours: np.ndarray
    index: np.ndarray
    order: PatchOrder | None = None

    @property
    def worth_it(self) -> bool:
        """Whether computing on distinct patches takes less time than convolving the whole map."""
        return len(self.labels) <= MOST_DISTINCT * self.index.size


def find_patches(label_maps: np.ndarray) -> Patches:
    """Enumerate the distinct patches of label maps, uint8 (N, h, w), both sides at least 2; 255 is no class."""
    labels = shifted(label_maps.astype(np.int64), OUTSIDE)
    above, centre, below = (number(labels[row : row + 3])[0] for row in (0, 3, 6))
    inner, places = number([above, centre, below])
    around = shifted(inner, len(places))
    index, distinct = number([around[i] for i in CORNERS])
    return Patches(
        np.stack([ids.ravel()[places] for ids in labels], axis=1).astype(np.uint16),
        np.stack([ids.ravel()[distinct] for ids in around], axis=1).astype(np.int32),
        index.astype(np.int32),
    )


Find = Callable[[np.ndarray], Patches]


def shifted(maps: np.ndarray, outside: int) -> list[np.ndarray]:
    """Return the values of (N, h, w) at each pixel's 3x3 neighbourhood, row by row, as nine arrays (N, h, w)."""
    _, height, width = maps.shape
    wide = np.pad(maps, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    return [wide[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in NEIGHBOURS]


def number(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Enumerate the distinct tuples (a, b, ...) of equally shaped integer arrays from 0, in order of appearance.

    Returns:
        The number of each tuple, in the arrays' shape, and the flat position at which each number appears first.
    """
    key = parts[0].astype(np.int64)
    for part in parts[1:]:
        base = int(part.max()) + 1
        if int(key.max()) >= np.iinfo(np.int64).max // base:
            key = number([key])[0]  # keep the product within 64 bits
        key = key * base + part
    flat = key.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))  # of runs, of which there are few
    _, first, codes = np.unique(flat[starts], return_index=True, return_inverse=True)
    order = np.argsort(first)  # of the numbers, which are sorted by value, by their first place
    codes = np.argsort(order)[codes]
    return np.repeat(codes, np.diff(starts, append=flat.size)).reshape(key.shape), starts[first[order]]


def patch_pyramid(
    label_maps: np.ndarray, sizes: Iterable[Size], sort: bool = False, find: Find = find_patches
) -> dict[Size, Patches]:
    """Find the patches of label maps, uint8 (N, H, W), at each of `sizes` at which they save time.

    Args:
        label_maps: class ids uint8 (N, H, W).
        sizes: to which they are resized.
        sort: also make the sorted lists that GPU kernels need.
        find: enumerates the patches, as `find_patches`.
    """
    pyramid = {}
    for size in sizes:
        if min(size) < 2 or label_maps.shape[0] * size.pixels < LEAST_PIXELS:
            continue
        patches = find(resized(label_maps, size))
        if patches.worth_it:
            pyramid[size] = replace(patches, order=sort_patches(patches)) if sort else patches
    return pyramid


def resized(label_maps: np.ndarray, size: Size) -> np.ndarray:
    """Resize label maps (N, H, W) by nearest neighbour."""
    rows, columns = (nearest_index(*sides) for sides in zip(label_maps.shape[1:], size, strict=True))
    return label_maps[:, rows][:, :, columns]
