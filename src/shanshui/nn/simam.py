"""SimAM (Yang et al. 2021): parameter-free attention per pixel and channel.

"SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks", ICML 2021, equation 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.nn.norms import mean

if TYPE_CHECKING:
    from jittor import Var

REGULARISER = 1e-4  # lambda of the paper


def simam(x: Var) -> Var:
    """Scale every value of (N, C, h, w) by the sigmoid of how far it stands out within its channel.

    With d = (x - mean)^2 and its sum over the n + 1 pixels of a channel:
    x * sigmoid(d / (4 * (sum(d) / n + lambda)) + 1/2). A channel of one value is scaled by sigmoid(1/2).
    """
    pixels = x.shape[2] * x.shape[3]
    squares = (x - mean(x, [2])).sqr()  # (N, C, h, w)
    variance = mean(squares, [2]) * (pixels / max(pixels - 1, 1))  # (N, C, 1, 1)
    return x * (squares / (4 * (variance + REGULARISER)) + 0.5).sigmoid()
