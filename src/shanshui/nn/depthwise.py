"""Depthwise convolution whose kernel is compiled once, whatever the number of channels.

On a CPU, Jittor compiles its own grouped convolution again for every number of groups: a network with forty of them
would take minutes to start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Conv, jt, nn

if TYPE_CHECKING:
    from jittor import Var


def by_channel(x: Var, weight: Var) -> Var:
    """Convolve every channel of x (N, C, h, w) with its own kernel, weight (C, 1, k, k), k odd, with zero padding."""
    n, c, h, w = x.shape
    side = weight.shape[2]
    shifts = ["i0", "i1", f"i3+i2/{side}-{side // 2}", f"i4+i2%{side}-{side // 2}"]
    shifted = x.reindex([n, c, side * side, h, w], shifts)  # never stored: one loop with the product and the sum
    return (shifted * weight.reshape(1, c, side * side, 1, 1)).sum(2)


class DepthwiseConv(Conv):
    """Depthwise convolution that keeps the size: (N, C, h, w) -> (N, C, h, w), with bias.

    Args:
        channels: C.
        kernel: side of the kernels, odd.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def execute(self, x: Var) -> Var:
        """Convolve x (N, C, h, w)."""
        if jt.flags.use_cuda and self.groups > 1:
            return nn.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        y = by_channel(x, self.weight)
        return y if self.bias is None else y + self.bias.reshape(1, -1, 1, 1)
