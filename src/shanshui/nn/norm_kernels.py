"""Batch and instance norm with scale, shift and leaky ReLU, as one GPU kernel forward and one backward.

    standard = (x - mean) / sqrt(variance + eps)
    y = act(standard * (unit + scale[c] + gamma) + shift[c] + beta)

scale and shift are vectors over channels, gamma and beta maps; each may be absent. Jittor needs some thirty launches
for it, forward and backward, each through all of memory. Here a block of threads holds one channel (of one image, for
instance norm): it sums, sums the centred squares, and writes. Sums have a fixed order, so that their bits repeat.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.nn.norms import BatchNorm


EPS = 1e-5
MOST_THREADS = 1024

SUM = """
static __device__ float sum_of_block(float value, float* kept) {
    kept[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) kept[threadIdx.x] += kept[threadIdx.x + half];
        __syncthreads();
    }
    const float sum = kept[0];
    __syncthreads();
    return sum;
}
"""

FORWARD = (
    SUM
    + """
static __global__ void __launch_bounds__(1024) standardise(
    const float* x, const float* scale, const float* shift, const float* gamma, const float* beta,
    const float* running_mean, const float* running_variance,
    float* y, float* means, float* variances, float* next_mean, float* next_variance,
    int n, int channels, int length, float eps, float unit, float slope, float momentum
) {
    __shared__ float kept[1024];
    const int c = blockIdx.x;
    float sum = 0, squares = 0;
    for (int image = 0; image < n; image++) {
        const float* from = x + ((long long)image * channels + c) * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) sum += from[i];
    }
    const float mean = sum_of_block(sum, kept) / ((float)n * length);
    for (int image = 0; image < n; image++) {
        const float* from = x + ((long long)image * channels + c) * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) squares += (from[i] - mean) * (from[i] - mean);
    }
    const float variance = sum_of_block(squares, kept) / ((float)n * length);
    if (threadIdx.x == 0) {
        means[c] = mean, variances[c] = variance;
        if (running_mean) {
            next_mean[c] = running_mean[c] + (mean - running_mean[c]) * momentum;
            next_variance[c] = running_variance[c] + (variance - running_variance[c]) * momentum;
        }
    }
    const float narrow = 1 / sqrtf(variance + eps);
    const float factor = unit + (scale ? scale[c] : 0), term = shift ? shift[c] : 0;
    for (int image = 0; image < n; image++) {
        const long long start = ((long long)image * channels + c) * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) {
            const float standard = (x[start + i] - mean) * narrow;
            const float value = standard * (gamma ? factor + gamma[start + i] : factor)
                + (beta ? term + beta[start + i] : term);
            y[start + i] = value > 0 ? value : value * slope;
        }
    }
}
"""
)

BACKWARD = (
    SUM
    + """
static __global__ void __launch_bounds__(1024) standardise_grad(
    const float* x, const float* means, const float* variances, const float* y_grad,
    const float* scale, const float* shift, const float* gamma, const float* beta,
    float* x_grad, float* scale_grad, float* shift_grad, float* gamma_grad, float* beta_grad,
    int n, int channels, int length, float eps, float unit, float slope
) {
    __shared__ float kept[1024];
    const int c = blockIdx.x;
    const float mean = means[c], narrow = 1 / sqrtf(variances[c] + eps);
    const float factor = unit + (scale ? scale[c] : 0), term = shift ? shift[c] : 0;
    float to_scale = 0, to_shift = 0, sum = 0, product = 0;
    for (int image = 0; image < n; image++) {
        const long long start = ((long long)image * channels + c) * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) {
            const float standard = (x[start + i] - mean) * narrow;
            const float by = gamma ? factor + gamma[start + i] : factor;
            const float value = standard * by + (beta ? term + beta[start + i] : term);
            const float grad = value > 0 ? y_grad[start + i] : y_grad[start + i] * slope;
            if (gamma) gamma_grad[start + i] = grad * standard, beta_grad[start + i] = grad;
            to_shift += grad, to_scale += grad * standard;
            sum += grad * by, product += grad * by * standard;
        }
    }
    if (scale) {
        to_scale = sum_of_block(to_scale, kept), to_shift = sum_of_block(to_shift, kept);
        if (threadIdx.x == 0) scale_grad[c] = to_scale, shift_grad[c] = to_shift;
    }
    sum = sum_of_block(sum, kept) / ((float)n * length);
    product = sum_of_block(product, kept) / ((float)n * length);
    for (int image = 0; image < n; image++) {
        const long long start = ((long long)image * channels + c) * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) {
            const float standard = (x[start + i] - mean) * narrow;
            const float by = gamma ? factor + gamma[start + i] : factor;
            const float value = standard * by + (beta ? term + beta[start + i] : term);
            const float grad = value > 0 ? y_grad[start + i] : y_grad[start + i] * slope;
            x_grad[start + i] = (grad * by - sum - standard * product) * narrow;
        }
    }
}
"""
)


NUMBERS = (
    "const int n = {}, channels = {}, length = (int)in0_shape2 * (int)in0_shape3;"
    'const int threads = data["threads"]; const float slope = data["slope"], eps = data["eps"], unit = data["unit"];'
)
LAUNCH = {  # by whether statistics are per image: a batch is then one image of all channels
    True: NUMBERS.format("1", "(int)in0_shape0 * (int)in0_shape1"),
    False: NUMBERS.format("(int)in0_shape0", "(int)in0_shape1"),
}
MOMENTUM = 'const float momentum = data["momentum"];'


def usable(x: Var) -> bool:
    """Return whether these kernels serve x: on CUDA, in float32, and not under MPI, which shares sums."""
    return bool(jt.flags.use_cuda) and not jt.in_mpi and x.dtype == "float32"


def standardise(
    x: Var, scale: Var | None = None, shift: Var | None = None, gamma: Var | None = None, beta: Var | None = None, *,
    by_image: bool = False, slope: float = 1.0, eps: float = EPS, unit: float = 1.0, norm: BatchNorm | None = None,
) -> Var:  # fmt: skip
    """Apply the formula of this module: (N, C, h, w) -> (N, C, h, w).

    Args:
        x: (N, C, h, w).
        scale, shift: (C,), both or neither.
        gamma, beta: (N, C, h, w), both or neither.
        by_image: statistics per image, not over the batch; then without scale and shift.
        slope: of the leaky ReLU; 1 for none.
        eps: added to the variance.
        unit: 1 where scale and gamma are differences from one, else 0.
        norm: whose running statistics (`running_mean`, `running_var`, `momentum`) follow those of the batch.
    """
    numbers = {"slope": slope, "eps": eps, "unit": unit, "threads": _threads(x.shape[2] * x.shape[3])}
    form = Standardise(by_image, numbers, norm)
    if jt.flags.no_grad:  # what a gradient would need is then not kept
        return form.execute(x, scale, shift, gamma, beta)
    return form(x, scale, shift, gamma, beta)


class Standardise(Function):
    """`standardise` with its gradients."""

    def __init__(self, by_image: bool, numbers: dict[str, float], norm: BatchNorm | None) -> None:
        self.by_image, self.numbers, self.norm = by_image, numbers, norm
        self.maps: tuple[Var | None, ...] = ()
        self.saved: tuple[Var, ...] = ()

    def execute(self, x: Var, scale: Var | None, shift: Var | None, gamma: Var | None, beta: Var | None) -> Var:
        """Run the forward kernel, and move the running statistics of the norm, if any."""
        n, c = x.shape[:2]
        norm, self.maps = self.norm, (scale, shift, gamma, beta)
        running = (None, None) if norm is None else (norm.running_mean, norm.running_var)
        statistics = (n * c if self.by_image else c,)
        reads, read = _named("in", [x, *self.maps, *running])
        shapes = [x.shape, statistics, statistics] + ([] if norm is None else [statistics, statistics])
        y, mean, variance, *following = kernels.run(
            FORWARD, LAUNCH[self.by_image] + MOMENTUM, read, shapes,
            grid="channels, threads", kernel="standardise",
            arguments=f"{reads}, {_written(5, len(shapes))}, n, channels, length, eps, unit, slope, momentum",
            data=self.numbers | {"momentum": 0.0 if norm is None else norm.momentum},
        )  # fmt: skip
        for old, new in zip(running, following, strict=False):
            cast("Var", old).update(new)
        self.saved = x, mean, variance
        return y

    def grad(self, y_grad: Var) -> tuple[Var | None, ...]:
        """Run the backward kernel: gradients of all inputs that are not None."""
        x = self.saved[0]
        reads, read = _named("in", [*self.saved, y_grad, *self.maps])
        given = [x, *self.maps]
        shapes = [one.shape for one in given if one is not None]
        writes, _ = _named("out", given)
        grads = iter(kernels.run(
            BACKWARD, LAUNCH[self.by_image], read, shapes, grid="channels, threads", kernel="standardise_grad",
            arguments=f"{reads}, {writes}, n, channels, length, eps, unit, slope", data=self.numbers,
        ))  # fmt: skip
        self.saved = self.maps = ()  # which would otherwise outlive their last use
        return tuple(None if one is None else next(grads) for one in given)


def _threads(length: int) -> int:
    """Choose the threads of a block for channels of `length` pixels: a power of two."""
    return min(MOST_THREADS, max(32, 1 << (length - 1).bit_length()))


def _named(letter: str, given: Sequence[Var | None]) -> tuple[str, list[Var]]:
    """Return a kernel's arguments for given inputs, nullptr for None ("in0_p, nullptr, in1_p"), and those not None."""
    return _arguments(letter, tuple([one is None for one in given])), [one for one in given if one is not None]


@functools.cache
def _arguments(letter: str, missing: tuple[bool, ...]) -> str:
    names = itertools.count()
    return ", ".join("nullptr" if none else f"{letter}{next(names)}_p" for none in missing)


def _written(whole: int, count: int) -> str:
    """Return a kernel's arguments for `count` outputs, nullptr for the rest of `whole`."""
    return _arguments("out", tuple([i >= count for i in range(whole)]))
