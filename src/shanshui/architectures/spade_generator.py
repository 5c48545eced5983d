"""The generator of SPADE (GauGAN; Park et al. 2019), and with other modulations that of CLADE.

With c = base_channels (h, w are the start's size, C channels):

    block       fc   head_0  G_middle_0  G_middle_1  up_0  up_1  up_2  up_3  up_4
    channels    16c  16c     16c         16c         8c    4c    2c    c     c/2
    "normal"    1    1       2           2           4     8     16    32    -      x (h, w)
    "more"      1    1       2           4           8     16    32    64    -
    "most"      1    1       2           4           8     16    32    64    128

fc computes the first features from the label map itself, reduced to (h, w), or from a style vector z.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, get_args

from shanshui.backend.device import distinct_patches
from shanshui.backend.lazy import Module, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.channel_groups import Plan, part_of_plan
from shanshui.nn.condition import Condition, class_index
from shanshui.nn.patch_spade import PatchPyramid
from shanshui.nn.resize import nearest, upsample2
from shanshui.nn.spade_block import BlockKind, ModulatedResBlock, activate
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


Upsampling = Literal["normal", "more", "most"]

HALVINGS: dict[str, int] = dict(zip(get_args(Upsampling), (5, 6, 7), strict=True))
BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4")
WIDTHS = (32, 32, 32, 32, 16, 8, 4, 2, 1)  # channels / (base_channels / 2), before and after each block


def start_size(size: Size, upsampling: str) -> Size:
    """Compute the size of the first features of an image.

    Raises:
        ShanshuiError: a side is no multiple of the doublings. Rounded, the start would give an image
            of another size (192x256 under "most" one of 256x256).
    """
    step = 2 ** HALVINGS[upsampling]
    if any(side % step for side in size) or min(size) < step:
        raise ShanshuiError(
            f"images of {size}",
            f'sides that are multiples of {step}: upsampling "{upsampling}" doubles its first features '
            f"{HALVINGS[upsampling]} times",
            "resize the label maps, or take another upsampling",
        )
    return size.divided(step)


class SPADEGenerator(Module):
    """(segmap[, z]) -> image (N, 3, H, W) in [-1, 1].

    Args:
        kind: options of the blocks.
        base_channels: c above, even for "most".
        upsampling: how often the first features are doubled.
        z_dim: length of the style vector to start from; None starts from the label map.
        size: of the images, which a start from z fixes.
        plan: channels of groups of which some were removed.

    Raises:
        ShanshuiError: no start of whole numbers gives `size`; base_channels is odd where it is halved.
    """

    def __init__(
        self, kind: BlockKind, base_channels: int = 64, upsampling: Upsampling = "normal", *,
        z_dim: int | None = None, size: Size | None = None, plan: Plan | None = None,
    ) -> None:  # fmt: skip
        if (z_dim is None) != (size is None):
            raise ValueError("z_dim and size belong together")
        if upsampling == "most" and base_channels % 2:
            raise ShanshuiError(f'base_channels {base_channels} with upsampling "most"', "an even number")
        self.kind, self.upsampling, self.z_dim, self.size = kind, upsampling, z_dim, size
        self.names = BLOCKS if upsampling == "most" else BLOCKS[:-1]
        self.single = {"head_0", "G_middle_1"} if upsampling == "normal" else {"head_0"}
        channels = [base_channels * width // 2 for width in WIDTHS]
        if z_dim is None or size is None:
            self.fc: nn.Conv | nn.Linear = nn.Conv(kind.num_classes + kind.edges, channels[0], 3, padding=1)
        else:
            h, w = start_size(size, upsampling)
            self.fc = nn.Linear(z_dim, channels[0] * h * w)
        for name, (fin, fout) in zip(self.names, itertools.pairwise(channels), strict=False):
            setattr(self, name, ModulatedResBlock(fin, fout, kind, part_of_plan(plan, name)))
        self.conv_img = nn.Conv(channels[len(self.names)], 3, 3, padding=1)

    def execute(
        self, segmap: Var, z: Var | None = None, positions: Var | None = None, patches: PatchPyramid | None = None
    ) -> Var:
        """Generate images.

        Args:
            segmap: (N, num_classes, H, W), one-hot, all zero where there is no class; with edges one channel
                more, the last.
            z: (N, z_dim), style vectors, for a generator that starts from them.
            positions: (N, 2, H, W), offsets within each region, for CLADE-ICPE.
            patches: by size the segmap's distinct patches, where computing with them is faster; the
                result is the same.

        Returns:
            (N, 3, H, W) in [-1, 1].

        Raises:
            ShanshuiError: the segmap's size is not the one trained for, or has no start of whole numbers.
        """
        for _, x in self.trace(segmap, z, positions, patches):
            last = x
        return self.conv_img(activate(last, self.kind.activation)).tanh()

    def trace(
        self, segmap: Var, z: Var | None = None, positions: Var | None = None, patches: PatchPyramid | None = None
    ) -> Iterator[tuple[str, Var]]:
        """Yield name and output of fc and of each block in turn."""
        self._check(segmap, z, positions)
        x = self.start(segmap, z)  # (N, 16c, h, w)
        yield "fc", x
        whole, condition = self.condition(segmap, positions), None
        for name in self.names:
            x = x if name in self.single else upsample2(x)
            if condition is None or name not in self.single:
                condition = whole.at(Size.of_maps(x), patches or {})
            x = getattr(self, name)(x, condition)
            yield name, x

    def start(self, segmap: Var, z: Var | None) -> Var:
        """Compute the first features (N, 16c, h, w)."""
        size = start_size(Size.of_maps(segmap), self.upsampling)
        if z is None:
            return self.fc(nearest(segmap, size))
        return self.fc(z).reshape(z.shape[0], -1, *size)

    def condition(self, segmap: Var, positions: Var | None) -> Condition:
        """Collect the inputs that modulate the features, at full size."""
        kind = self.kind
        index = None if kind.modulation == "spade" else class_index(segmap[:, : kind.num_classes])
        return Condition(segmap, segmap[:, kind.num_classes :] if kind.edges else None, positions, index)

    def patch_sizes(self, size: Size) -> list[Size]:
        """List the sizes at which `execute` can use `patches`, if its layers depend on labels nearby alone."""
        kind = self.kind
        if kind.modulation != "spade" or kind.kernel != 3 or kind.edges or not distinct_patches(kind.norm):
            return []
        return [size.divided(2**i) for i in range(HALVINGS[self.upsampling] + 1)]

    def _check(self, segmap: Var, z: Var | None, positions: Var | None) -> None:
        wanted, shape = self.kind.num_classes + self.kind.edges, tuple(segmap.shape)
        if self.size not in (None, Size.of_maps(segmap)):
            raise ShanshuiError(
                f"a label map of {Size.of_maps(segmap)}",
                f"{self.size}: a generator that starts from a style vector makes images of one size",
            )
        if shape[1] != wanted:
            raise ValueError(f"a segmap of {shape[1]} channels for a generator with {wanted}")
        if (z is None) != (self.z_dim is None) or (positions is None) != (self.kind.modulation != "clade_icpe"):
            raise ValueError("z and positions are for generators that were built for them, and needed there")
