"""Resizing of image batches: nearest neighbour as a gather, linear resizing as two matrix products.

A linear resize acts on rows and columns separately, so it is `rows @ x @ columns^T` with constant
matrices. In Jittor that is about twice as fast as `interpolate`, and the gradient comes for free.
Positions follow the convention `align_corners=False`: target i lies at (i + 1/2) * source / target - 1/2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt
from shanshui.data.nearest import nearest_index
from shanshui.nn.small_kernels import Pool
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


Matrix = Callable[[int, int], np.ndarray]  # (source, target) lengths -> (target, source) weights


def upsample2(x: Var) -> Var:
    """Upsample by 2 by nearest neighbour: (N, C, h, w) -> (N, C, 2h, 2w)."""
    if jt.flags.use_cuda:
        doubled: Var = Doubled.apply(x)
        return doubled
    return _doubled(x)


def _doubled(x: Var) -> Var:
    n, c, h, w = x.shape
    return x.reindex([n, c, 2 * h, 2 * w], ["i0", "i1", "i2/2", "i3/2"])


class Doubled(Function):
    """`upsample2` with its gradient as one kernel for GPUs, in which Jittor would add by atomic operations."""

    def execute(self, x: Var) -> Var:
        """Repeat every pixel twice in both directions."""
        return _doubled(x)

    def grad(self, grad: Var) -> Var:
        """Sum the four pixels that were one."""
        n, c, h, w = grad.shape
        (found,) = kernels.run(
            SUM_OF_FOUR, "const int width = in0_shape3 / 2; const long long n = out0->num;", [grad],
            [(n, c, h // 2, w // 2)], grid="std::min<long long>(4096, (n + 255) / 256), 256", kernel="sum_of_four",
            arguments="in0_p, out0_p, n, width",
        )  # fmt: skip
        return found


SUM_OF_FOUR = """
static __global__ void __launch_bounds__(256) sum_of_four(const float* x, float* y, long long n, int width) {
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        const float* from = x + (i / width * 4 * width) + i % width * 2;
        y[i] = from[0] + from[1] + from[2 * width] + from[2 * width + 1];
    }
}
"""


def nearest(x: Var, size: Size) -> Var:
    """Resize (N, C, h, w) to (N, C, *size) by nearest neighbour: target i takes source floor(i * source / target)."""
    if Size.of_maps(x) == size:
        return x
    return _pick_pixels(x, *nearest_sources(Size.of_maps(x), size))


def nearest_sources(source: Size, target: Size) -> tuple[Var, Var]:
    """Return the row of each target row, and the column of each target column, int32, kept on the device."""
    rows, columns = (_kept(nearest_index, *sides) for sides in zip(source, target, strict=True))
    return rows, columns


def pick_pixels(x: Var, rows: np.ndarray, columns: np.ndarray) -> Var:
    """Pick pixels by row and column number: (N, C, h, w) -> (N, C, len(rows), len(columns))."""
    return _pick_pixels(x, jt.array(rows.astype(np.int32)), jt.array(columns.astype(np.int32)))


def _pick_pixels(x: Var, rows: Var, columns: Var) -> Var:
    n, c = x.shape[:2]
    return x.reindex(
        [n, c, rows.shape[0], columns.shape[0]], ["i0", "i1", "@e0(i2)", "@e1(i3)"], extras=[rows, columns]
    )


def bilinear(x: Var, size: Size) -> Var:
    """Resize (N, C, h, w) to (N, C, *size) by two-point interpolation, no antialiasing (PyTorch, Jittor)."""
    return _resize(x, size, bilinear_matrix)


def bicubic(x: Var, size: Size) -> Var:
    """Resize (N, C, h, w) to (N, C, *size) by four-point cubic interpolation (a = -0.75), edges repeated."""
    return _resize(x, size, bicubic_matrix)


def area(x: Var, size: Size) -> Var:
    """Resize (N, C, h, w) to (N, C, *size), each target pixel the mean of the source area it covers."""
    return _resize(x, size, area_matrix)


def halve(x: Var, count_padding: bool = False) -> Var:
    """Average over 3x3 at stride 2, padding 1: (N, C, h, w) -> (N, C, ceil(h/2), ceil(w/2)).

    Args:
        x: (N, C, h, w).
        count_padding: divide by 9 at the borders too, which darkens them (what Jittor's pooling does,
            whatever it is asked for); otherwise by the number of real pixels.
    """
    if jt.flags.use_cuda:
        pooled: Var = Pool(count_padding)(x)
        return pooled
    return _separable(x, *(_kept(pool_matrix, side, count_padding) for side in x.shape[2:]))


def mean_pool(x: Var, side: int) -> Var:
    """Average over squares: (N, C, h, w) -> (N, C, h / side, w / side), where `side` divides h and w."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // side, side, w // side, side).mean([3, 5])


def separable(x: Var, rows: np.ndarray, columns: np.ndarray) -> Var:
    """Resize (N, C, h, w) to (N, C, H, W) by constant matrices rows (H, h) and columns (W, w)."""
    return _separable(x, jt.array(rows.T), jt.array(columns.T))


def bicubic_window(x: Var, target: Size, offset: tuple[int, int]) -> Var:
    """Enlarge (N, C, h, w) to `target` like `bicubic`; return only its part (N, C, h, w) that begins at `offset`."""
    rows, columns = (
        jt.array(_transposed_bicubic(source, side)[:, start : start + source])  # of long rows, thus quick to copy
        for source, side, start in zip(x.shape[2:], target, offset, strict=True)
    )
    return _separable(x, rows, columns)


@functools.cache
def _transposed_bicubic(source: int, target: int) -> np.ndarray:
    return np.ascontiguousarray(bicubic_matrix(source, target).T)


def _separable(x: Var, rows: Var, columns: Var) -> Var:
    """Resize by transposed matrices on the device, rows (h, H) and columns (w, W)."""
    x = jt.matmul(x, columns)  # (N, C, h, W)
    x = jt.matmul(x.transpose(0, 1, 3, 2), rows)  # (N, C, W, H)
    return x.transpose(0, 1, 3, 2)  # (N, C, H, W)


@functools.cache
def _kept(make: Callable[..., np.ndarray], *sizes: int) -> Var:
    """Create a constant on the device once per size; matrices (target, source) as (source, target)."""
    made = make(*sizes)
    return jt.array(made.astype(np.int32) if made.ndim == 1 else made.T if made.ndim == 2 else made).stop_grad()


def _resize(x: Var, size: Size, matrix: Matrix) -> Var:
    if Size.of_maps(x) == size:
        return x
    return _separable(x, *(_kept(matrix, *sides) for sides in zip(x.shape[2:], size, strict=True)))


@functools.cache
def bilinear_matrix(source: int, target: int) -> np.ndarray:
    """Build the matrix of two-point interpolation, (target, source) float32; rows sum to 1."""
    at = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    left = np.floor(at).astype(int)
    return _scatter(source, left[:, None] + [0, 1], np.stack([1 - (at - left), at - left], axis=1))


@functools.cache
def bicubic_matrix(source: int, target: int) -> np.ndarray:
    """Build the matrix of cubic convolution with a = -0.75 (Keys 1981), (target, source) float32; rows sum to 1."""
    at = (np.arange(target) + 0.5) * source / target - 0.5
    left = np.floor(at).astype(int)
    offsets = np.array([-1, 0, 1, 2])
    distance = np.abs(at[:, None] - (left[:, None] + offsets))
    a = -0.75
    inner = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    outer = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return _scatter(source, left[:, None] + offsets, np.where(distance <= 1, inner, outer))


@functools.cache
def area_matrix(source: int, target: int) -> np.ndarray:
    """Build the matrix of overlaps of source with target pixels, (target, source) float32; rows sum to 1."""
    edges = np.arange(target + 1) * source / target
    low = np.maximum(edges[:-1, None], np.arange(source))
    high = np.minimum(edges[1:, None], np.arange(source) + 1)
    return (np.maximum(high - low, 0) * target / source).astype(np.float32)


@functools.cache
def pool_matrix(source: int, count_padding: bool) -> np.ndarray:
    """Build the matrix of the mean of three neighbours at every second pixel, (ceil(source/2), source) float32."""
    taps = 2 * np.arange((source + 1) // 2)[:, None] + [-1, 0, 1]
    inside = ((taps >= 0) & (taps < source)).astype(float)
    return _scatter(source, taps, inside / (3 if count_padding else inside.sum(axis=1, keepdims=True)))


def _scatter(source: int, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Build a matrix (target, source) from (target, k) source positions, clamped to the edge, and their weights."""
    matrix = np.zeros((len(taps), source))
    np.add.at(matrix, (np.arange(len(taps))[:, None], np.clip(taps, 0, source - 1)), weights)
    return matrix.astype(np.float32)
