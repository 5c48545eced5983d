"""SPADE layers on a CPU whose weights do not change: the same bits as `nn/spade.py` computes, with fewer operations.

What depends on the weights alone is computed once. On distinct patches the first convolution is a sum of nine rows
of its weights, those of a patch's labels, instead of a product with one-hot rows, and the noise, whose amplitude
depends on the class of a pixel, is added in the pass over the features that modulates them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shanshui.backend.constants import constant, unchanging
from shanshui.backend.lazy import jt
from shanshui.nn.norms import EPS, BatchNorm
from shanshui.nn.patch_spade import HEADER, DevicePatches, Modulate, SumNeighbours, neighbour_rows, normalise, rows

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.nn.spade import SPADE


def usable(layer: SPADE, patches: DevicePatches, noise: Var | None) -> bool:
    """Return whether `modulated` can compute a layer: on a CPU, with constant weights, and batch norm if with noise."""
    return (
        unchanging(layer)
        and patches.labels is not None
        and (noise is None or isinstance(layer.param_free_norm, BatchNorm))
    )


def modulated(layer: SPADE, x: Var, patches: DevicePatches, noise: Var | None, slope: float) -> Var:
    """Compute a SPADE layer on distinct patches, as `SPADE.execute`: x (N, C, h, w) -> (N, C, h, w).

    Args:
        layer: whose weights do not change.
        x: features.
        patches: at their size, with labels.
        noise: (N, 1, h, w), or None.
        slope: of the leaky ReLU; 1 for none.
    """
    norm, table = layer.param_free_norm, _table(layer, patches)
    if not isinstance(norm, BatchNorm):
        return normalise(norm, x, table, patches.index, slope)
    deviation = constant(layer, "deviation", [norm.running_var], lambda: (norm.running_var + EPS).sqrt())
    if noise is None:
        return Modulate.apply(x, table, patches.index, norm.running_mean, deviation, slope, False)
    amplitude = layer.seg_noise_var
    given = [
        x, table, patches.index, norm.running_mean, deviation, noise, amplitude.weight, cast("Var", amplitude.bias),
        cast("Var", patches.labels), patches.neighbours,
    ]  # fmt: skip
    constants = f"const float slope = {slope}f;"
    return jt.code(x.shape, "float32", given, cpu_header=HEADER, cpu_src=constants + MODULATE_WITH_NOISE)


def _table(layer: SPADE, patches: DevicePatches) -> Var:
    """Compute scale and shift of each distinct 5x5 patch, as `gamma_beta`: (2C, K5)."""
    shared, gamma, beta = layer.mlp_shared, layer.mlp_gamma, layer.mlp_beta
    first = constant(layer, "rows of mlp_shared", [shared.weight], lambda: rows(shared.weight))
    both = [gamma.weight, beta.weight]
    second = constant(layer, "rows of gamma and beta", both, lambda: neighbour_rows(jt.concat(both, 0)))
    biases = [cast("Var", gamma.bias), cast("Var", beta.bias)]
    bias = constant(layer, "biases of gamma and beta", biases, lambda: jt.concat(biases, 0))
    labels = cast("Var", patches.labels)
    shape = (labels.shape[0], first.shape[1])
    given = [labels, first, cast("Var", shared.bias)]
    hidden = jt.code(shape, "float32", given, cpu_header=HEADER, cpu_src=HIDDEN)  # (K3, hidden)
    parts = jt.matmul(hidden, second).reshape(shape[0], 9, -1)  # (K3, 9, 2C)
    return SumNeighbours.apply(parts, bias, patches.neighbours)


HIDDEN = """
const int64 K = in0_shape0, F = in1_shape1, classes = in1_shape0 / 9;
#pragma omp parallel for schedule(static)
for (int64 k = 0; k < K; k++) {
    float* sum = out_p + k * F;
    for (int64 f = 0; f < F; f++) sum[f] = 0;
    for (int j = 0; j < 9; j++) {
        const int64 label = in0_p[k * 9 + j];
        if (label >= classes) continue;
        const float* row = in1_p + (j * classes + label) * F;
        for (int64 f = 0; f < F; f++) sum[f] += row[f];
    }
    for (int64 f = 0; f < F; f++) {
        const float value = sum[f] + in2_p[f];
        sum[f] = value > 0 ? value : 0;
    }
}
"""

MODULATE_WITH_NOISE = """
const int64 N = in0_shape0, C = in0_shape1, S = in0_shape2 * in0_shape3, K = in1_shape1, BLOCK = 512;
const int64 classes = in6_shape1;
#pragma omp parallel
{
    vector<float> amplitude(K);
    float noisy[BLOCK];
    #pragma omp for collapse(2) schedule(static)
    for (int64 n = 0; n < N; n++)
        for (int64 c = 0; c < C; c++) {
            for (int64 k = 0; k < K; k++) {
                const int64 label = in8_p[in9_p[k * 9 + 4] * 9 + 4];  // in the middle of the patch
                amplitude[k] = (label < classes ? in6_p[c * classes + label] : 0) + in7_p[c];
            }
            const float *gamma = in1_p + c * K, *beta = in1_p + (C + c) * K;
            const float mean = in3_p[c], scale = 1 / in4_p[c];
            for (int64 start = 0; start < S; start += BLOCK) {
                const int64 count = std::min(BLOCK, S - start);
                const float *x = in0_p + (n * C + c) * S + start, *noise = in5_p + n * S + start;
                const int* index = in2_p + n * S + start;
                float* out = out_p + (n * C + c) * S + start;
                for (int64 p = 0; p < count; p++) noisy[p] = x[p] + noise[p] * amplitude[index[p]];
                for (int64 p = 0; p < count; p++) {
                    const float value = (noisy[p] - mean) * scale * (1 + gamma[index[p]]) + beta[index[p]];
                    out[p] = value > 0 ? value : value * slope;
                }
            }
        }
}
"""
