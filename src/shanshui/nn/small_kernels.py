"""Small operations of training that take several launches in Jittor and one here, for GPUs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shanshui.backend import kernels
from shanshui.backend.bias_kernel import channel_sums
from shanshui.backend.lazy import Function, nn
from shanshui.nn.norm_kernels import SUM

if TYPE_CHECKING:
    from jittor import Var

NOISE_GRAD = (
    SUM
    + """
static __global__ void __launch_bounds__(1024) noise_grad(
    const float* grad, const float* noise, float* amplitude_grad, float* bias_grad, int n, int channels, int length
) {
    __shared__ float kept[1024];
    const int c = blockIdx.x;
    float sum = 0;
    for (int image = 0; image < n; image++) {
        const long long start = ((long long)image * channels + c) * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) {
            const float value = grad[start + i] * noise[(long long)image * length + i];
            amplitude_grad[start + i] = value, sum += value;
        }
    }
    sum = sum_of_block(sum, kept);
    if (threadIdx.x == 0) bias_grad[c] = sum;
}
"""
)

ACTIVATION_GRAD = (
    SUM
    + """
static __global__ void __launch_bounds__(1024) activation_grad(
    const float* grad, const float* other_grad, const float* y, float* x_grad, float* shared_grad, float* bias_grad,
    int times, int n, int channels, int length, float slope
) {
    __shared__ float kept[1024];
    const int c = blockIdx.x;
    float sum = 0;
    for (int image = 0; image < n; image++) {
        const long long start = ((long long)image * channels + c) * length, whole = (long long)n * channels * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) {
            float shared = 0;
            for (int k = 0; k < times; k++) {
                const long long at = k * whole + start + i;
                const float both = other_grad ? grad[at] + other_grad[at] : grad[at];
                const float value = y[at] > 0 ? both : both * slope;
                x_grad[at] = value, shared += value;
            }
            if (shared_grad) shared_grad[start + i] = shared;
            sum += shared;
        }
    }
    sum = sum_of_block(sum, kept);
    if (threadIdx.x == 0) bias_grad[c] = sum;
}
"""
)

SPLIT = """
static __global__ void __launch_bounds__(256) split(
    const float* whole, float* first, float* last, int outer, int left, int right
) {
    const int n = outer * (left + right);
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const int row = i / (left + right), column = i % (left + right);
        if (column < left) first[row * left + column] = whole[i];
        else last[row * right + column - left] = whole[i];
    }
}
"""

SIZES = 'const int outer = data["outer"], left = data["left"], right = data["right"];'
GRID = "std::min(2048, (outer * (left + right) + 255) / 256), 256"

JOIN = """
static __global__ void __launch_bounds__(256) join(
    const float* first, const float* last, float* whole, int outer, int left, int right
) {
    const int n = outer * (left + right);
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const int row = i / (left + right), column = i % (left + right);
        if (column < left) whole[i] = first ? first[row * left + column] : 0;
        else whole[i] = last ? last[row * right + column - left] : 0;
    }
}
"""


class AddNoise(Function):
    """x + noise * (amplitude + bias): (N, C, h, w), (N, 1, h, w), (N, C, h, w), (C,) -> (N, C, h, w)."""

    def execute(self, x: Var, noise: Var, amplitude: Var, bias: Var) -> Var:
        """Add the noise, in Jittor's terms, so that it is computed with what comes before."""
        self.noise = noise
        return x + noise * (amplitude + bias.broadcast(amplitude.shape, [0, 2, 3]))

    def grad(self, grad: Var) -> tuple[Var | None, ...]:
        """Compute the gradients of all but the noise."""
        amplitude, bias = kernels.run(
            NOISE_GRAD, "const int n = in0_shape0, channels = in0_shape1, length = in0_shape2 * in0_shape3;",
            [grad, self.noise], [grad.shape, (grad.shape[1],)], grid="channels, length < 256 ? 256 : 1024",
            kernel="noise_grad", arguments="in0_p, in1_p, out0_p, out1_p, n, channels, length",
        )  # fmt: skip
        return grad, None, amplitude, bias


class SplitInputs(Function):
    """Weights (out, in, k, k) of the first inputs and of the `last` ones."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.shape: tuple[int, ...] = ()

    def execute(self, weight: Var) -> tuple[Var, Var]:
        """Split the weights."""
        outer, inner, *sides = self.shape = tuple(weight.shape)
        first, last = kernels.run(
            SPLIT, SIZES, [weight], [(outer, inner - self.last, *sides), (outer, self.last, *sides)], grid=GRID,
            kernel="split", arguments="in0_p, out0_p, out1_p, outer, left, right", data=self.data,
        )  # fmt: skip
        return first, last

    def grad(self, first: Var | None, last: Var | None) -> Var:
        """Join the gradients of both parts; None is zero."""
        given = [grad for grad in (first, last) if grad is not None]
        names = iter(f"in{i}_p" for i in range(len(given)))
        arguments = ", ".join("nullptr" if grad is None else next(names) for grad in (first, last))
        (whole,) = kernels.run(
            JOIN, SIZES, given, [self.shape], grid=GRID, kernel="join",
            arguments=f"{arguments}, out0_p, outer, left, right", data=self.data,
        )  # fmt: skip
        return whole

    @property
    def data(self) -> dict[str, float]:
        """Sizes of the parts, by their names in the kernels."""
        outer, inner, *sides = self.shape
        each = math.prod(sides)
        return {"outer": outer, "left": (inner - self.last) * each, "right": self.last * each}


class BiasedActivation(Function):
    """Leaky ReLU of x + shared + bias: (k * N, C, h, w), (N, C, h, w) for all k or None, (C,) -> (k * N, C, h, w).

    Args:
        slope: of the leaky ReLU; 0 for a ReLU, 1 for none.
        twice: return the result two times, for two uses, whose gradients the kernel adds.
    """

    def __init__(self, slope: float, twice: bool = False) -> None:
        self.slope, self.twice = slope, twice

    def execute(self, x: Var, shared: Var | None, bias: Var) -> Var | tuple[Var, Var]:
        """Add and activate, in Jittor's terms."""
        y = x if shared is None else (x.reshape(-1, *shared.shape) + shared).reshape(x.shape)
        y = y + bias.broadcast(y.shape, [0, 2, 3])
        self.y = y if self.slope == 1 else nn.relu(y) if self.slope == 0 else nn.leaky_relu(y, self.slope)
        self.images = x.shape[0] if shared is None else shared.shape[0]
        self.shares = shared is not None
        return (self.y, self.y) if self.twice else self.y

    def grad(self, *grads: Var | None) -> tuple[Var | None, ...]:
        """Compute the gradients of all three from those of every use; None is zero."""
        given = [grad for grad in grads if grad is not None]
        many, channels, height, width = shape = given[0].shape
        shapes = [shape, (channels,)] + ([(self.images, channels, height, width)] if self.shares else [])
        read = ", ".join(["in0_p", "in1_p" if len(given) > 1 else "nullptr", f"in{len(given)}_p"])
        found = kernels.run(
            ACTIVATION_GRAD,
            "const int channels = in0_shape1, length = in0_shape2 * in0_shape3;"
            'const int times = data["times"], n = in0_shape0 / times; const float slope = data["slope"];',
            [*given, self.y], shapes, grid="channels, length < 256 ? 256 : 1024", kernel="activation_grad",
            arguments=f"{read}, out0_p, {'out2_p' if self.shares else 'nullptr'}, out1_p, times, n, channels, "
            "length, slope",
            data={"times": many // self.images, "slope": self.slope},
        )  # fmt: skip
        del self.y  # which would otherwise outlive its last use
        return found[0], found[2] if self.shares else None, found[1]


def halves(x: Var) -> tuple[Var, Var]:
    """Split a batch (2 N, C, h, w) in two."""
    n, c, h, w = x.shape
    first, second = SplitInputs(n // 2)(x.reshape(1, n, c * h, w))
    return first.reshape(n // 2, c, h, w), second.reshape(n // 2, c, h, w)


class Residual(Function):
    """shortcut + x + bias: (N, C, h, w) twice, (C,) -> (N, C, h, w)."""

    def execute(self, shortcut: Var, x: Var, bias: Var) -> Var:
        """Add all three, in Jittor's terms."""
        return shortcut + (x + bias.broadcast(x.shape, [0, 2, 3]))

    def grad(self, grad: Var) -> tuple[Var, Var, Var]:
        """Compute the gradients of all three."""
        return grad, grad, channel_sums(grad)


POOL = """
static __device__ int inside(int at, int size) {
    return (2 * at > 0) + 1 + (2 * at + 1 < size);
}
static __global__ void __launch_bounds__(256) pool(const float* x, float* y, long long n, int h, int w, bool nine) {
    const int half_h = (h + 1) / 2, half_w = (w + 1) / 2;
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        const int column = i % half_w, row = i / half_w % half_h;
        const float* from = x + i / half_w / half_h * h * w;
        float sum = 0;
        for (int a = 2 * row - 1; a <= 2 * row + 1; a++)
            for (int b = 2 * column - 1; b <= 2 * column + 1; b++)
                if (a >= 0 && a < h && b >= 0 && b < w) sum += from[(long long)a * w + b];
        y[i] = sum / (nine ? 9 : inside(row, h) * inside(column, w));
    }
}
static __global__ void __launch_bounds__(256) pool_grad(
    const float* y_grad, float* x_grad, long long n, int h, int w, bool nine
) {
    const int half_h = (h + 1) / 2, half_w = (w + 1) / 2;
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        const int column = i % w, row = i / w % h;
        const float* from = y_grad + i / w / h * half_h * half_w;
        float sum = 0;
        for (int a = row / 2; a <= (row + 1) / 2 && a < half_h; a++)
            for (int b = column / 2; b <= (column + 1) / 2 && b < half_w; b++)
                sum += from[(long long)a * half_w + b] / (nine ? 9 : inside(a, h) * inside(b, w));
        x_grad[i] = sum;
    }
}
"""


class Pool(Function):
    """`nn.resize.halve`: (N, C, h, w) -> (N, C, ceil(h / 2), ceil(w / 2)).

    Args:
        count_padding: divide by 9 at the borders too.
    """

    def __init__(self, count_padding: bool) -> None:
        self.nine = str(count_padding).lower()
        self.shape: tuple[int, ...] = ()

    def execute(self, x: Var) -> Var:
        """Average over 3x3 at stride 2."""
        n, c, h, w = self.shape = tuple(x.shape)
        return self._run("pool", x, (n, c, (h + 1) // 2, (w + 1) // 2))

    def grad(self, grad: Var) -> Var:
        """Compute the gradient of x."""
        return self._run("pool_grad", grad, self.shape)

    def _run(self, kernel: str, given: Var, shape: tuple[int, ...]) -> Var:
        (found,) = kernels.run(
            POOL, 'const int h = data["h"], w = data["w"]; const long long n = out0->num;', [given], [shape],
            grid="std::min<long long>(4096, (n + 255) / 256), 256", kernel=kernel,
            arguments=f"in0_p, out0_p, n, h, w, {self.nine}", data={"h": self.shape[2], "w": self.shape[3]},
        )  # fmt: skip
        return found
