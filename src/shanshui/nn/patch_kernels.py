"""SPADE on distinct patches, the GPU kernels: modulation by a table with one row per patch, and all gradients.

The formulas are those of `nn/patch_spade.py`. Here the table is (K5, 2C), one row per patch, gammas before betas, so
that a pixel reads its eight channels from consecutive memory. No kernel uses atomic operations: every sum has a fixed
order, so that bits repeat. Batch norm's gradient needs two sums over all pixels of a channel,

    sum of g (1 + gamma)  and  sum of g (1 + gamma) standard,    g: gradient before the activation,

which are sums over patches of (1 + gamma) times the gradients of beta and of gamma: K5 rows instead of all pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt
from shanshui.data.patch_order import PatchOrder

if TYPE_CHECKING:
    from jittor import Var

PATCH_SLICES = 256  # of the patches, likewise
_SIZES = (
    "const int n = in0_shape0, channels = in0_shape1, length = in0_shape2 * in0_shape3, groups = (channels + 7) / 8,"
    " blocks = (length + 255) / 256;"
)

ROW = """
static __device__ void read_eight(const float* from, int count, bool aligned, float* into) {
#ifdef __CUDACC__
    if (aligned && count >= 8) {
        *(float4*)into = *(const float4*)from, *(float4*)(into + 4) = *(const float4*)(from + 4);
        return;
    }
#endif
    for (int i = 0; i < 8; i++) into[i] = i < count ? from[i] : 0;
}
"""

PIXEL = (
    ROW
    + """
// the eight channels from `first` on of a thread's pixel: where they start in x, gamma, beta; -1 beyond the image
static __device__ long long read_pixel(
    const float* table, const int* index, int channels, int length, int groups, int blocks, int& first,
    float* gamma, float* beta
) {
    const int p = blockIdx.x % blocks * 256 + threadIdx.x, image = blockIdx.x / blocks / groups;
    first = blockIdx.x / blocks % groups * 8;
    if (p >= length) return -1;
    const float* row = table + (long long)index[(long long)image * length + p] * 2 * channels + first;
    read_eight(row, channels - first, channels % 8 == 0, gamma);
    read_eight(row + channels, channels - first, channels % 8 == 0, beta);
    return ((long long)image * channels + first) * length + p;
}
"""
)

MODULATE = (
    PIXEL
    + """
static __global__ void __launch_bounds__(256) modulate(
    const float* x, const float* table, const int* index, const float* means, const float* narrows, float* y,
    int channels, int length, int groups, int blocks, float slope
) {
    alignas(16) float gamma[8], beta[8];
    int first;
    const long long start = read_pixel(table, index, channels, length, groups, blocks, first, gamma, beta);
    if (start < 0) return;
    for (int i = 0; i < 8 && first + i < channels; i++) {
        const float standard = (x[start + (long long)i * length] - means[first + i]) * narrows[first + i];
        const float value = standard * (1 + gamma[i]) + beta[i];
        y[start + (long long)i * length] = value > 0 ? value : value * slope;
    }
}
"""
)

PATCH_SUMS = (
    ROW
    + """
static __global__ void __launch_bounds__(256) patch_sums(
    const float* x, const float* y_grad, const float* table, const int* index, const float* means,
    const float* narrows, const int* order, const int* brief, const int* longer, float* sums,
    int channels, int length, int groups, int brief_count, int brief_blocks, int longer_count, int patches, float slope
) {
    __shared__ float kept[16 * 256];
    const bool one = (int)blockIdx.x < brief_blocks * groups;  // a patch per thread, else a segment per 32 threads
    const int block = one ? blockIdx.x : blockIdx.x - brief_blocks * groups, lanes = one ? 1 : 32;
    const int first = block % groups * 8, lane = threadIdx.x % lanes;
    const int which = (block / groups * 256 + threadIdx.x) / lanes;
    int target = -1, begin = 0, end = 0;
    if (one && which < brief_count && brief[which * 3] >= 0)
        target = brief[which * 3], begin = brief[which * 3 + 1], end = brief[which * 3 + 2];
    if (!one && which < longer_count)
        target = patches + which, begin = longer[which * 2], end = longer[which * 2 + 1];
    float to_gamma[8] = {}, to_beta[8] = {};
    if (begin < end) {
        const long long pixel = order[begin];
        const float* row = table + (long long)index[pixel] * 2 * channels + first;
        alignas(16) float gamma[8], beta[8];
        float mean[8], narrow[8];
        read_eight(row, channels - first, channels % 8 == 0, gamma);
        read_eight(row + channels, channels - first, channels % 8 == 0, beta);
        read_eight(means + first, channels - first, false, mean);
        read_eight(narrows + first, channels - first, false, narrow);
        for (int j = begin + lane; j < end; j += lanes) {
            const long long pixel = order[j], image = pixel / length;
            const long long start = (image * channels + first) * length + pixel - image * length;
            for (int i = 0; i < 8 && first + i < channels; i++) {
                const float standard = (x[start + (long long)i * length] - mean[i]) * narrow[i];
                const float given = y_grad[start + (long long)i * length];
                const float grad = standard * (1 + gamma[i]) + beta[i] > 0 ? given : given * slope;
                to_gamma[i] += grad * standard, to_beta[i] += grad;
            }
        }
    }
    if (!one) {  // all threads of the block are here together
        for (int i = 0; i < 8; i++)
            kept[i * 256 + threadIdx.x] = to_gamma[i], kept[(8 + i) * 256 + threadIdx.x] = to_beta[i];
        __syncthreads();
        for (int half = 16; half > 0; half /= 2) {
            if (lane < half)
                for (int i = 0; i < 16; i++) kept[i * 256 + threadIdx.x] += kept[i * 256 + threadIdx.x + half];
            __syncthreads();
        }
        for (int i = 0; i < 8; i++)
            to_gamma[i] = kept[i * 256 + threadIdx.x], to_beta[i] = kept[(8 + i) * 256 + threadIdx.x];
    }
    if (lane > 0 || target < 0) return;
    float* sum = sums + (long long)target * 2 * channels + first;
    for (int i = 0; i < 8 && first + i < channels; i++) sum[i] = to_gamma[i], sum[channels + i] = to_beta[i];
}
"""
)

TABLE_GRAD = """
static __global__ void __launch_bounds__(128) table_grad(
    const float* table, const float* sums, const int* segments, float* grad, float* parts,
    int patches, int columns, int groups, int slices
) {
    const int slice = blockIdx.x / groups, f = blockIdx.x % groups * 128 + threadIdx.x;
    if (f >= columns) return;
    float total = 0;
    for (int k = slice; k < patches; k += slices) {
        const int first = segments[k * 2], end = segments[k * 2 + 1];
        float sum = first < end ? 0 : sums[(long long)k * columns + f];
        for (int segment = first; segment < end; segment++) sum += sums[(long long)(patches + segment) * columns + f];
        grad[(long long)k * columns + f] = sum;
        total += sum * (1 + table[(long long)k * columns + f % (columns / 2)]);
    }
    parts[(long long)slice * columns + f] = total;
}
"""

ROW_SUMS = """
static __global__ void __launch_bounds__(128) row_sums(
    const float* table, float* parts, int patches, int columns, int groups, int slices
) {
    const int slice = blockIdx.x / groups, f = blockIdx.x % groups * 128 + threadIdx.x;
    if (f >= columns) return;
    float sum = 0;
    for (int k = slice; k < patches; k += slices) sum += table[(long long)k * columns + f];
    parts[(long long)slice * columns + f] = sum;
}
"""

CHANNEL_SUMS = """
static __global__ void __launch_bounds__(128) channel_sums(
    const float* parts, float* averages, int columns, int slices, float pixels
) {
    const int f = blockIdx.x * blockDim.x + threadIdx.x;
    if (f >= columns) return;
    double sum = 0;
    for (int slice = 0; slice < slices; slice++) sum += parts[(long long)slice * columns + f];
    averages[f] = pixels > 0 ? sum / pixels : 0;
}
"""

MODULATE_GRAD = (
    PIXEL
    + """
static __global__ void __launch_bounds__(256) modulate_grad(
    const float* x, const float* y_grad, const float* table, const int* index, const float* means,
    const float* narrows, const float* averages, float* x_grad,
    int channels, int length, int groups, int blocks, float slope
) {
    alignas(16) float gamma[8], beta[8];
    int first;
    const long long start = read_pixel(table, index, channels, length, groups, blocks, first, gamma, beta);
    if (start < 0) return;
    for (int i = 0; i < 8 && first + i < channels; i++) {
        const int c = first + i;
        const float narrow = narrows[c], standard = (x[start + (long long)i * length] - means[c]) * narrow;
        const float given = y_grad[start + (long long)i * length], factor = 1 + gamma[i];
        const float grad = standard * factor + beta[i] > 0 ? given : given * slope;
        x_grad[start + (long long)i * length] =
            (grad * factor - averages[channels + c] - standard * averages[c]) * narrow;
    }
}
"""
)

SUM_NEIGHBOURS = """
static __global__ void __launch_bounds__(128) sum_neighbours(
    const float* parts, const float* bias, const int* neighbours, float* table, int rows, int columns, int groups
) {
    const int k = blockIdx.x / groups, f = blockIdx.x % groups * 128 + threadIdx.x;
    if (f >= columns) return;
    float sum = bias[f];
    for (int j = 0; j < 9; j++) {
        const int row = neighbours[k * 9 + j];
        if (row < rows) sum += parts[((long long)row * 9 + j) * columns + f];
    }
    table[(long long)k * columns + f] = sum;
}
"""

SUM_USERS = """
static __global__ void __launch_bounds__(256) sum_users(
    const float* grad, const int* users, const int* begins, float* parts_grad, int columns, int groups
) {
    __shared__ float kept[256];
    const int place = blockIdx.x / groups, column = threadIdx.x % 32, lane = threadIdx.x / 32;
    const int f = blockIdx.x % groups * 32 + column;
    float sum = 0;
    if (f < columns)
        for (int u = begins[place] + lane; u < begins[place + 1]; u += 8)
            sum += grad[(long long)users[u] * columns + f];
    kept[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 4; half > 0; half /= 2) {
        if (lane < half) kept[threadIdx.x] += kept[threadIdx.x + half * 32];
        __syncthreads();
    }
    if (lane == 0 && f < columns) parts_grad[(long long)place * columns + f] = kept[threadIdx.x];
}
"""


@dataclass(frozen=True)
class SortedPatches:
    """`PatchOrder` on the device."""

    rows: int
    order: Var
    short: Var
    long: Var
    segments: Var
    users: Var
    begins: Var


def to_device(order: PatchOrder) -> SortedPatches:
    """Move the sorted lists to where the networks run."""
    arrays = order.order, order.short, order.long, order.segments, order.users, order.begins
    return SortedPatches(order.rows, *(jt.array(np.ascontiguousarray(array)) for array in arrays))


class RowBias(Function):
    """x + bias by column: (K, F), (F,) -> (K, F)."""

    def execute(self, x: Var, bias: Var) -> Var:
        """Add the bias, in Jittor's terms."""
        return x + bias

    def grad(self, grad: Var) -> tuple[Var, Var]:
        """Compute the gradients of both."""
        return grad, _sum_of_rows(grad)


class SumNeighbours(Function):
    """Sum of nine parts and bias: parts (K3, 9, F), bias (F,), neighbours (K5, 9) -> table (K5, F)."""

    def execute(self, parts: Var, bias: Var, neighbours: Var, patches: SortedPatches) -> Var:
        """Compute the table."""
        self.patches, self.rows = patches, parts.shape[0]
        (table,) = kernels.run(
            SUM_NEIGHBOURS,
            "const int rows = in0_shape0, columns = in0_shape2, groups = (columns + 127) / 128;",
            [parts, bias, neighbours], [(neighbours.shape[0], parts.shape[2])],
            grid="in2_shape0 * groups, 128", kernel="sum_neighbours",
            arguments="in0_p, in1_p, in2_p, out0_p, rows, columns, groups",
        )  # fmt: skip
        return table

    def grad(self, table: Var) -> tuple[Var | None, ...]:
        """Compute the gradients of parts and bias."""
        (parts,) = kernels.run(
            SUM_USERS, "const int columns = in0_shape1, groups = (columns + 31) / 32;",
            [table, self.patches.users, self.patches.begins], [(self.rows, 9, table.shape[1])],
            grid="(in2_shape0 - 1) * groups, 256", kernel="sum_users",
            arguments="in0_p, in1_p, in2_p, out0_p, columns, groups",
        )  # fmt: skip
        return parts, _sum_of_rows(table), None, None


def _sum_of_rows(table: Var) -> Var:
    """Sum (K, F) over its rows: (F,)."""
    slices = min(PATCH_SLICES, table.shape[0])
    (parts,) = kernels.run(
        ROW_SUMS, "const int patches = in0_shape0, columns = in0_shape1, groups = (columns + 127) / 128;",
        [table], [(slices, table.shape[1])], grid=f"groups * {slices}, 128", kernel="row_sums",
        arguments=f"in0_p, out0_p, patches, columns, groups, {slices}",
    )  # fmt: skip
    return _sum_of_slices(parts, 1.0)


def _sum_of_slices(parts: Var, pixels: float) -> Var:
    """Sum (slices, F) over the slices and divide by `pixels`: (F,); 0 by 0."""
    slices, columns = parts.shape
    (sums,) = kernels.run(
        CHANNEL_SUMS, 'const int columns = in0_shape1; const float pixels = data["pixels"];', [parts], [(columns,)],
        grid="(columns + 127) / 128, 128", kernel="channel_sums", data={"pixels": pixels},
        arguments=f"in0_p, out0_p, columns, {slices}, pixels",
    )  # fmt: skip
    return sums


class Modulate(Function):
    """Modulation by table: act((x - mean) * narrow * (1 + table[index, c]) + table[index, C + c]).

    Args of `execute`: x (N, C, h, w), table (K5, 2C), index (N, h, w), mean and narrow (C,), the sorted patches, slope
    of the activation, and whether mean and narrow are those of x itself, so that x's gradient goes through them.
    """

    def execute(
        self, x: Var, table: Var, index: Var, mean: Var, narrow: Var, patches: SortedPatches, slope: float, own: bool
    ) -> Var:
        """Compute the modulated features (N, C, h, w)."""
        self.saved, self.patches, self.own, self.slope = (x, table, index, mean, narrow), patches, own, slope
        (y,) = kernels.run(
            MODULATE, _SIZES + 'const float slope = data["slope"];', self.saved, [x.shape],
            grid="blocks * groups * n, 256", kernel="modulate", data={"slope": slope},
            arguments="in0_p, in1_p, in2_p, in3_p, in4_p, out0_p, channels, length, groups, blocks, slope",
        )  # fmt: skip
        return y

    def grad(self, y_grad: Var) -> tuple[Var | None, ...]:
        """Compute the gradients of x and table."""
        (x, table, index, mean, narrow), patches = self.saved, self.patches
        (k5, columns), data = table.shape, {"slope": self.slope}
        (sums,) = kernels.run(
            PATCH_SUMS,
            _SIZES + "const int brief = in7_shape0, brief_blocks = (brief + 255) / 256, longer = in8_shape0;"
            'const float slope = data["slope"];',
            [x, y_grad, table, index, mean, narrow, patches.order, patches.short, patches.long],
            [(k5 + patches.long.shape[0], columns)], data=data,
            grid="(brief_blocks + (longer + 7) / 8) * groups, 256", kernel="patch_sums",
            arguments="in0_p, in1_p, in2_p, in3_p, in4_p, in5_p, in6_p, in7_p, in8_p, out0_p, channels, length, "
            "groups, brief, brief_blocks, longer, (int)in2_shape0, slope",
        )  # fmt: skip
        slices = min(PATCH_SLICES, k5)
        to_table, parts = kernels.run(
            TABLE_GRAD, "const int patches = in0_shape0, columns = in0_shape1, groups = (columns + 127) / 128;",
            [table, sums, patches.segments], [table.shape, (slices, columns)],
            grid=f"groups * {slices}, 128", kernel="table_grad",
            arguments=f"in0_p, in1_p, in2_p, out0_p, out1_p, patches, columns, groups, {slices}",
        )  # fmt: skip
        averages = _sum_of_slices(parts, float(x.numel() // x.shape[1]) if self.own else 0.0)
        (to_x,) = kernels.run(
            MODULATE_GRAD, _SIZES + 'const float slope = data["slope"];',
            [x, y_grad, table, index, mean, narrow, averages], [x.shape],
            grid="blocks * groups * n, 256", kernel="modulate_grad", data=data,
            arguments="in0_p, in1_p, in2_p, in3_p, in4_p, in5_p, in6_p, out0_p, channels, length, groups, blocks, "
            "slope",
        )  # fmt: skip
        self.saved = cast("tuple[Var, Var, Var, Var, Var]", ())  # which would otherwise outlive its last use
        return (to_x, to_table, *([None] * 6))
