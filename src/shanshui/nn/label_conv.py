"""Convolution of label maps on a CPU, whose cost does not depend on the number of classes.

A one-hot label map has one value other than 0 in a pixel, and along a row the same channel has it in long runs; reduced
label maps have a few more along borders. Where the taps a to b of a row of the kernel lie in a run, one sum of their
weights, of all outputs, is added to a result:

    y[n, :, r, s] += value * (weight[:, c, i, a] + ... + weight[:, c, i, b])

The sums of all a and b are computed before. The result equals the dense convolution's up to rounding. It is split in
parts of fixed size, so that its bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Function, jt, nn

if TYPE_CHECKING:
    from jittor import Var


def convolve(segmap: Var, weight: Var, bias: Var | None = None, stride: int = 1, padding: int = 0) -> Var:
    """Convolve label maps (N, C, H, W) with weight (O, C, k, k) and bias (O,): (N, O, h, w). No gradient to segmap.

    Args:
        segmap: one-hot, resized or with an edge channel; any value is allowed, and zeros cost nothing on a CPU.
        weight: of the convolution.
        bias: added to every output channel, or None.
        stride, padding: in both directions.
    """
    if jt.flags.use_cuda:
        return nn.conv2d(segmap, weight, bias, stride, padding)
    return sparse(segmap, weight, bias, stride, padding)


def sparse(segmap: Var, weight: Var, bias: Var | None, stride: int, padding: int) -> Var:
    """Compute `convolve` on a CPU."""
    y: Var = LabelConv.apply(segmap, weight, jt.zeros((weight.shape[0],)) if bias is None else bias, stride, padding)
    return y


class LabelConv(Function):
    """The convolution, and the gradients of its weight and bias."""

    def execute(self, segmap: Var, weight: Var, bias: Var, stride: int, padding: int) -> Var:
        """Compute (N, O, h, w)."""
        self.segmap, self.shape = segmap, weight.shape
        self.data = {"stride": float(stride), "padding": float(padding)}
        n, _, height, width = segmap.shape
        outputs, _, kernel, _ = weight.shape
        sides = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
        return jt.code(
            (n, outputs, *sides), "float32", [segmap, weight, bias], cpu_header=HEADER, cpu_src=BEGIN + FORWARD,
            data=self.data,
        )  # fmt: skip

    def grad(self, y: Var) -> tuple[None, Var, Var, None, None]:
        """Compute the gradients of weight and bias from that of the result."""
        weight, bias = jt.code(
            [self.shape, (self.shape[0],)], ["float32", "float32"], [self.segmap, y], cpu_header=HEADER,
            cpu_src=BEGIN + BACKWARD, data=self.data,
        )  # fmt: skip
        return None, weight, bias, None, None


HEADER = """
#include <algorithm>
#include <cstring>
#include <vector>
using std::vector;
namespace {
struct Run { int c, begin, end; float value; };

// the runs of equal values other than 0 in row h of an image (C, H, W), channel by channel
void collect(const float* image, int C, int H, int W, int h, vector<Run>& runs) {
    runs.clear();
    for (int c = 0; c < C; c++) {
        const float* line = image + ((int64_t)c * H + h) * W;
        float before = 0;
        for (int first = 0; first < W; first += 16) {
            const int last = std::min(first + 16, W);
            unsigned any = 0;
            for (int w = first; w < last; w++) {
                unsigned bits;
                std::memcpy(&bits, line + w, 4);
                any |= bits << 1;
            }
            if (!any) {
                before = 0;
                continue;
            }
            for (int w = first; w < last; w++) {
                const float value = line[w];
                if (value != 0) {
                    if (value == before) runs.back().end = w + 1;
                    else runs.push_back({c, w, w + 1, value});
                }
                before = value;
            }
        }
    }
}

// Add to (or from) a row of S results, O floats each, the taps of a kernel row that meet a run: those from a to b are
// one line of the table (C, K, a, b, O) of sums over them.
template <int FIXED, bool FORWARD> void add(
    const Run& run, int i, int K, int S, int O, int stride, int padding, float* line, float* table
) {
    if (FIXED) O = FIXED;
    float* of_row = table + ((int64_t)run.c * K + i) * K * K * O;
    const int first = std::max(0, (run.begin + padding - K + stride) / stride);
    const int last = std::min(S - 1, (run.end - 1 + padding) / stride);
    for (int s = first; s <= last; s++) {
        const int a = std::max(0, run.begin + padding - s * stride), b = std::min(K, run.end + padding - s * stride);
        if (a >= b) continue;
        float *result = line + (int64_t)s * O, *taps = of_row + (a * K + b - 1) * O;
        if (FORWARD)
            for (int o = 0; o < O; o++) result[o] += run.value * taps[o];
        else
            for (int o = 0; o < O; o++) taps[o] += run.value * result[o];
    }
}

template <bool FORWARD> void add_row(
    const vector<Run>& runs, int i, int K, int S, int O, int stride, int padding, float* line, float* table
) {
    for (const Run& run : runs)
        switch (O) {
        case 4: add<4, FORWARD>(run, i, K, S, O, stride, padding, line, table); break;
        case 8: add<8, FORWARD>(run, i, K, S, O, stride, padding, line, table); break;
        case 16: add<16, FORWARD>(run, i, K, S, O, stride, padding, line, table); break;
        case 32: add<32, FORWARD>(run, i, K, S, O, stride, padding, line, table); break;
        default: add<0, FORWARD>(run, i, K, S, O, stride, padding, line, table);
        }
}

// Call f(h, i, r) for every row r of results from begin to end that row h of the input reaches by row i of the kernel.
template <class F> void reach(int begin, int end, int H, int K, int stride, int padding, vector<Run>& runs,
                              const float* image, int C, int W, F f) {
    const int top = std::max(begin * stride - padding, 0), bottom = std::min((end - 1) * stride - padding + K, H);
    for (int h = top; h < bottom; h++) {
        collect(image, C, H, W, h, runs);
        for (int i = 0; i < K; i++) {
            const int r = (h + padding - i) / stride;
            if (h + padding >= i && r * stride == h + padding - i && r >= begin && r < end) f(i, r);
        }
    }
}
}
"""
BEGIN = """
const int stride = data["stride"], padding = data["padding"], PART = 16;
const int N = in0_shape0, C = in0_shape1, H = in0_shape2, W = in0_shape3;
"""

FORWARD = """
const int O = in1_shape0, K = in1_shape2, R = out_shape2, S = out_shape3, parts = (R + PART - 1) / PART;
vector<float> table((int64)C * K * K * K * O);
#pragma omp parallel for schedule(static)
for (int row = 0; row < C * K; row++)
    for (int a = 0; a < K; a++)
        for (int o = 0; o < O; o++) {
            float sum = 0;
            for (int b = a; b < K; b++) {
                sum += in1_p[((int64)o * C * K + row) * K + b];
                table[((int64)row * K * K + a * K + b) * O + o] = sum;
            }
        }
#pragma omp parallel for collapse(2) schedule(dynamic)
for (int n = 0; n < N; n++)
    for (int part = 0; part < parts; part++) {
        const int begin = part * PART, end = std::min(begin + PART, R);
        vector<float> sums((int64)(end - begin) * S * O);  // (rows, S, O)
        vector<Run> runs;
        reach(begin, end, H, K, stride, padding, runs, in0_p + (int64)n * C * H * W, C, W, [&](int i, int r) {
            add_row<true>(runs, i, K, S, O, stride, padding, &sums[(int64)(r - begin) * S * O], table.data());
        });
        for (int o = 0; o < O; o++)
            for (int r = begin; r < end; r++) {
                float* to = out_p + (((int64)n * O + o) * R + r) * S;
                const float *from = &sums[(int64)(r - begin) * S * O + o], bias = in2_p[o];
                for (int s = 0; s < S; s++) to[s] = from[(int64)s * O] + bias;
            }
    }
"""

BACKWARD = """
const int O = out0_shape0, K = out0_shape2, R = in1_shape2, S = in1_shape3, parts = (R + PART - 1) / PART;
const int64 size = (int64)C * K * K * K * O;
vector<float> found(N * parts * (size + O));  // of each part: a table, then sums for the bias
#pragma omp parallel for collapse(2) schedule(dynamic)
for (int n = 0; n < N; n++)
    for (int part = 0; part < parts; part++) {
        float* table = &found[((int64)n * parts + part) * (size + O)];
        const int begin = part * PART, end = std::min(begin + PART, R);
        vector<float> grads((int64)(end - begin) * S * O);  // (rows, S, O)
        for (int o = 0; o < O; o++) {
            float sum = 0;
            for (int r = begin; r < end; r++) {
                const float* from = in1_p + (((int64)n * O + o) * R + r) * S;
                float* to = &grads[(int64)(r - begin) * S * O + o];
                for (int s = 0; s < S; s++) to[(int64)s * O] = from[s], sum += from[s];
            }
            table[size + o] = sum;
        }
        vector<Run> runs;
        reach(begin, end, H, K, stride, padding, runs, in0_p + (int64)n * C * H * W, C, W, [&](int i, int r) {
            add_row<false>(runs, i, K, S, O, stride, padding, &grads[(int64)(r - begin) * S * O], table);
        });
    }
for (int o = 0; o < O; o++) {
    float sum = 0;
    for (int p = 0; p < N * parts; p++) sum += found[p * (size + O) + size + o];
    out1_p[o] = sum;
}
#pragma omp parallel for schedule(static)
for (int row = 0; row < C * K; row++) {
    vector<float> sums(K * O);
    for (int a = 0; a < K; a++)
        for (int b = a; b < K; b++)
            for (int o = 0; o < O; o++) {
                const float* from = &found[((int64)row * K * K + a * K + b) * O + o];
                float sum = 0;
                for (int p = 0; p < N * parts; p++) sum += from[p * (size + O)];
                for (int j = a; j <= b; j++) sums[j * O + o] += sum;
            }
    for (int j = 0; j < K; j++)
        for (int o = 0; o < O; o++) out0_p[((int64)o * C * K + row) * K + j] = sums[j * O + o];
}
"""
