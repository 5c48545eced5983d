"""Bias of convolutions on a GPU: its gradient by one kernel, whose sums have a fixed order.

Jittor sets the gradient to zero and adds to it by atomic operations: two kernels, and bits that do not repeat.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt

if TYPE_CHECKING:
    from jittor import Var
    from jittor.nn import Conv, ConvTranspose

    Sides = int | tuple[int, int]
    Convolution = Callable[..., Var]  # like `jittor.nn.conv2d`

KEEP_HALF = 36  # Jittor's bits by which convolutions of half precision stay so, whatever they sum

CHANNEL_SUMS = """
static __global__ void __launch_bounds__(1024) channel_sums(
    const float* x, float* sums, int n, int channels, int length
) {
    __shared__ float kept[1024];
    const int c = blockIdx.x;
    float sum = 0;
    for (int image = 0; image < n; image++) {
        const float* from = x + ((long long)image * channels + c) * length;
        for (int i = threadIdx.x; i < length; i += blockDim.x) sum += from[i];
    }
    kept[threadIdx.x] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) kept[threadIdx.x] += kept[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) sums[c] = kept[0];
}
"""


def channel_sums(x: Var) -> Var:
    """Sum (N, C, h, w) over all but the channels: (C,)."""
    (sums,) = kernels.run(
        CHANNEL_SUMS, "const int n = in0_shape0, channels = in0_shape1, length = in0_shape2 * in0_shape3;", [x],
        [(x.shape[1],)], grid="channels, length < 256 ? 256 : 1024", kernel="channel_sums",
        arguments="in0_p, out0_p, n, channels, length",
    )  # fmt: skip
    return sums


class AddBias(Function):
    """x + bias by channel: (N, C, h, w), (C,) -> (N, C, h, w)."""

    def execute(self, x: Var, bias: Var) -> Var:
        """Add the bias, in Jittor's terms, so that it is computed with what follows."""
        return x + bias.broadcast(x.shape, [0, 2, 3])

    def grad(self, grad: Var) -> tuple[Var, Var]:
        """Compute the gradients of both."""
        return grad, channel_sums(grad)


def add_bias(x: Var, bias: Var) -> Var:
    """Add a bias by channel: (N, C, h, w), (C,) -> (N, C, h, w); on CUDA its gradient is that of `AddBias`."""
    if jt.flags.use_cuda and x.dtype == "float32":
        y: Var = AddBias.apply(x, bias)
        return y
    return x + bias.broadcast(x.shape, [0, 2, 3])


def with_bias(conv2d: Convolution) -> Convolution:
    """Wrap Jittor's `conv2d` so that the bias is added by `add_bias`."""

    def convolve(
        x: Var, weight: Var, bias: Var | None = None, stride: Sides = 1, padding: Sides = 0,
        dilation: Sides = 1,
        groups: int = 1,
    ) -> Var:  # fmt: skip
        if groups == 1 and dilation in (1, (1, 1)):
            y = convolution(x, weight, pair(stride), pair(padding))
        else:
            y = conv2d(x, weight, None, stride, padding, dilation, groups)
        return y if bias is None else add_bias(y, bias)

    return convolve


def convolution(x: Var, weight: Var, stride: tuple[int, int], padding: tuple[int, int]) -> Var:
    """Convolve as Jittor's `conv2d` does, by the expression that it recognises and hands to cuDNN, in half the time.

    (N, C, h, w), (out, C, kh, kw) -> (N, out, h', w').
    """
    n, channels, *sides = x.shape
    out, _, *kernel = weight.shape
    taps = zip(sides, kernel, stride, padding, strict=True)
    sizes = [(side + 2 * pad - width) // step + 1 for side, width, step, pad in taps]
    flags = jt.flags
    before = flags.amp_reg
    flags.amp_reg = before | KEEP_HALF
    try:
        taken = x.reindex([n, out, channels, *sizes, *kernel], _indices(stride, padding))
        y: Var = (taken * weight.broadcast(taken.shape, [0, 3, 4])).sum([2, 5, 6])
    finally:
        flags.amp_reg = before
    return y


@functools.cache
def _indices(stride: tuple[int, int], padding: tuple[int, int]) -> list[str]:
    rows, columns = (f"i{3 + a}*{stride[a]}-{padding[a]}+i{5 + a}*1" for a in (0, 1))
    return ["i0", "i2", rows, columns]


def pair(sides: Sides) -> tuple[int, int]:
    """Return a number for both sides, or two for each, as two."""
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[1])


def by_function(execute: Callable[[Conv, Var], Var], conv2d: Convolution) -> Callable[[Conv, Var], Var]:
    """Wrap the method of Jittor's convolution layer so that it calls `conv2d`, unless it has groups."""

    def convolve(layer: Conv, x: Var) -> Var:
        if layer.groups != 1:
            return execute(layer, x)
        y: Var = conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation)
        return y

    return convolve


def with_added_bias(
    execute: Callable[[ConvTranspose, Var], Var], conv_transpose: Convolution
) -> Callable[[ConvTranspose, Var], Var]:
    """Wrap the method of Jittor's transposed convolution, without groups, so that its bias is added by `add_bias`."""

    def convolve(layer: ConvTranspose, x: Var) -> Var:
        if layer.groups != 1 or layer.bias is None:
            return execute(layer, x)
        sizes = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
        return add_bias(conv_transpose(x, layer.weight, None, *sizes), layer.bias)

    return convolve
