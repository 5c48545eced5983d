"""Mean and spread of every channel over a batch, for GPUs: blocks that sum slices of a channel, in a fixed order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend import kernels
from shanshui.nn.norm_kernels import EPS, SUM

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.nn.norms import BatchNorm

SLICES = 16  # of a channel's pixels, each summed by one block
SIZES = "const int n = in0_shape0, channels = in0_shape1, length = in0_shape2 * in0_shape3;"

MOMENTS = (
    SUM
    + """
static __global__ void __launch_bounds__(256) moments(
    const float* x, float* parts, int n, int channels, int length, int slices
) {
    __shared__ float kept[256];
    const int c = blockIdx.x / slices, slice = blockIdx.x % slices;
    const float shift = x[(long long)c * length];  // close to the mean: squares of differences keep their digits
    float sum = 0, squares = 0;
    for (int image = 0; image < n; image++) {
        const float* from = x + ((long long)image * channels + c) * length;
        for (int i = slice * blockDim.x + threadIdx.x; i < length; i += slices * blockDim.x) {
            const float value = from[i] - shift;
            sum += value, squares += value * value;
        }
    }
    sum = sum_of_block(sum, kept), squares = sum_of_block(squares, kept);
    if (threadIdx.x == 0) parts[blockIdx.x * 2] = sum, parts[blockIdx.x * 2 + 1] = squares;
}
"""
)

STATISTICS = """
static __global__ void __launch_bounds__(256) batch_moments(
    const float* x, const float* parts, const float* running_mean, const float* running_variance,
    float* means, float* narrows, float* next_mean, float* next_variance,
    int n, int channels, int length, int slices, float eps, float momentum
) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    double sum = 0, squares = 0;
    for (int i = 0; i < slices; i++) sum += parts[(c * slices + i) * 2], squares += parts[(c * slices + i) * 2 + 1];
    const double count = (double)n * length, shifted = sum / count, spread = squares / count - shifted * shifted;
    const float mean = x[(long long)c * length] + shifted, variance = spread > 0 ? spread : 0;
    means[c] = mean, narrows[c] = 1 / sqrt((double)variance + eps);
    next_mean[c] = running_mean[c] + (mean - running_mean[c]) * momentum;
    next_variance[c] = running_variance[c] + (variance - running_variance[c]) * momentum;
}
"""


def batch_statistics(x: Var, norm: BatchNorm) -> tuple[Var, Var]:
    """Compute mean and 1 / sqrt(variance + eps), each (C,), of x (N, C, h, w); running statistics follow."""
    c, data = x.shape[1], {"eps": EPS, "momentum": norm.momentum}
    (parts,) = kernels.run(
        MOMENTS, SIZES + f"const int slices = {SLICES};", [x], [(c, SLICES, 2)],
        grid="channels * slices, 256", kernel="moments", arguments="in0_p, out0_p, n, channels, length, slices",
    )  # fmt: skip
    mean, narrow, *following = kernels.run(
        STATISTICS, SIZES + 'const float eps = data["eps"], momentum = data["momentum"];',
        [x, parts, norm.running_mean, norm.running_var], [(c,)] * 4, grid="(channels + 255) / 256, 256",
        kernel="batch_moments", data=data,
        arguments="in0_p, in1_p, in2_p, in3_p, out0_p, out1_p, out2_p, out3_p, n, channels, length, "
        f"{SLICES}, eps, momentum",
    )  # fmt: skip
    for old, new in zip((norm.running_mean, norm.running_var), following, strict=True):
        old.update(new)
    return mean.stop_grad(), narrow.stop_grad()
