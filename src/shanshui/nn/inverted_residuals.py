"""Layers of mobile networks: TensorFlow-style padded convolutions and inverted residual blocks.

MobileNetV2 (Sandler et al. 2018) and EfficientNet-Lite (Tan and Le 2019; Google's variant of 2020) are made of
them. Batch normalisation is folded into the convolutions when weights are read, so that these are for inference only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, jt, nn

if TYPE_CHECKING:
    from jittor import Var


def same_padding(side: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Compute the zeros before and after a side, for ceil(side / stride) outputs; TensorFlow puts the odd one after."""
    total = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
    return total // 2, total - total // 2


def padded(x: Var, rows: tuple[int, int], columns: tuple[int, int]) -> Var:
    """Pad (N, C, h, w) with zeros before and after its rows and columns."""
    n, c, h, w = x.shape
    size = [n, c, h + sum(rows), w + sum(columns)]
    return x.reindex(size, ["i0", "i1", f"i2-{rows[0]}", f"i3-{columns[0]}"])


def pointwise(x: Var, weight: Var, bias: Var) -> Var:
    """Convolve x (N, C, h, w) with weight (O, C, 1, 1) and bias (O,) as one product of matrices: (N, O, h, w).

    oneDNN's convolution takes up to fifty times as long on a CPU where C is large and the maps are small.
    """
    n, channels, h, w = x.shape
    columns = x.transpose(1, 0, 2, 3).reshape(channels, -1)  # (C, N * h * w)
    y = jt.matmul(weight.reshape(-1, channels), columns) + bias.reshape(-1, 1)
    return y.reshape(-1, n, h, w).transpose(1, 0, 2, 3)


class SameConv(Module):
    """Convolution with bias, and ReLU or ReLU6: (N, inputs, h, w) -> (N, outputs, ceil(h / stride), ceil(w / stride)).

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        kernel: side of the kernel.
        stride: step between two outputs.
        dilation: step between two taps of the kernel.
        depthwise: one filter per channel; `inputs` and `outputs` are the same.
        limit: 6 for ReLU6, 0 for ReLU, None for neither.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1, depthwise: bool = False,
        limit: int | None = 6,
    ) -> None:  # fmt: skip
        self.kernel, self.stride, self.dilation, self.limit = kernel, stride, dilation, limit
        self.groups = inputs if depthwise else 1
        self.weight = jt.zeros((outputs, inputs // self.groups, kernel, kernel))
        self.bias = jt.zeros((outputs,))

    def execute(self, x: Var) -> Var:
        """Apply the convolution to x (N, inputs, h, w)."""
        rows, columns = (same_padding(side, self.kernel, self.stride, self.dilation) for side in x.shape[2:])
        both = (rows[0], columns[0])
        if rows[0] != rows[1] or columns[0] != columns[1]:
            x, both = padded(x, rows, columns), (0, 0)
        if self.kernel == self.stride == 1 and not jt.flags.use_cuda:
            x = pointwise(x, self.weight, self.bias)
        else:
            x = nn.conv2d(x, self.weight, self.bias, self.stride, both, self.dilation, self.groups)
        if self.limit is None:
            return x
        x = x.maximum(0.0)
        return x.minimum(float(self.limit)) if self.limit else x


class InvertedResidual(Module):
    """Inverted residual block: 1x1 expansion, depthwise convolution, 1x1 projection; with a shortcut if sizes allow."""

    def __init__(
        self, inputs: int, outputs: int, expansion: int, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        hidden = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        if expansion > 1:
            self.expand = SameConv(inputs, hidden)
        self.depthwise = SameConv(hidden, hidden, kernel, stride, dilation, depthwise=True)
        self.project = SameConv(hidden, outputs, limit=None)

    def filtered(self, x: Var) -> Var:
        """Compute the wide maps (N, inputs * expansion, h', w') before the projection, of (N, inputs, h, w)."""
        return self.depthwise(self.expand(x) if hasattr(self, "expand") else x)

    def narrowed(self, x: Var, wide: Var) -> Var:
        """Compute the output (N, outputs, h', w') from the input and the maps of `filtered`."""
        y = self.project(wide)
        return y + x if self.shortcut else y

    def execute(self, x: Var) -> Var:
        """Apply the block: (N, inputs, h, w) -> (N, outputs, h', w')."""
        return self.narrowed(x, self.filtered(x))
