"""Spectral normalisation on GPUs: power iteration and division by the singular value, with few launches.

With W the weight as a matrix (out, in * k * k), and u the left vector stored so far:

    v = unit(u W),  u' = unit(W v),  sigma = u' . W v,  y = W / sigma

The gradient treats u' and v as constants: from the gradient g of y it is g / sigma - (g . W) / sigma^2 * u' v.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt
from shanshui.nn.norm_kernels import SUM

if TYPE_CHECKING:
    from jittor import Var


BLOCKS = 128  # that share the sum over a weight

UNIT = (
    SUM
    + """
static __global__ void __launch_bounds__(1024) unit(const float* x, float* y, float* product, int n) {
    __shared__ float kept[1024];
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i] * x[i];
    sum = sum_of_block(sum, kept);
    const float length = sqrtf(sum), scale = 1 / (length > 1e-12f ? length : 1e-12f);
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = x[i] * scale;
    if (threadIdx.x == 0) product[0] = sum * scale;
}
"""
)

PARTS = (
    SUM
    + """
static __global__ void __launch_bounds__(256) parts(const float* grad, const float* weight, float* sums, long long n) {
    __shared__ float kept[256];
    float sum = 0;
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += grad[i] * weight[i];
    sum = sum_of_block(sum, kept);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
"""
)

WEIGHT_GRAD = (
    SUM
    + """
static __global__ void __launch_bounds__(256) weight_grad(
    const float* grad, const float* u, const float* v, const float* sigma, const float* sums, float* out,
    long long n, int columns, int blocks
) {
    __shared__ float kept[256];
    const float product = sum_of_block(threadIdx.x < blocks ? sums[threadIdx.x] : 0, kept);
    const float scale = 1 / sigma[0], tilt = product * scale * scale;
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        out[i] = grad[i] * scale - tilt * u[i / columns] * v[i % columns];
}
"""
)


def power_iteration(weight: Var, u: Var) -> tuple[Var, Var, Var]:
    """Run one power iteration on a weight (out, in, k, k) from u (out,), without gradients.

    Returns:
        u' (out,), v (in * k * k,) and sigma (1,).
    """
    with jt.no_grad():
        matrix = weight.reshape(weight.shape[0], -1)
        v, _ = _unit(jt.matmul(u.reshape(1, -1), matrix))
        u, sigma = _unit(jt.matmul(matrix, v.reshape(-1, 1)))
    return u.stop_grad(), v.stop_grad(), sigma.stop_grad()


def _unit(vector: Var) -> tuple[Var, Var]:
    """Divide the vector (n,) by its length, and return also the product of both."""
    unit, product = kernels.run(
        UNIT, "const int n = in0->num;", [vector], [(vector.numel(),), (1,)], grid="1, 1024", kernel="unit",
        arguments="in0_p, out0_p, out1_p, n",
    )  # fmt: skip
    return unit, product


class Divide(Function):
    """weight / sigma, for u, v and sigma of `power_iteration`, which also depend on the weight."""

    def execute(self, weight: Var, u: Var, v: Var, sigma: Var) -> Var:
        """Divide the weight by sigma."""
        self.saved = weight, u, v, sigma
        return weight / sigma

    def grad(self, grad: Var) -> tuple[Var | None, ...]:
        """Compute the gradient of the weight, through sigma as well."""
        weight, *vectors = self.saved
        size = f"const long long n = in0->num; const int blocks = {BLOCKS};"
        (sums,) = kernels.run(
            PARTS, size, [grad, weight], [(BLOCKS,)], grid="blocks, 256", kernel="parts",
            arguments="in0_p, in1_p, out0_p, n",
        )  # fmt: skip
        (out,) = kernels.run(
            WEIGHT_GRAD, size + "const int columns = in2->num;", [grad, *vectors, sums], [weight.shape],
            grid="std::min<long long>(1024, (n + 1023) / 1024), 256", kernel="weight_grad",
            arguments="in0_p, in1_p, in2_p, in3_p, in4_p, out0_p, n, columns, blocks",
        )  # fmt: skip
        return out, None, None, None
