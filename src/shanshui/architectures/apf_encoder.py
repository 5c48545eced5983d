"""Mask encoder E of APF-GAN: the label map, halved until it is the generator's first feature map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, jt
from shanshui.errors import ShanshuiError
from shanshui.nn.norms import instance_norm
from shanshui.nn.spade import SLOPE, leaky_relu
from shanshui.nn.spectral_norm import conv, layer_of_labels

if TYPE_CHECKING:
    from jittor import Var


WIDTHS = {6: (1, 2, 4, 8, 8, 16), 5: (1, 2, 4, 8, 16)}  # channels / base_channels after each halving


class MaskEncoder(Module):
    """One-hot label map (N, num_classes, H, W) -> z (N, 16 * base_channels, H / 2^halvings, W / 2^halvings).

    `halvings` times: 3x3 convolution with stride 2, instance norm, leaky ReLU. Nothing is sampled.

    Args:
        num_classes: channels of the one-hot label map.
        base_channels: channels after the first layer (64 in APF-GAN).
        halvings: 6 as in APF-GAN, or 5 for sides that are multiples of 32 only.
        spectral_norm: normalise all convolutions.

    Raises:
        ShanshuiError: `halvings` is another number.
    """

    def __init__(self, num_classes: int, base_channels: int, halvings: int = 6, spectral_norm: bool = False) -> None:
        if halvings not in WIDTHS:
            raise ShanshuiError(f"{halvings} halvings", "5 or 6")
        self.halvings = halvings
        channels = [num_classes, *(base_channels * width for width in WIDTHS[halvings])]
        for i in range(halvings):
            setattr(self, f"layer{i + 1}", conv(
                channels[i], channels[i + 1], 3, stride=2, padding=1, bias=False, spectral_norm=spectral_norm
            ))  # fmt: skip

    def execute(self, segmap: Var) -> Var:
        """Encode segmap (N, num_classes, H, W) as z (N, 16 * base_channels, H / 2^halvings, W / 2^halvings)."""
        if jt.flags.use_cuda:  # where the activation is part of the norm's kernel
            x = segmap
            for i in range(1, self.halvings + 1):
                x = instance_norm(getattr(self, f"layer{i}")(x), SLOPE)
            return x
        *_, (_, last) = self.trace(segmap)
        return leaky_relu(last)

    def trace(self, segmap: Var) -> Iterator[tuple[str, Var]]:
        """Yield name and normalised output, before its activation, of each layer in turn."""
        x = segmap
        for i in range(1, self.halvings + 1):
            layer = getattr(self, f"layer{i}")
            x = instance_norm(layer(x) if i > 1 else layer_of_labels(layer, x))  # (N, C_i, H / 2^i, W / 2^i)
            yield f"layer{i}", x
            x = leaky_relu(x)
