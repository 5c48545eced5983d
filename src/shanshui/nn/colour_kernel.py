"""Changes of brightness, saturation and contrast, for GPUs: two kernels forward, two backward, sums in a fixed order.

With m the mean over the channels of a pixel of x + b, M the mean of the image of x + b:

    y = M + (m + (x + b - m) * s - M) * c

Without b this is linear in x and symmetric: the gradient of x is the same of the gradient of y, with b = 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt
from shanshui.nn.norm_kernels import SUM

if TYPE_CHECKING:
    from jittor import Var

SLICES = 64  # of an image, each summed by one block

IMAGE_SUMS = (
    SUM
    + """
static __global__ void __launch_bounds__(256) image_sums(const float* x, float* parts, int length, int slices) {
    __shared__ float kept[256];
    const float* from = x + (long long)(blockIdx.x / slices) * length;
    float sum = 0;
    for (int i = blockIdx.x % slices * blockDim.x + threadIdx.x; i < length; i += slices * blockDim.x) sum += from[i];
    sum = sum_of_block(sum, kept);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
"""
)

RECOLOUR = """
static __global__ void __launch_bounds__(256) recolour(
    const float* x, const float* parts, const float* factors, float* y, long long n, int channels, int length,
    int slices, bool brighten
) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const int image = i / length;
    const float* own = factors + image * 3;
    const float b = brighten ? own[0] : 0, s = own[1], c = own[2];
    float whole = 0, pixel = 0;
    for (int k = 0; k < slices; k++) whole += parts[image * slices + k];
    const long long start = (long long)image * channels * length + i % length;
    for (int k = 0; k < channels; k++) pixel += x[start + (long long)k * length];
    whole = whole / ((float)channels * length) + b, pixel = pixel / channels + b;
    for (int k = 0; k < channels; k++) {
        const long long at = start + (long long)k * length;
        y[at] = whole + (pixel + (x[at] + b - pixel) * s - whole) * c;
    }
}
"""


class Recolour(Function):
    """Brightness, saturation and contrast of images (N, C, h, w), by numbers (N, 3) in this order."""

    def execute(self, x: Var, factors: Var) -> Var:
        """Change the colours."""
        self.factors = factors
        return self._run(x, True)

    def grad(self, grad: Var) -> tuple[Var, None]:
        """Compute the gradient of x."""
        return self._run(grad, False), None

    def _run(self, x: Var, brighten: bool) -> Var:
        (parts,) = kernels.run(
            IMAGE_SUMS, 'const int images = in0_shape0, length = in0->num / images, slices = data["slices"];', [x],
            [(x.shape[0], SLICES)], grid="images * slices, 256", kernel="image_sums",
            arguments="in0_p, out0_p, length, slices", data={"slices": SLICES},
        )  # fmt: skip
        (y,) = kernels.run(
            RECOLOUR,
            "const int channels = in0_shape1, length = in0_shape2 * in0_shape3;"
            'const long long n = (long long)in0_shape0 * length; const int slices = data["slices"];'
            'const bool brighten = data["brighten"];',
            [x, parts, self.factors], [x.shape], grid="(n + 255) / 256, 256", kernel="recolour",
            arguments="in0_p, in1_p, in2_p, out0_p, n, channels, length, slices, brighten",
            data={"slices": SLICES, "brighten": float(brighten)},
        )  # fmt: skip
        return y


def recolour(x: Var, brightness: np.ndarray, saturation: np.ndarray, contrast: np.ndarray) -> Var:
    """Change brightness, then saturation, then contrast of images (N, C, h, w), by one number each per image."""
    factors = jt.array(np.stack([brightness, saturation, contrast], 1).astype(np.float32)).stop_grad()
    y: Var = Recolour.apply(x, factors)
    return y
