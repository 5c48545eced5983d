"""A small U-Net (Ronneberger et al. 2015) that segments photographs, built to be cheap on a CPU.

No layer works at full size: a strided convolution halves the image first, and the last one computes the
logits of 2x2 pixels at once (sub-pixel convolution, Shi et al. 2016). Skips are added, not concatenated (LinkNet,
Chaurasia and Culurciello 2017), which leaves a third of the multiplications.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.norms import BatchNorm
from shanshui.nn.resize import upsample2

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.architectures.segmenters import SegmenterMeta


HALVINGS = 4


class Layer(Module):
    """Convolution, batch norm with scale and shift, ReLU: (N, inputs, h, w) -> (N, outputs, h', w')."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        self.conv = nn.Conv(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = BatchNorm(outputs)
        self.scale = jt.ones((1, outputs, 1, 1))
        self.shift = jt.zeros((1, outputs, 1, 1))

    def execute(self, x: Var) -> Var:
        """Apply the layer to x (N, inputs, h, w)."""
        return nn.relu(self.norm(self.conv(x)) * self.scale + self.shift)


class UNet(Module):
    """U-Net with four halvings and three doublings, with skip connections.

    Args:
        num_classes: classes of the label maps.
        channels: width at half size; it doubles with every further halving.
    """

    def __init__(self, num_classes: int, channels: int) -> None:
        self.num_classes = num_classes
        widths = [channels * 2**i for i in range(HALVINGS)]
        self.down = nn.ModuleList([
            nn.Sequential(Layer(inputs, outputs, stride=2), Layer(outputs, outputs))
            for inputs, outputs in zip([3, *widths], widths, strict=False)
        ])  # fmt: skip
        steps = list(zip(widths[::-1], widths[-2::-1], strict=False))
        self.narrow = nn.ModuleList([Layer(deep, skip, kernel=1) for deep, skip in steps])
        self.merge = nn.ModuleList([Layer(skip, skip) for _, skip in steps])
        self.head = nn.Conv(channels, 4 * num_classes, 1)

    def segment(self, photos: Var) -> tuple[Var, Var]:
        """Classify every pixel of photographs.

        Args:
            photos: (N, 3, h, w) in [-1, 1], sides multiples of 16.

        Returns:
            Logits (N, num_classes, h, w), and the deepest features averaged over the image, (N, 8 * channels).
        """
        levels = []
        x = photos
        for down in self.down:
            x = down(x)
            levels.append(x)
        features = x.mean(3).mean(2)  # (N, 8 * channels)
        for skip, narrow, merge in zip(levels[-2::-1], self.narrow, self.merge, strict=True):
            x = merge(upsample2(narrow(x)) + skip)
        return spread(self.head(x), self.num_classes), features


def spread(x: Var, channels: int) -> Var:
    """Rearrange (N, 4 * channels, h, w) to (N, channels, 2h, 2w): every fourth of the channels is one pixel of 2x2."""
    n, _, h, w = x.shape
    return x.reindex([n, channels, 2 * h, 2 * w], ["i0", f"(i2%2*2+i3%2)*{channels}+i1", "i2/2", "i3/2"])


def build(meta: SegmenterMeta) -> UNet:
    """Create the network of a segmenter's metadata, with fresh weights."""
    return UNet(len(meta["classes"]), meta["channels"])
