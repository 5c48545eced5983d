"""Cross entropy of class logits, on a CPU as two passes over them instead of a dozen.

    loss = mean over the pixels with a class of  log(sum over c of exp(logits[c])) - logits[own class]

Jittor computes maximum, difference, exponentials, sums and their gradients as loops of their own, and exponentials one
at a time. Here the pixels of a row are computed together. The bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Function, jt

if TYPE_CHECKING:
    from jittor import Var


def cross_entropy(logits: Var, ids: Var) -> Var:
    """Compute the mean cross entropy over pixels that have a class; 0 if none has.

    Args:
        logits: float32 (N, C, h, w).
        ids: class ids int32 (N, h, w); those that are not below C have no class.

    Returns:
        float32 (1,); gradients go to the logits.
    """
    if jt.flags.use_cuda:
        return dense(logits, ids)
    loss: Var = CrossEntropy.apply(logits, ids)
    return loss


def dense(logits: Var, ids: Var) -> Var:
    """Compute `cross_entropy` by operations of Jittor."""
    n, classes, h, w = logits.shape
    logits = logits - logits.max(1, keepdims=True).stop_grad()
    total = logits.exp().sum(1).log()  # (N, h, w)
    own = logits.reindex([n, h, w], ["i0", "@e0(i0,i1,i2)", "i1", "i2"], extras=[ids])  # 0 beyond the classes
    known = (ids < classes).float32()
    lost = ((total - own) * known).sum(2).sum()  # rows first: one long float32 sum loses digits
    return lost / known.sum(2).sum().maximum(1.0)


class CrossEntropy(Function):
    """The loss on a CPU, and the gradient of the logits."""

    def execute(self, logits: Var, ids: Var) -> Var:
        """Compute the loss (1,)."""
        n, _, h, w = logits.shape
        self.logits, self.ids = logits, ids
        loss, self.most, self.total, self.known = jt.code(
            [(1,), (n, h, w), (n, h, w), (1,)], ["float32"] * 4, [logits, ids], cpu_header=HEADER, cpu_src=FORWARD
        )
        return loss

    def grad(self, loss: Var) -> tuple[Var, None]:
        """Compute the gradient of the logits from that of the loss (1,)."""
        inputs = [self.logits, self.ids, self.most, self.total, self.known, loss]
        return jt.code(self.logits.shape, "float32", inputs, cpu_header=HEADER, cpu_src=BACKWARD), None


HEADER = """
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
namespace {
// e^x for x <= 0, to 1e-5 of its value, without a call or branch: 2^n * e^r, |r| <= log(2) / 2
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    const float n = std::floor(x * 1.44269504f + 0.5f);
    const float r = x - n * 0.693147181f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int bits = (int(n) + 127) << 23;
    float power;
    std::memcpy(&power, &bits, 4);
    return p * power;
}
}
"""

FORWARD = """
const int64 N = in0_shape0, C = in0_shape1, H = in0_shape2, W = in0_shape3;
std::vector<double> lost(N * H), pixels(N * H);
#pragma omp parallel for schedule(static)
for (int64 row = 0; row < N * H; row++) {
    const float* logits = in0_p + (row / H * C * H + row % H) * W;  // of class c: + c * H * W
    const int32* ids = in1_p + row * W;
    float *most = out1_p + row * W, *total = out2_p + row * W;  // total: sum of exp(logits - most)
    std::copy(logits, logits + W, most);
    for (int64 c = 1; c < C; c++)
        for (int64 x = 0; x < W; x++) most[x] = logits[c * H * W + x] > most[x] ? logits[c * H * W + x] : most[x];
    std::fill(total, total + W, 0.0f);
    for (int64 c = 0; c < C; c++)
        for (int64 x = 0; x < W; x++) total[x] += exponential(logits[c * H * W + x] - most[x]);
    for (int64 x = 0; x < W; x++) {
        if (ids[x] < 0 || ids[x] >= C) continue;
        lost[row] += (double)most[x] - logits[ids[x] * H * W + x] + std::log((double)total[x]);
        pixels[row]++;
    }
}
double all = 0, known = 0;
for (int64 row = 0; row < N * H; row++) all += lost[row], known += pixels[row];
out0_p[0] = known ? all / known : 0;
out3_p[0] = known;
"""

BACKWARD = """
const int64 N = in0_shape0, C = in0_shape1, H = in0_shape2, W = in0_shape3;
const float scale = in4_p[0] ? in5_p[0] / in4_p[0] : 0;
#pragma omp parallel for schedule(static)
for (int64 row = 0; row < N * H; row++) {
    const int64 start = (row / H * C * H + row % H) * W;
    const int32* ids = in1_p + row * W;
    const float *most = in2_p + row * W, *total = in3_p + row * W;
    std::vector<float> scales(W);
    for (int64 x = 0; x < W; x++) scales[x] = ids[x] < 0 || ids[x] >= C ? 0 : scale / total[x];
    for (int64 c = 0; c < C; c++) {
        const float* logits = in0_p + start + c * H * W;
        float* slopes = out_p + start + c * H * W;
        for (int64 x = 0; x < W; x++) {
            const float below = logits[x] - most[x];
            slopes[x] = exponential(below < 0 ? below : 0) * scales[x];
        }
    }
    for (int64 x = 0; x < W; x++)
        if (scales[x]) out_p[start + ids[x] * H * W + x] -= scale;
}
"""
