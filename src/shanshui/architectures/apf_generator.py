"""Generator G of APF-GAN: SPADE blocks that double the size, with RGB heads for the smaller sizes.

With c = base_channels and six halvings (h, w are the size of z, C channels):

    block      head_0  G_middle_0  G_middle_1  up_0  up_1  up_2  up_3  up_4
    channels   16c     16c         16c         8c    4c    2c    c     c/2
    size       1       2           2           4     8     16    32    64     x (h, w)

With five halvings there is no doubling before G_middle_0 (what SPADE calls "normal"). The full image is
computed from up_4; a head inter_conv_img.j computes a smaller one, 2^-(j+1) of the size, from an earlier block.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from shanshui.backend.device import distinct_patches
from shanshui.backend.lazy import Module, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.channel_groups import Plan, part_of_plan
from shanshui.nn.patch_spade import PatchPyramid
from shanshui.nn.resize import bilinear, nearest, upsample2
from shanshui.nn.spade import SPADEResBlock, leaky_relu
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.architectures.noise_source import Noise


MIDDLE = ("head_0", "G_middle_0", "G_middle_1")
UPS = ("up_0", "up_1", "up_2", "up_3", "up_4")


class Generator(Module):
    """(z, segmap) -> image (N, 3, H, W) in [-1, 1], at full size or at one of the smaller sizes.

    Args:
        num_classes: channels of the one-hot label map.
        base_channels: c above, even (64 in APF-GAN).
        halvings: 6 or 5, as the encoder's.
        heads: smaller output sizes with an RGB head of their own, 0..4: the number of discriminators
            less one while pretraining, 0 when only the full size is wanted.
        seg_noise: SPADE layers with noise amplitudes.
        spectral_norm: normalise the convolutions of the blocks.
        spade_hidden: inner width of the SPADE layers.
        plan: channels of groups of which some were removed.

    Raises:
        ShanshuiError: an option is out of its range.
    """

    def __init__(
        self, num_classes: int, base_channels: int, halvings: int = 6, *, heads: int = 0,
        seg_noise: bool = False, spectral_norm: bool = False, spade_hidden: int = 128,
        plan: Plan | None = None,
    ) -> None:  # fmt: skip
        if base_channels % 2 or not 0 <= heads < len(UPS) or halvings not in (5, 6):
            raise ShanshuiError(
                f"a generator with base_channels {base_channels}, {heads} heads, {halvings} halvings",
                "base_channels even, 0 to 4 heads, 5 or 6 halvings",
            )
        self.halvings, self.heads, self.seg_noise = halvings, heads, seg_noise
        self.doubled = {*UPS, "G_middle_0"} if halvings == 6 else {*UPS}
        widths = [base_channels * 2**i // 2 for i in (5, 5, 5, 5, 4, 3, 2, 1, 0)]
        for name, fin, fout in zip(MIDDLE + UPS, widths, widths[1:], strict=False):
            block = SPADEResBlock(
                fin, fout, num_classes, spade_hidden, seg_noise=seg_noise, spectral_norm=spectral_norm,
                plan=part_of_plan(plan, name),
            )  # fmt: skip
            setattr(self, name, block)
        self.out_conv_img = nn.Conv(widths[-1], 3, 3, padding=1)
        self.inter_conv_img = nn.ModuleList([nn.Conv(base_channels * 2**j, 3, 3, padding=1) for j in range(heads)])

    def execute(
        self, z: Var, segmap: Var, level: int | None = None, alpha: float = 0.0, noise: Noise | None = None,
        patches: PatchPyramid | None = None,
    ) -> Var:  # fmt: skip
        """Generate an image.

        Args:
            z: (N, 16c, H / 2^halvings, W / 2^halvings), from the encoder.
            segmap: (N, num_classes, H, W), one-hot.
            level: 0 .. heads, smallest to full size; None is full size. Level l is 2^(l - heads) of the size.
            alpha: above 0, the next level's image (twice the size) blended with the enlarged one of `level`.
            noise: (index, n, h, w) -> (n, 1, h, w), called for every SPADE layer in order (`trace`); None for
                no noise. Only for a generator with seg_noise.
            patches: by size the segmap's distinct patches, where computing with them is faster; the
                result is the same.

        Returns:
            (N, 3, H', W') in [-1, 1].

        Raises:
            ShanshuiError: the size of z times 2^halvings is not the segmap's.
        """
        level = self.heads if level is None else level
        if not 0 <= level <= self.heads - (alpha > 0):
            raise ValueError(f"level {level} with alpha {alpha} in a generator with {self.heads} heads")
        read = UPS[len(UPS) - 1 - self.heads + level]
        blocks = self.trace(z, segmap, noise, patches)
        x = next(x for name, x in blocks if name == read)  # (N, C, H', W')
        image = self.to_rgb(level, x)  # (N, 3, H', W')
        if alpha == 0:
            return image
        _, x = next(blocks)  # (N, C / 2, 2H', 2W')
        return alpha * self.to_rgb(level + 1, x) + (1 - alpha) * bilinear(image, Size.of_maps(x))

    def trace(
        self, z: Var, segmap: Var, noise: Noise | None = None, patches: PatchPyramid | None = None
    ) -> Iterator[tuple[str, Var]]:
        """Yield name and output of each block in turn; later blocks are computed only when asked for.

        SPADE layers are numbered 0, 1, ... in the order they run: block after block, and within a block
        norm_s (where the width changes), norm_0, norm_1.
        """
        self._check(z, segmap, noise)
        layers = itertools.count()
        x = z
        for name in MIDDLE + UPS:
            x = upsample2(x) if name in self.doubled else x
            n, _, h, w = x.shape
            size = Size(h, w)
            if name != "G_middle_1":  # it has the size of the block before
                labels = nearest(segmap, size)  # (N, num_classes, h, w)
            x = getattr(self, name)(x, labels, _draws(noise, layers, n, h, w), (patches or {}).get(size))
            yield name, x

    def patch_sizes(self, size: Size, level: int | None = None, alpha: float = 0.0) -> list[Size]:
        """List the sizes of features at which `execute` can use `patches`, for a segmap of that size.

        Empty where the kernels for patches cannot run.
        """
        if not distinct_patches():
            return []
        level = self.heads if level is None else level
        last = len(UPS) - 1 - self.heads + level + (alpha > 0)  # of UPS
        largest = 2 ** (len(UPS) - 1 - last)
        return [size.divided(d) for d in (2**i for i in range(self.halvings + 1)) if d >= largest]

    def to_rgb(self, level: int, x: Var) -> Var:
        """Compute an image (N, 3, h, w) in [-1, 1] from the last block of a level."""
        conv = self.out_conv_img if level == self.heads else self.inter_conv_img[self.heads - 1 - level]
        return conv(leaky_relu(x)).tanh()

    def _check(self, z: Var, segmap: Var, noise: Noise | None) -> None:
        wanted = Size(*(side * 2**self.halvings for side in Size.of_maps(z)))
        if wanted != Size.of_maps(segmap):
            raise ShanshuiError(
                f"a label map of {Size.of_maps(segmap)}",
                f"{wanted}: both sides multiples of {2**self.halvings}",
                "resize the label maps, or use fewer halvings",
            )
        if noise is not None and not self.seg_noise:
            raise ValueError("noise for a generator without seg_noise")


def _draws(noise: Noise | None, layers: Iterator[int], n: int, h: int, w: int) -> Callable[[], Var | None]:
    """Create the function that draws noise for the next SPADE layer, each time it is called."""
    return lambda: None if noise is None else noise(next(layers), n, h, w)
