"""Mountain relief carved by rivers: uplift against stream-power erosion, on a small periodic grid.

The steady state of dh/dt = uplift - k * area^m * slope resembles real ranges: branching valleys, sharp crests, spurs.
Solved implicitly along the drainage tree (Braun & Willett 2013, Geomorphology 180), coarse grid first. It takes about a
second, once per process.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from shanshui.landscapes.noise import SIDE, Array, fbm, grain

Grid = NDArray[np.float64]
AREA_POWER, STRENGTH = 0.45, 0.11


def _receivers(height: Grid) -> tuple[NDArray[np.int64], Grid]:
    """Find each node's steepest lower neighbour of 8 (itself at a pit), and the distance to it in nodes."""
    side = height.shape[0]
    index = np.arange(side * side).reshape(side, side)
    best, receiver, length = np.zeros_like(height), index.copy(), np.ones_like(height)
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        step = float(np.hypot(dy, dx))
        slope = (height - np.roll(height, (dy, dx), (0, 1))) / step
        better = slope > best
        best[better] = slope[better]
        receiver[better] = np.roll(index, (dy, dx), (0, 1))[better]
        length[better] = step
    return receiver.ravel(), length.ravel()


def _solve(matrix: sparse.csc_matrix, right: Grid) -> Grid:
    """Solve a triangular sparse system."""
    return splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0).solve(right)


def _erode(height: Grid, base: NDArray[np.bool_], uplift: Grid, steps: int, diffusion: float) -> Grid:
    """Compute `steps` implicit steps of `uplift` and erosion; heights in `base` stay as they are."""
    side, nodes = height.shape[0], height.size
    spacing = SIDE / side
    for _ in range(steps):
        receiver, length = _receivers(height)
        order = np.argsort(height, axis=None, kind="stable")  # receivers first: every system is triangular
        rank = np.empty(nodes, np.int64)
        rank[order] = np.arange(nodes)
        to = rank[receiver[order]]
        node = np.arange(nodes)
        flows = (to != node) & ~base.ravel()[order]
        ones = np.ones(nodes)
        into = sparse.csc_matrix((-ones[flows], (to[flows], node[flows])), shape=(nodes, nodes))
        area = _solve((sparse.identity(nodes, format="csc") + into).tocsc(), ones * spacing**2)
        pull = STRENGTH * np.maximum(area, 0) ** AREA_POWER / (length[order] * spacing)
        pull[~flows] = 0
        system = sparse.diags(1 + pull) - sparse.csc_matrix(
            (pull[flows], (node[flows], to[flows])), shape=(nodes, nodes)
        )
        lifted = height.ravel()[order] + np.where(base, 0, uplift).ravel()[order]
        height = _solve(system.tocsc(), lifted)[rank].reshape(side, side)
        if diffusion:
            smooth = ndimage.gaussian_filter(height, diffusion, mode="wrap")
            height = np.where(base, height, smooth)
    return height


@functools.cache
def alps() -> Array:
    """Return an eroded mountain relief, periodic (SIDE, SIDE): 0 on valley floors to about 1 on the highest crest."""
    shape = fbm().astype(np.float64)
    uplift = np.exp(0.45 * np.roll(shape, (177, 91), (0, 1)))  # some blocks rise faster: peaks differ in height
    height = np.zeros((64, 64))
    for side, steps, diffusion in ((64, 60, 0.0), (128, 25, 0.0), (256, 8, 0.35)):
        factor = SIDE // side
        base = shape[::factor, ::factor] < -1.05
        if height.shape[0] != side:
            height = ndimage.zoom(height, 2, order=1, mode="grid-wrap", grid_mode=True)
        height = height + 0.4 * np.abs(grain()[::factor, ::factor])
        height[base] = 0
        height = _erode(height, base, uplift[::factor, ::factor], steps, diffusion)
    height = ndimage.zoom(height, SIDE // 256, order=2, mode="grid-wrap", grid_mode=True)
    return (np.clip(height / np.percentile(height, 99.7), 0, 1.15)).astype(np.float32)


@functools.cache
def hills() -> Array:
    """Return the same ranges smoothed to rounded hills, 0 to about 1."""
    soft = ndimage.gaussian_filter(alps(), 5.0, mode="wrap")
    return (soft / soft.max()).astype(np.float32)
