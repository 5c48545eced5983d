"""SPADE layers on a CPU whose weights do not change: the same bits as `nn/spade.py` computes, with fewer operations.

What depends on the weights alone is computed once. On distinct patches the first convolution is a sum of nine rows
of its weights, those of a patch's labels, instead of a product with one-hot rows, and the noise, whose amplitude
depends on the class of a pixel, is added in the pass over the features that modulates them.

Where the patches of each label map are numbered on their own, so are the products computed, whose bits can depend on
the number of rows: the images of a batch have the bits that each has alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shanshui.backend.constants import constant, unchanging
from shanshui.backend.cpu_forms import compiler_flags
from shanshui.backend.lazy import jt
from shanshui.nn.norms import EPS, BatchNorm
from shanshui.nn.patch_spade import HEADER, DevicePatches, Modulate, neighbour_rows, normalise, rows

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.nn.spade import SPADE


def usable(layer: SPADE, patches: DevicePatches, noise: Var | None) -> bool:
    """Return whether `modulated` can compute a layer: on a CPU, with constant weights, and batch norm if with noise."""
    return (
        unchanging(layer)
        and bool(compiler_flags())
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
        cast("Var", patches.firsts),
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
    given = [
        cast("Var", patches.labels), first, cast("Var", shared.bias), second, bias, patches.neighbours,
        cast("Var", patches.firsts),
    ]  # fmt: skip
    shape = (bias.shape[0], patches.neighbours.shape[0])
    table = jt.code(
        shape, "float32", given, cpu_header=HEADER + "#include <memory>\n#include <dnnl.hpp>\n", cpu_src=TABLE
    )
    table.compile_options = compiler_flags()
    return table


TABLE = """
const int64 F = in1_shape1, classes = in1_shape0 / 9, groups = in6_shape1 - 1, C = out_shape0, K = out_shape1;
const int64 all = in0_shape0, BLOCK = 16;
const int *inner = in6_p, *outer = in6_p + groups + 1;
int64 most = 0;
for (int64 g = 0; g < groups; g++) most = std::max<int64>(most, inner[g + 1] - inner[g]);
std::unique_ptr<float[]> hidden(new float[most * F]), parts(new float[most * 9 * C]);
for (int64 g = 0; g < groups; g++) {
    const int64 begin = inner[g], rows = inner[g + 1] - begin, first = outer[g], last = outer[g + 1];
    #pragma omp parallel for schedule(static)
    for (int64 k = 0; k < rows; k++) {
        float* sum = hidden.get() + k * F;
        for (int64 f = 0; f < F; f++) sum[f] = 0;
        for (int j = 0; j < 9; j++) {
            const int64 label = in0_p[(begin + k) * 9 + j];
            if (label >= classes) continue;
            const float* row = in1_p + (j * classes + label) * F;
            for (int64 f = 0; f < F; f++) sum[f] += row[f];
        }
        for (int64 f = 0; f < F; f++) {
            const float value = sum[f] + in2_p[f];
            sum[f] = value > 0 ? value : 0;
        }
    }
    const auto status = dnnl_sgemm(
        'N', 'N', rows, 9 * C, F, 1.f, hidden.get(), F, in3_p, 9 * C, 0.f, parts.get(), 9 * C
    );
    ASSERT(status == dnnl_success);
    #pragma omp parallel
    {
        vector<float> sums(BLOCK * C);
        #pragma omp for schedule(static)
        for (int64 start = first; start < last; start += BLOCK) {
            const int64 end = std::min(start + BLOCK, last);
            for (int64 k = start; k < end; k++) {
                float* sum = sums.data() + (k - start) * C;
                for (int64 f = 0; f < C; f++) sum[f] = in4_p[f];
                for (int j = 0; j < 9; j++) {
                    const int64 row = in5_p[k * 9 + j];
                    if (row >= all) continue;
                    const float* part = parts.get() + ((row - begin) * 9 + j) * C;
                    for (int64 f = 0; f < C; f++) sum[f] += part[f];
                }
            }
            for (int64 f = 0; f < C; f++)
                for (int64 k = start; k < end; k++) out_p[f * K + k] = sums[(k - start) * C + f];
        }
    }
}
"""

MODULATE_WITH_NOISE = """
const int64 N = in0_shape0, C = in0_shape1, S = in0_shape2 * in0_shape3, K = in1_shape1, BLOCK = 512;
const int64 classes = in6_shape1, groups = in10_shape1 - 1;
#pragma omp parallel
{
    vector<float> amplitude(K);
    vector<int> label(K);  // in the middle of each patch
    float noisy[BLOCK];
    int64 done = -1;
    #pragma omp for collapse(2) schedule(static)
    for (int64 n = 0; n < N; n++)
        for (int64 c = 0; c < C; c++) {
            const int64 group = n * groups / N;
            const int first = in10_p[groups + 1 + group], last = in10_p[groups + 2 + group];
            if (group != done)
                for (int64 k = first; k < last; k++) label[k] = in8_p[in9_p[k * 9 + 4] * 9 + 4];
            done = group;
            for (int64 k = first; k < last; k++)
                amplitude[k] = (label[k] < classes ? in6_p[c * classes + label[k]] : 0) + in7_p[c];
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
