"""Conditioning of a generator's features: the label map and related inputs, at the size of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.lazy import jt
from shanshui.nn.patch_spade import DevicePatches, PatchPyramid
from shanshui.nn.resize import nearest
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


@dataclass(frozen=True)
class Condition:
    """Conditioning inputs at one size.

    Attributes:
        segmap: (N, num_classes, h, w), one-hot; all zero where there is no class. With edges: one channel more.
        edges: (N, 1, h, w), the last channel of `segmap`; None for a generator without.
        positions: (N, 2, h, w), offsets within each region; or None.
        index: (N, h, w) int32 class ids, num_classes where there is no class; where layers look up by class.
        patches: the distinct patches of `segmap`; or None.
    """

    segmap: Var
    edges: Var | None = None
    positions: Var | None = None
    index: Var | None = None
    patches: DevicePatches | None = None

    def at(self, size: Size, pyramid: PatchPyramid) -> Condition:
        """Resize all inputs to another size by nearest neighbour."""
        index = self.index
        if index is not None:
            index = nearest(index.unsqueeze(1), size).squeeze(1)
        edges, positions = (x if x is None else nearest(x, size) for x in (self.edges, self.positions))
        return Condition(nearest(self.segmap, size), edges, positions, index, pyramid.get(size))


def class_index(one_hot: Var) -> Var:
    """Compute class ids int32 (N, h, w) of (N, num_classes, h, w); num_classes where no channel is above zero."""
    ids, largest = jt.argmax(one_hot, 1)
    return jt.where(largest > 0, ids, jt.full_like(ids, one_hot.shape[1])).int32()


def one_hot_maps(label_maps: np.ndarray, num_classes: int) -> Var:
    """Upload class ids, uint8 (N, H, W), and encode them as (N, num_classes, H, W); all zero where the id is 255."""
    if jt.flags.use_cuda:
        ids = jt.array(label_maps.astype(np.int32)).unsqueeze(1)  # (N, 1, H, W)
        classes = jt.array(np.arange(num_classes, dtype=np.int32)).reshape(1, -1, 1, 1)
        return (ids == classes).float32()
    n, height, width = label_maps.shape
    made: Var = jt.code(
        (n, num_classes, height, width), "float32", [jt.array(label_maps.astype(np.int32))], cpu_src=ENCODE
    )
    return made


ENCODE = """
const int64 N = out_shape0, C = out_shape1, S = out_shape2 * out_shape3;
#pragma omp parallel for collapse(2) schedule(static)
for (int64 n = 0; n < N; n++)
    for (int64 c = 0; c < C; c++) {
        const int* label = in0_p + n * S;
        float* map = out_p + (n * C + c) * S;
        for (int64 p = 0; p < S; p++) map[p] = label[p] == c;
    }
"""
