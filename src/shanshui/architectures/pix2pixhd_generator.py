"""The global generator of pix2pixHD (Wang et al. 2018, section 3.2 and appendix), the baseline of the SPADE paper.

With c = base_channels: a 7x7 convolution to c channels, `halvings` convolutions with stride 2 that double the
width, residual blocks at the smallest size, as many transposed convolutions back, a 7x7 convolution to RGB. The
label map is an input of the first layer only, so that normalisation can remove its information.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.lazy import Module, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.channel_groups import ChannelGroup, Plan, middle_group, part_of_plan, statistics
from shanshui.nn.norms import NormKind, parameter_free
from shanshui.nn.resize import pick_pixels
from shanshui.nn.spade_block import convolution

if TYPE_CHECKING:
    from jittor import Var


WIDE = 7  # side of the first and the last convolution


class GlobalGenerator(Module):
    """segmap -> image (N, 3, H, W) in [-1, 1].

    Args:
        channels: of the segmap, edges counted.
        base_channels: c above.
        halvings: how often the size is halved and doubled again.
        blocks: residual blocks in between.
        norm: how features are standardised, after every convolution but the last.
        spectral_norm: normalise the convolutions too, but for the transposed and the last one.
        plan: channels inside of residual blocks, where some were removed.
    """

    def __init__(
        self, channels: int, base_channels: int = 64, halvings: int = 4, blocks: int = 9, *,
        norm: NormKind = "instance", spectral_norm: bool = False, plan: Plan | None = None,
    ) -> None:  # fmt: skip
        conv = convolution(spectral_norm)
        self.halvings, self.blocks = halvings, blocks
        widths = [base_channels << i for i in range(halvings + 1)]
        self.norm = nn.ModuleList([parameter_free(norm, width) for width in (*widths, *widths[-2::-1])])
        self.wide_in = conv(channels, widths[0], WIDE)
        for i in range(halvings):
            setattr(self, f"down_{i}", conv(widths[i], widths[i + 1], 3, stride=2, padding=1))
            up = nn.ConvTranspose(widths[-1 - i], widths[-2 - i], 3, stride=2, padding=1, output_padding=1)
            setattr(self, f"up_{i}", up)
        for i in range(blocks):
            setattr(self, f"block_{i}", PlainResBlock(widths[-1], conv, norm, part_of_plan(plan, f"block_{i}")))
        self.wide_out = nn.Conv(widths[0], 3, WIDE)

    def execute(self, segmap: Var) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1].

        Args:
            segmap: (N, channels, H, W), sides multiples of 2^halvings and at least 2 * 2^halvings.

        Raises:
            ShanshuiError: other sides.
        """
        step = 2**self.halvings
        if any(side % step or side < 2 * step for side in segmap.shape[2:]):
            raise ShanshuiError(
                f"a label map {segmap.shape[3]} wide and {segmap.shape[2]} high",
                f"sides that are multiples of {step}, at least {2 * step}",
                "resize the label maps",
            )
        norms = iter(self.norm)
        x = nn.relu(next(norms)(self.wide_in(reflect(segmap, WIDE // 2))))  # (N, c, H, W)
        for i in range(self.halvings):
            x = nn.relu(next(norms)(getattr(self, f"down_{i}")(x)))  # (N, c * 2^(i + 1), H / 2^(i + 1), ...)
        for i in range(self.blocks):
            x = getattr(self, f"block_{i}")(x)
        for i in range(self.halvings):
            x = nn.relu(next(norms)(getattr(self, f"up_{i}")(x)))
        return self.wide_out(reflect(x, WIDE // 2)).tanh()


class PlainResBlock(Module):
    """Residual block x + norm(conv(relu(norm(conv(x))))) of (N, C, h, w), h and w at least 2.

    The convolutions are 3x3, with reflected borders.

    Args:
        channels: C.
        conv: class of the convolutions.
        norm: how features are standardised.
        plan: `middle`, the channels between the convolutions, where some were removed.
    """

    def __init__(self, channels: int, conv: type[nn.Conv], norm: NormKind, plan: Plan | None = None) -> None:
        middle = (plan or {}).get("middle", channels)
        self.conv_0, self.conv_1 = conv(channels, middle, 3), conv(middle, channels, 3)
        self.norm_0, self.norm_1 = parameter_free(norm, middle), parameter_free(norm, channels)

    def execute(self, x: Var) -> Var:
        """Apply the block to x (N, C, h, w)."""
        y = nn.relu(self.norm_0(self.conv_0(reflect(x, 1))))
        return x + self.norm_1(self.conv_1(reflect(y, 1)))

    def channel_groups(self) -> list[ChannelGroup]:
        """List the channels that can be removed."""
        return [middle_group(self, "norm_0", statistics())]


def reflect(x: Var, margin: int) -> Var:
    """Pad (N, C, h, w) by `margin` on all sides, mirrored at the border pixels, which are not repeated."""
    rows, columns = (np.pad(np.arange(side), margin, mode="reflect") for side in x.shape[2:])
    return pick_pixels(x, rows, columns)
