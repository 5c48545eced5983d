"""Layer sizes of CC-FPSE's generator (Liu et al. 2019) and its training memory, computed without building it.

With c = base_channels and n halvings, level j of the pyramid over the label map (j = 0 .. n, c channels,
2^(j - n) of the size) conditions the blocks of its size:

block          head_0  G_middle_0  G_middle_1  up_0  up_1  up_2  up_3
channels out   16c     16c         16c         8c    4c    2c    c
level, n = 5   0       1           1           2     3     4     5     upsampling "normal"
level, n = 6   0       1           2           3     4     5     6     upsampling "more"
"""

from __future__ import annotations

from typing import Literal

from shanshui.storage.size import Size

Upsampling = Literal["normal", "more"]

HALVINGS = {"normal": 5, "more": 6}
BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
WIDTHS = (16, 16, 16, 16, 8, 4, 2, 1)  # of the trunk before, between and after the blocks, / base_channels
LEVELS = {"normal": (0, 1, 1, 2, 3, 4, 5), "more": (0, 1, 2, 3, 4, 5, 6)}  # of each block
TAPS = 9  # of a 3x3 kernel, row by row
HIDDEN = 128  # channels inside the small networks that predict weights and gates
BYTES = 4  # of a float32


def activation_bytes(size: Size, batch: int = 1, base_channels: int = 64, upsampling: Upsampling = "normal") -> int:
    """Compute the bytes of all convolutions' float32 outputs, which training keeps for the backward pass.

    With P(j) = H W / 4^j pixels:

        pyramid   c (3 (P(0) + ... + P(n)) - 2 P(n)): the smallest size has neither lateral nor way back
        blocks    `block_channels` times the pixels, each
        ends      16c P(n), the start, and 3 P(0), the image

    Nine shifted copies of the features are not included, since they are not stored. Norms, activations and
    gradients of all these come on top: forward and backward peak at 2.6 times as much (measured on a CPU at
    192x256, 8 to 32 channels), besides weights, their gradients and moments, and the discriminators.

    Args:
        size: of the label maps.
        batch: images at a time.
        base_channels: c (64 in the paper).
        upsampling: "normal" for n = 5, "more" for n = 6.
    """
    halvings = HALVINGS[upsampling]
    pixels = [size.pixels // 4**j for j in range(halvings + 1)]
    numbers = base_channels * (3 * sum(pixels) - 2 * pixels[halvings])
    for fin, fout, level in zip(WIDTHS, WIDTHS[1:], LEVELS[upsampling], strict=False):
        numbers += block_channels(fin * base_channels, fout * base_channels) * pixels[halvings - level]
    numbers += WIDTHS[0] * base_channels * pixels[halvings] + 3 * pixels[0]
    return BYTES * numbers * batch


def block_channels(fin: int, fout: int) -> int:
    """Count the channels of all convolutions' outputs in a block from fin to fout channels."""
    predicted = 4 * HIDDEN + TAPS * (fin + fout) + 2 * fout  # weights and gates
    applied = fin + fout + 2 * fout  # depthwise and 1x1
    shortcut = HIDDEN + 2 * fin + fout if fin != fout else 0
    return predicted + applied + shortcut
