"""DeepLabV3+ with MobileNetV2 (Chen et al. 2018, Sandler et al. 2018), for inference: classifies every pixel.

The variant of MLPerf Mobile: output stride 16, no atrous pyramid but the image's mean together with the last map, and
a decoder of separable convolutions at a quarter of the size.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.inverted_residuals import InvertedResidual, SameConv

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.architectures.segmenters import SegmenterMeta


CHANNELS = 32  # classes it tells apart, its own "other" among them
BLOCKS = (  # expansion, outputs, stride, dilation
    (1, 16, 1, 1), (6, 24, 2, 1), (6, 24, 1, 1), (6, 32, 2, 1), (6, 32, 1, 1), (6, 32, 1, 1), (6, 64, 2, 1),
    (6, 64, 1, 1), (6, 64, 1, 1), (6, 64, 1, 1), (6, 96, 1, 1), (6, 96, 1, 1), (6, 96, 1, 1), (6, 160, 1, 1),
    (6, 160, 1, 2), (6, 160, 1, 2), (6, 320, 1, 2),
)  # fmt: skip
SKIP = 2  # the block whose wide maps, of a quarter of the size, the decoder sees as well
FEATURES = BLOCKS[-1][1]


class DeepLab(Module):
    """DeepLabV3+ with MobileNetV2; weights come from `shanshui.weights.deeplab`."""

    def __init__(self) -> None:
        self.stem = SameConv(3, 32, 3, stride=2)
        widths = [32, *(outputs for _, outputs, _, _ in BLOCKS)]
        self.blocks = nn.ModuleList([
            InvertedResidual(inputs, outputs, expansion, 3, stride, dilation)
            for inputs, (expansion, outputs, stride, dilation) in zip(widths, BLOCKS, strict=False)
        ])  # fmt: skip
        self.context = SameConv(FEATURES, 256, limit=0)
        self.skip = SameConv(widths[SKIP] * BLOCKS[SKIP][0], 48, limit=0)
        self.pooled = SameConv(FEATURES, 256, limit=0)
        self.fuse = SameConv(512, 256, limit=0)
        self.refine = nn.ModuleList([
            SameConv(304, 304, 3, depthwise=True, limit=0), SameConv(304, 256, limit=0),
            SameConv(256, 256, 3, depthwise=True, limit=0), SameConv(256, 256, limit=0),
        ])  # fmt: skip
        self.classify = SameConv(256, CHANNELS, limit=None)

    def segment(self, photos: Var) -> tuple[Var, Var]:
        """Classify every pixel of photographs.

        Args:
            photos: (N, 3, h, w) in [-1, 1], sides multiples of 32.

        Returns:
            Logits (N, 32, h, w) of the network's own classes; and features (N, 320), the mean of the last map.
        """
        x, skip = self.stem(photos), None
        for i, block in enumerate(self.blocks):
            wide = block.filtered(x)
            skip = wide if i == SKIP else skip
            x = block.narrowed(x, wide)
        n, _, h, w = x.shape
        mean = x.mean(3, keepdims=True).mean(2, keepdims=True)
        everywhere = self.pooled(mean).reindex([n, 256, h, w], ["i0", "i1", "0", "0"])
        x = enlarge(self.fuse(jt.concat([everywhere, self.context(x)], 1)), 4)
        x = jt.concat([x, self.skip(skip)], 1)
        for layer in self.refine:
            x = layer(x)
        return enlarge(self.classify(x), 4), mean.reshape(n, FEATURES)


def enlarge(x: Var, times: int) -> Var:
    """Enlarge (N, C, h, w) to (N, C, h * times, w * times), bilinear; target i is at i / times, edges are repeated."""
    n, c, h, w = x.shape
    here, after, share = taps(h, times)
    size = [n, c, h * times, w]
    upper = x.reindex(size, ["i0", "i1", "@e0(i2)", "i3"], extras=[here])
    lower = x.reindex(size, ["i0", "i1", "@e0(i2)", "i3"], extras=[after])
    x = upper + (lower - upper) * share.broadcast(size, [0, 1, 3])
    here, after, share = taps(w, times)
    size = [n, c, h * times, w * times]
    left = x.reindex(size, ["i0", "i1", "i2", "@e0(i3)"], extras=[here])
    right = x.reindex(size, ["i0", "i1", "i2", "@e0(i3)"], extras=[after])
    return left + (right - left) * share.broadcast(size, [0, 1, 2])


@functools.cache
def taps(length: int, times: int) -> tuple[Var, Var, Var]:
    """Compute for length * times targets their two sources (int32) and the weight of the second; once per size."""
    here, part = np.divmod(np.arange(length * times, dtype=np.int32), times)
    after = np.minimum(here + 1, length - 1)
    share = part.astype(np.float32) / np.float32(times)
    return jt.array(here), jt.array(after), jt.array(share).stop_grad()


def build(meta: SegmenterMeta) -> DeepLab:
    """Create the network of the built-in segmenter, in evaluation mode and without weights; it has one size only."""
    network = DeepLab()
    network.eval()
    return network
