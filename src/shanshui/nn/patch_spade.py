"""SPADE on distinct patches: the layer's result without repeated convolutions.

With hidden = ReLU(conv(one_hot)) and [gamma; beta] = conv(hidden), both 3x3, a pixel's gamma and beta depend
on its 5x5 patch of labels. For the K3 distinct 3x3 patches and the K5 distinct 5x5 patches of a batch:

    hidden = relu(one_hot(labels) @ W1 + b1)      (K3, hidden)       one row per 3x3 patch
    parts  = hidden @ W2                          (K3, 9, 2C)        what it adds to each neighbour
    table  = b2 + sum_j parts[neighbours[:, j], j]  (2C, K5)         gamma and beta of each 5x5 patch
    out    = act((x - mean) / std * (1 + gamma[index]) + beta[index])

This equals the dense layer up to rounding, at the borders too, and so do its gradients. On a CPU the two sums over
patches and pixels are OpenMP kernels, in which every value is summed by one thread: their bits do not depend on the
number of threads. On a GPU they are the kernels of `nn/patch_kernels.py`, whose table is transposed, (K5, 2C).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.backend.lazy import Function, jt, nn
from shanshui.data.patch_order import sort_patches
from shanshui.data.patches import Patches
from shanshui.nn import patch_kernels
from shanshui.nn.batch_moments import batch_statistics
from shanshui.nn.norms import EPS, BatchNorm, InstanceNorm
from shanshui.nn.patch_kernels import SortedPatches
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


HEADER = """
#include <vector>
using std::vector;
"""


@dataclass(frozen=True)
class DevicePatches:
    """`Patches` of one size on the device, with the 3x3 patches as rows of one-hot labels (K3, 9 * num_classes).

    With `order`, for GPU kernels, K3 and K5 are padded. Without, there are the `labels` int32 (K3, 9) too, and
    `firsts` int32 (2, G + 1): where in K3 and in K5 the patches of each of G groups of label maps begin, and end.
    One-hot rows are None where `nn/fixed_spade.py` computes without them.
    """

    one_hot: Var | None
    neighbours: Var
    index: Var
    order: SortedPatches | None = None
    labels: Var | None = None
    firsts: Var | None = None


PatchPyramid = Mapping[Size, DevicePatches]  # by size of the features


def to_device(pyramid: Mapping[Size, Patches], num_classes: int, gpu: bool | None = None) -> PatchPyramid:
    """Move patches to where the networks run; labels that are no class give zeros, as in a segmap.

    Args:
        pyramid: patches by size.
        num_classes: classes of the one-hot rows.
        gpu: in the form for GPU kernels; None: if there is a GPU.
    """
    classes = np.arange(num_classes, dtype=np.uint16)
    placed = {}
    for size, patches in pyramid.items():
        if not (jt.flags.use_cuda if gpu is None else gpu):
            labels = jt.array(patches.labels.astype(np.int32))
            shape = (len(patches.labels), 9 * num_classes)
            one_hot = jt.code(shape, "float32", [labels], cpu_src=ONE_HOT)  # computed where it is needed
            index, neighbours = jt.array(patches.index), jt.array(patches.neighbours)
            firsts = jt.array(np.array([[0, len(patches.labels)], [0, len(patches.neighbours)]], np.int32))
            placed[size] = DevicePatches(one_hot, neighbours, index, labels=labels, firsts=firsts)
            continue
        lists = patches.order or sort_patches(patches)
        found = (patches.labels[:, :, None] == classes).reshape(len(patches.labels), -1)  # (K3, 9 * num_classes)
        filled = np.zeros((lists.rows, found.shape[1]), np.float32)
        filled[: len(found)] = found
        placed[size] = DevicePatches(
            jt.array(filled), jt.array(lists.neighbours), jt.array(patches.index), patch_kernels.to_device(lists)
        )
    return placed


def to_device_alone(found: Sequence[Mapping[Size, Patches]]) -> PatchPyramid:
    """Move the patches of several label maps, each numbered on its own, to the CPU's networks as one batch.

    Args:
        found: of each label map (1, h, w), all at the same sizes.
    """
    placed = {}
    for size in found[0]:
        each = [of_map[size] for of_map in found]
        inner = np.cumsum([0, *(len(one.labels) for one in each)], dtype=np.int32)
        outer = np.cumsum([0, *(len(one.neighbours) for one in each)], dtype=np.int32)
        neighbours = [
            np.where(one.neighbours == len(one.labels), inner[-1], one.neighbours + start)
            for one, start in zip(each, inner, strict=False)
        ]
        index = [one.index + start for one, start in zip(each, outer, strict=False)]
        placed[size] = DevicePatches(
            None, jt.array(np.concatenate(neighbours)), jt.array(np.concatenate(index)),
            labels=jt.array(np.concatenate([one.labels for one in each]).astype(np.int32)),
            firsts=jt.array(np.stack([inner, outer])),
        )  # fmt: skip
    return placed


ONE_HOT = """
const int64 K = in0_shape0, classes = out_shape1 / 9;
for (int64 i = 0; i < K * 9; i++)
    for (int64 c = 0; c < classes; c++) out_p[i * classes + c] = in0_p[i] == c;
"""


def gamma_beta(patches: DevicePatches, shared: nn.Conv, gamma: nn.Conv, beta: nn.Conv) -> Var:
    """Compute scale and shift of each distinct 5x5 patch, gammas, then betas: (2C, K5), for GPU kernels (K5, 2C).

    Args:
        patches: of the label maps, at the size of the features.
        shared: convolution num_classes -> hidden, 3x3.
        gamma, beta: convolutions hidden -> C, 3x3.
    """
    add = patch_kernels.RowBias.apply if patches.order else operator.add
    given = cast("Var", patches.one_hot)
    hidden = nn.relu(add(jt.matmul(given, rows(shared.weight)), cast("Var", shared.bias)))  # (K3, hidden)
    weight = neighbour_rows(jt.concat([gamma.weight, beta.weight], 0))  # (hidden, 9 * 2C)
    parts = jt.matmul(hidden, weight).reshape(-1, 9, weight.shape[1] // 9)  # (K3, 9, 2C)
    bias = jt.concat([cast("Var", conv.bias) for conv in (gamma, beta)], 0)
    if patches.order:
        return patch_kernels.SumNeighbours.apply(parts, bias, patches.neighbours, patches.order)
    return SumNeighbours.apply(parts, bias, patches.neighbours)


def rows(weight: Var) -> Var:
    """Reshape a convolution weight (hidden, num_classes, 3, 3) to (9 * num_classes, hidden)."""
    return weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0])


def neighbour_rows(weight: Var) -> Var:
    """Reshape a convolution weight (outputs, hidden, 3, 3) to (hidden, 9 * outputs), neighbour by neighbour."""
    outputs, inner = weight.shape[:2]
    return weight.reshape(outputs, inner, 9).permute(1, 2, 0).reshape(inner, 9 * outputs)


def normalise(
    norm: BatchNorm | InstanceNorm, x: Var, table: Var, index: Var, slope: float, order: SortedPatches | None = None
) -> Var:
    """Apply batch or instance norm, scale and shift by patch, leaky ReLU: (N, C, h, w) -> (N, C, h, w).

    Args:
        norm: whose statistics to use, or to update while training.
        x: features (N, C, h, w).
        table: from `gamma_beta`.
        index: (N, h, w) numbers of patches.
        slope: of the leaky ReLU; 1 for none.
        order: of the pixels, for GPU kernels, which serve batch norm alone.
    """
    if order and isinstance(norm, BatchNorm):
        own = norm.is_training()
        if own:
            mean, narrow = batch_statistics(x, norm)
        else:
            mean, narrow = norm.running_mean, 1 / (norm.running_var + EPS).sqrt()
        return patch_kernels.Modulate.apply(x, table, index, mean, narrow, order, slope, own)
    if isinstance(norm, InstanceNorm):
        images = [(x[i : i + 1], index[i : i + 1]) for i in range(x.shape[0])]
        parts = [Modulate.apply(one, table, ids, *_standard(*moments(one)), slope, True) for one, ids in images]
        return jt.concat(parts, 0) if len(parts) > 1 else parts[0]
    if not norm.is_training():
        deviation = (norm.running_var + EPS).sqrt()
        return Modulate.apply(x, table, index, norm.running_mean, deviation, slope, False)
    mean, variance = moments(x)
    norm.follow(mean, variance)
    return Modulate.apply(x, table, index, *_standard(mean, variance), slope, True)


def _standard(mean: Var, variance: Var) -> tuple[Var, Var]:
    """Return mean and standard deviation."""
    return mean, (variance + EPS).sqrt()


def moments(x: Var) -> tuple[Var, Var]:
    """Compute mean and biased variance (C,) of every channel of (N, C, h, w), without a gradient of their own."""
    c = x.shape[1]
    mean, variance = jt.code([(c,), (c,)], ["float32", "float32"], [x], cpu_header=HEADER, cpu_src=MOMENTS)
    return mean.stop_grad(), variance.stop_grad()


MOMENTS = """
const int64 N = in0_shape0, C = in0_shape1, S = in0_shape2 * in0_shape3;
#pragma omp parallel for schedule(static)
for (int64 c = 0; c < C; c++) {
    double sum = 0;
    for (int64 n = 0; n < N; n++)
        for (int64 start = 0; start < S; start += 512) {
            const float* x = in0_p + (n * C + c) * S;
            float part = 0;
            for (int64 p = start; p < std::min(start + 512, S); p++) part += x[p];
            sum += part;
        }
    const float mean = sum / (N * S);
    double squares = 0;
    for (int64 n = 0; n < N; n++)
        for (int64 start = 0; start < S; start += 512) {
            const float* x = in0_p + (n * C + c) * S;
            float part = 0;
            for (int64 p = start; p < std::min(start + 512, S); p++) part += (x[p] - mean) * (x[p] - mean);
            squares += part;
        }
    out0_p[c] = mean;
    out1_p[c] = squares / (N * S);
}
"""


class SumNeighbours(Function):
    """Sum of the parts of nine neighbours and bias: parts (K3, 9, F), bias (F,), neighbours (K5, 9) -> table (F, K5).

    A neighbour numbered K3 is outside of the map and adds nothing.
    """

    def execute(self, parts: Var, bias: Var, neighbours: Var) -> Var:
        """Compute the table (F, K5)."""
        self.neighbours, self.rows = neighbours, parts.shape[0]
        shape = (parts.shape[2], neighbours.shape[0])
        return jt.code(shape, "float32", [parts, bias, neighbours], cpu_header=HEADER, cpu_src=SUM_NEIGHBOURS)

    def grad(self, table: Var) -> tuple[Var, Var, None]:
        """Compute the gradients of parts and bias from that of the table."""
        shape = (self.rows, 9, table.shape[0])
        parts = jt.code(shape, "float32", [table, self.neighbours], cpu_header=HEADER, cpu_src=SUM_NEIGHBOURS_GRAD)
        return parts, table.sum(1), None


SUM_NEIGHBOURS = """
const int64 rows = in0_shape0, F = in0_shape2, K = in2_shape0, BLOCK = 16;
#pragma omp parallel
{
    vector<float> sums(BLOCK * F);
    #pragma omp for schedule(static)
    for (int64 first = 0; first < K; first += BLOCK) {
        const int64 last = std::min(first + BLOCK, K);
        for (int64 k = first; k < last; k++) {
            float* sum = sums.data() + (k - first) * F;
            for (int64 f = 0; f < F; f++) sum[f] = in1_p[f];
            for (int j = 0; j < 9; j++) {
                const int64 row = in2_p[k * 9 + j];
                if (row >= rows) continue;
                const float* part = in0_p + (row * 9 + j) * F;
                for (int64 f = 0; f < F; f++) sum[f] += part[f];
            }
        }
        for (int64 f = 0; f < F; f++)
            for (int64 k = first; k < last; k++) out_p[f * K + k] = sums[(k - first) * F + f];
    }
}
"""

SUM_NEIGHBOURS_GRAD = """
const int64 rows = out_shape0, F = out_shape2, K = in0_shape1, WIDTH = 64;
#pragma omp parallel for collapse(2) schedule(dynamic)
for (int64 j = 0; j < 9; j++)
    for (int64 start = 0; start < F; start += WIDTH) {
        const int64 width = std::min(WIDTH, F - start), BLOCK = 16;
        float lines[16 * 64];
        for (int64 row = 0; row < rows; row++) {
            float* part = out_p + (row * 9 + j) * F + start;
            for (int64 f = 0; f < width; f++) part[f] = 0;
        }
        for (int64 first = 0; first < K; first += BLOCK) {
            const int64 count = std::min(BLOCK, K - first);
            for (int64 f = 0; f < width; f++)
                for (int64 k = 0; k < count; k++) lines[k * WIDTH + f] = in0_p[(start + f) * K + first + k];
            for (int64 k = 0; k < count; k++) {
                const int64 row = in1_p[(first + k) * 9 + j];
                if (row >= rows) continue;
                float* part = out_p + (row * 9 + j) * F + start;
                for (int64 f = 0; f < width; f++) part[f] += lines[k * WIDTH + f];
            }
        }
    }
"""


class Modulate(Function):
    """Modulation by table: act((x - mean) / deviation * (1 + table[c, index]) + table[C + c, index]).

    Args of `execute`: x (N, C, h, w), table (2C, K), index (N, h, w), mean and deviation (C,), slope of the
    activation, and whether mean and deviation are those of x itself, so that x's gradient goes through them.
    """

    def execute(
        self, x: Var, table: Var, index: Var, mean: Var, deviation: Var, slope: float, own_statistics: bool
    ) -> Var:
        """Compute the modulated features (N, C, h, w)."""
        self.saved = x, table, index, mean, deviation
        self.constants = f"const float slope = {slope}f; const bool own_statistics = {str(own_statistics).lower()};"
        return jt.code(x.shape, "float32", list(self.saved), cpu_header=HEADER, cpu_src=self.constants + MODULATE)

    def grad(self, out: Var) -> tuple[Var | None, ...]:
        """Compute the gradients of x and table."""
        x, table, *_ = self.saved
        grads = jt.code(
            [x.shape, table.shape], ["float32", "float32"], [*self.saved, out], cpu_header=HEADER,
            cpu_src=self.constants + MODULATE_GRAD,
        )  # fmt: skip
        return (*grads, None, None, None, None, None)


MODULATE = """
const int64 N = in0_shape0, C = in0_shape1, S = in0_shape2 * in0_shape3, K = in1_shape1;
#pragma omp parallel for collapse(2) schedule(static)
for (int64 n = 0; n < N; n++)
    for (int64 c = 0; c < C; c++) {
        const float* x = in0_p + (n * C + c) * S;
        const float *gamma = in1_p + c * K, *beta = in1_p + (C + c) * K;
        const int* index = in2_p + n * S;
        const float mean = in3_p[c], scale = 1 / in4_p[c];
        float* out = out_p + (n * C + c) * S;
        for (int64 p = 0; p < S; p++) {
            const float value = (x[p] - mean) * scale * (1 + gamma[index[p]]) + beta[index[p]];
            out[p] = value > 0 ? value : value * slope;
        }
    }
"""

MODULATE_GRAD = """
const int64 N = in0_shape0, C = in0_shape1, S = in0_shape2 * in0_shape3, K = in1_shape1, BLOCK = 512;
#pragma omp parallel for schedule(static)
for (int64 c = 0; c < C; c++) {
    const float *gamma = in1_p + c * K, *beta = in1_p + (C + c) * K;
    const float mean = in3_p[c], scale = 1 / in4_p[c];
    float to_gamma[512], to_beta[512];
    float *gamma_grad = out1_p + c * K, *beta_grad = out1_p + (C + c) * K;
    for (int64 k = 0; k < K; k++) gamma_grad[k] = beta_grad[k] = 0;
    double sum = 0, product = 0;  // of the gradient of the standardised x, and of it times that x
    for (int64 n = 0; n < N; n++) {
        const float *x = in0_p + (n * C + c) * S, *out_grad = in5_p + (n * C + c) * S;
        const int* index = in2_p + n * S;
        float* grad = out0_p + (n * C + c) * S;
        for (int64 start = 0; start < S; start += BLOCK) {
            const int64 count = std::min(BLOCK, S - start);
            float part_sum = 0, part_product = 0;
            for (int64 i = 0; i < count; i++) {
                const int64 p = start + i;
                const int k = index[p];
                const float standard = (x[p] - mean) * scale, factor = 1 + gamma[k];
                const float g = standard * factor + beta[k] > 0 ? out_grad[p] : out_grad[p] * slope;
                to_beta[i] = g;
                to_gamma[i] = g * standard;
                grad[p] = g * factor;
                part_sum += g * factor;
                part_product += g * factor * standard;
            }
            for (int64 i = 0; i < count; i++) {
                gamma_grad[index[start + i]] += to_gamma[i];
                beta_grad[index[start + i]] += to_beta[i];
            }
            sum += part_sum;
            product += part_product;
        }
    }
    const float shift = own_statistics ? sum / (N * S) : 0, tilt = own_statistics ? product / (N * S) : 0;
    for (int64 n = 0; n < N; n++) {
        const float* x = in0_p + (n * C + c) * S;
        float* grad = out0_p + (n * C + c) * S;
        for (int64 p = 0; p < S; p++) grad[p] = (grad[p] - shift - (x[p] - mean) * scale * tilt) * scale;
    }
}
"""
