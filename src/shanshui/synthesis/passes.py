"""Division of label maps among forward passes.

On a CPU the time of a small image is mostly that of calling some two hundred operations. Several label maps in one pass
share it; their number is bounded by their pixels, and with it the memory. An image must not depend on those that it is
generated with, so that label maps share a pass only if distinct patches are used at the same sizes for each of them
(`data/patches.py`), which depends on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shanshui.nn.cpu_numbering import patches_alone
from shanshui.nn.patch_spade import PatchPyramid, to_device_alone
from shanshui.storage.size import Size

PIXELS = 8 * 128 * 128  # of the label maps of one pass on a CPU
PASSES = 4  # whose label maps are considered at once


@dataclass(frozen=True)
class Pass:
    """Label maps of one forward pass: their numbers, and the distinct patches of each of them."""

    numbers: list[int]
    patches: PatchPyramid


def label_maps_per_pass(size: Size, most: int | None = None) -> int:
    """Return how many label maps of a size a CPU computes in one forward pass, at most `most`."""
    fitting = max(1, PIXELS // size.pixels)
    return fitting if most is None else min(fitting, most)


def cpu_passes(label_maps: np.ndarray, sizes: Sequence[Size], each: int) -> Iterator[Pass]:
    """Divide label maps among forward passes on a CPU.

    Args:
        label_maps: class ids uint8 (N, H, W), as the generator takes them.
        sizes: of the features at which distinct patches can be used.
        each: label maps per pass, at most.
    """
    for start in range(0, len(label_maps), PASSES * each):
        found = patches_alone(label_maps[start : start + PASSES * each], sizes)
        alike: dict[tuple[Size, ...], list[int]] = {}
        for number, patches in enumerate(found):
            alike.setdefault(tuple(patches), []).append(number)
        for numbers in alike.values():
            for part in (numbers[first : first + each] for first in range(0, len(numbers), each)):
                yield Pass([start + number for number in part], to_device_alone([found[number] for number in part]))
