"""The inception SPADE generator of CAT: SPADE's trunk, whose convolutions are sums of small parallel branches.

Jin et al. 2021, "Teachers Do More Than Teach: Compressing Image-to-Image Models". A branch goes from A to B channels
through m in between: plainly (two convolutions with a kernel k), or depthwise (1x1, depthwise with kernel k, 1x1).
Six of them, with kernels 1, 3 and 5, are added up. With fin and fout the channels of a block's input and output, and L
those of the label map:

    main path     A = fin, B = fout,          m = min(fin, fout) // 6
    modulation    A = L,   B = 2 fin (gamma and beta),    m = 128 // 6

A block modulates its input once, and not its shortcut. A plan names branches by kind and kernel: `up_1.res_3`,
`up_1.spade.dw_5`; one of width 0 does not exist. Names of arrays are those of CAT's code, which numbers the branches
that exist.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING

from shanshui.architectures.spade_generator import BLOCKS, WIDTHS, Upsampling, start_size
from shanshui.backend.lazy import Module, nn
from shanshui.nn.channel_groups import Along, ChannelGroup, Plan, part_of_plan
from shanshui.nn.depthwise import DepthwiseConv
from shanshui.nn.norms import AffineBatchNorm, BatchNorm, leaky, scaled
from shanshui.nn.resize import nearest, upsample2
from shanshui.nn.spade import leaky_relu
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


KERNELS = (1, 3, 5)
REDUCTION = 6
HIDDEN = 128  # of a SPADE layer, of which each branch has a sixth
PLAIN, DEPTHWISE = "res", "dw"  # kinds of branches


class Unit(Module):
    """Convolution, norm and ReLU: (N, A, h, w) -> (N, B, h, w), with the last two only if there is a norm.

    Args:
        conv: the convolution.
        norm: the norm; None for none.
        slope: of the activation below 0.
    """

    def __init__(self, conv: nn.Conv, norm: BatchNorm | None = None, slope: float = 0.0) -> None:
        self.conv = conv
        if norm is not None:
            self.norm = norm
        self.normed, self.slope = norm is not None, slope

    def execute(self, x: Var) -> Var:
        """Apply the layers to x (N, A, h, w)."""
        y = self.conv(x)
        return leaky(self.norm(y), self.slope) if self.normed else y


def full_widths(width: int) -> Plan:
    """Return the same width for every branch."""
    return {f"{kind}_{kernel}": width for kind in (PLAIN, DEPTHWISE) for kernel in KERNELS}


class Branches(Module):
    """Branches that are added up: (N, A, h, w) -> (N, B, h, w).

    Args:
        inputs, outputs: A and B above.
        widths: channels of each branch, as `full_widths` names them; 0 for none.
        slope: of the activations below 0.
        bare: the last convolutions have no layer around them, and depthwise ones an affine norm, as in modulations.
    """

    def __init__(self, inputs: int, outputs: int, widths: Plan, slope: float, *, bare: bool) -> None:
        def last(width: int, kernel: int) -> Module:
            conv = nn.Conv(width, outputs, kernel, padding=kernel // 2)
            return conv if bare else Unit(conv)

        def plain(width: int, kernel: int) -> Module:
            first = nn.Conv(inputs, width, kernel, padding=kernel // 2)
            return nn.Sequential(Unit(first, AffineBatchNorm(width), slope), last(width, kernel))

        def depthwise(width: int, kernel: int) -> Module:
            middle = DepthwiseConv(width, kernel)
            norm = AffineBatchNorm(width) if bare else BatchNorm(width)
            first = Unit(nn.Conv(inputs, width, 1), AffineBatchNorm(width), slope)
            return nn.Sequential(first, Unit(middle, norm, slope), last(width, 1))

        self.widths, self.bare = dict(widths), bare
        there = {kind: [k for k in KERNELS if widths[f"{kind}_{k}"]] for kind in (PLAIN, DEPTHWISE)}
        self.res_ops = nn.ModuleList([plain(widths[f"{PLAIN}_{k}"], k) for k in there[PLAIN]])
        self.dw_ops = nn.ModuleList([depthwise(widths[f"{DEPTHWISE}_{k}"], k) for k in there[DEPTHWISE]])

    def branches(self) -> list[Module]:
        """List the branches that exist."""
        return [*self.res_ops, *self.dw_ops]

    def total(self, x: Var) -> Var:
        """Add up the branches' outputs of x (N, A, h, w)."""
        return reduce(lambda a, b: a + b, (branch(x) for branch in self.branches()))

    def channel_groups(self) -> list[ChannelGroup]:
        """List the channels that can be removed: those inside of each branch, in the order of its kernels."""
        return [
            group
            for kind, layers in ((PLAIN, 2), (DEPTHWISE, 3))
            for group in branch_groups(kind, layers, self.widths, "" if self.bare else ".conv")
        ]


def branch_groups(kind: str, layers: int, widths: Plan, last: str) -> Iterator[ChannelGroup]:
    """Yield the channels inside of the branches of a kind, those that do not exist too.

    Args:
        kind: of the branches.
        layers: of each.
        widths: channels of each branch.
        last: between the name of the last layer and those of its arrays.
    """
    number = itertools.count()
    for kernel in KERNELS:
        name = f"{kind}_{kernel}"
        if not widths[name]:
            yield ChannelGroup(name, 0, (), (), "", lambda x: x)
            continue
        branch = f"{kind}_ops.{next(number)}"
        inner = [f"{branch}.{i}" for i in range(layers - 1)]
        arrays = [f"{unit}.conv.{array}" for unit in inner for array in ("weight", "bias")]
        arrays += [f"{unit}.norm.{a}" for unit in inner for a in ("weight", "bias", "running_mean", "running_var")]
        reader = f"{branch}.{layers - 1}{last}.weight"
        yield ChannelGroup(
            name, widths[name], (*map(Along, arrays), Along(reader, 1)), (reader,), f"{branch}.{layers - 1}",
            lambda x: x,
        )  # fmt: skip


class InceptionModulation(Branches):
    """Batch norm without scale and shift, then scale and shift from the label map.

    Args:
        channels: C of the features.
        condition: channels of the label map.
        widths: of the branches.
    """

    def __init__(self, channels: int, condition: int, widths: Plan) -> None:
        super().__init__(condition, 2 * channels, widths, 0.0, bare=True)
        self.channels = channels
        self.param_free_norm = BatchNorm(channels)

    def execute(self, x: Var, segmap: Var, slope: float = 1.0) -> Var:
        """Modulate x (N, C, h, w) by the label map (N, L, h, w), and apply a leaky ReLU with `slope`."""
        if not self.branches():
            return leaky(self.param_free_norm(x), slope)
        both = self.total(segmap)  # (N, 2C, h, w)
        return scaled(self.param_free_norm, x, 1 + both[:, : self.channels], both[:, self.channels :], slope)


class InceptionBlock(Branches):
    """Residual block: shortcut(x) + branches(act(modulation(x, segmap))).

    The shortcut is x, or batch norm and a 1x1 convolution where the width changes. Without a branch it is all there is.

    Args:
        fin, fout: channels of input and output.
        condition: channels of the label map.
        slope: of the activations of the main path below 0.
        plan: widths of its branches, `res_3`, and of its modulation's, `spade.res_3`, where they are not the full ones.
    """

    def __init__(self, fin: int, fout: int, condition: int, slope: float, plan: Plan | None = None) -> None:
        plan = plan or {}
        own = full_widths(min(fin, fout) // REDUCTION)
        modulation = full_widths(HIDDEN // REDUCTION)
        super().__init__(fin, fout, {name: plan.get(name, width) for name, width in own.items()}, slope, bare=False)
        self.slope, self.learned_shortcut = slope, fin != fout
        widths = part_of_plan(plan, "spade")
        self.spade = InceptionModulation(fin, condition, {n: widths.get(n, width) for n, width in modulation.items()})
        if self.learned_shortcut:
            self.shortcut = nn.Sequential(AffineBatchNorm(fin), Unit(nn.Conv(fin, fout, 1, bias=False)))

    def execute(self, x: Var, segmap: Var) -> Var:
        """Apply the block to x (N, fin, h, w) with a label map (N, L, h, w): (N, fout, h, w)."""
        shortcut = self.shortcut(x) if self.learned_shortcut else x
        if not self.branches():
            return shortcut
        return shortcut + self.total(self.spade(x, segmap, self.slope))


class InceptionGenerator(Module):
    """segmap -> image (N, 3, H, W) in [-1, 1]; the trunk is that of `spade_generator`, from the label map.

    Args:
        condition: channels of the label map, edges counted.
        base_channels: c of the trunk.
        upsampling: how often the first features are doubled.
        slope: of the blocks' activations below 0.
        plan: widths of branches, where they are not the full ones.
    """

    def __init__(
        self, condition: int, base_channels: int = 64, upsampling: Upsampling = "normal", *, slope: float = 0.0,
        plan: Plan | None = None,
    ) -> None:  # fmt: skip
        self.upsampling = upsampling
        self.names = BLOCKS if upsampling == "most" else BLOCKS[:-1]
        self.single = {"head_0", "G_middle_1"} if upsampling == "normal" else {"head_0"}
        channels = [base_channels * width // 2 for width in WIDTHS]
        self.fc = nn.Conv(condition, channels[0], 3, padding=1)
        self.fc_norm = AffineBatchNorm(channels[0])
        for name, (fin, fout) in zip(self.names, itertools.pairwise(channels), strict=False):
            setattr(self, name, InceptionBlock(fin, fout, condition, slope, part_of_plan(plan, name)))
        self.conv_img = nn.Conv(channels[len(self.names)], 3, 3, padding=1)

    def execute(self, segmap: Var) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1] of label maps (N, L, H, W), one-hot, with edges one channel more.

        Raises:
            ShanshuiError: the label maps' size has no start of whole numbers.
        """
        *_, (_, x) = self.trace(segmap)
        return self.conv_img(leaky_relu(x)).tanh()

    def trace(self, segmap: Var) -> Iterator[tuple[str, Var]]:
        """Yield name and output of fc, normalised, and of each block in turn."""
        labels = nearest(segmap, start_size(Size.of_maps(segmap), self.upsampling))
        x = self.fc_norm(self.fc(labels))  # (N, 16c, h, w)
        yield "fc", x
        for name in self.names:
            if name not in self.single:
                x = upsample2(x)
                labels = nearest(segmap, Size.of_maps(x))
            x = getattr(self, name)(x, labels)
            yield name, x
