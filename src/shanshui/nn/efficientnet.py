"""EfficientNet-Lite0 (Tan and Le 2019; Google's mobile variant of 2020), a small feature network, without weights.

It has no squeeze-and-excitation, and ReLU6 for Swish. Batch normalisation is folded into the convolutions where the
weights are read (`shanshui.weights.efficientnet`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, nn
from shanshui.nn.inverted_residuals import InvertedResidual, SameConv

if TYPE_CHECKING:
    from jittor import Var


STAGES = (  # expansion, kernel, stride of the first block, outputs, blocks
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
KEPT = (0, 2, 4, 10, 15)  # the last blocks at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size
FEATURES = 1280
CLASSES = 1000
SIDE = 224  # of the images it was trained on


class EfficientNetLite0(Module):
    """EfficientNet-Lite0 with its classifier; parameters are frozen, gradients reach the images."""

    def __init__(self) -> None:
        self.stem = SameConv(3, 32, 3, stride=2)
        blocks, channels = [], 32
        for expansion, kernel, stride, outputs, count in STAGES:
            for i in range(count):
                blocks.append(InvertedResidual(channels, outputs, expansion, kernel, stride if i == 0 else 1))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(channels, FEATURES)
        self.classify = nn.Linear(FEATURES, CLASSES)
        for parameter in self.parameters():
            parameter.stop_grad()

    def maps(self, images: Var) -> list[Var]:
        """Compute the outputs of all blocks for images (N, 3, h, w) in [-1, 1]: (N, C, h / 2^i, w / 2^i) rounded up."""
        x = self.stem((images * 127.5 + 0.5) / 128.0)  # (value of 0 to 255 - 127) / 128
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def kept(self, images: Var) -> list[Var]:
        """Compute five of the maps, one of each size, for images (N, 3, h, w) in [-1, 1]."""
        maps = self.maps(images)
        return [maps[i] for i in KEPT]

    def execute(self, images: Var) -> Var:
        """Compute features (N, 1280), means over the positions, of images (N, 3, h, w) in [-1, 1]."""
        return self.head(self.maps(images)[-1]).mean(3).mean(2)
