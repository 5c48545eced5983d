"""Discriminators of APF-GAN: one per output size, scoring patches of label map and image together.

D_l is a patch discriminator with l more halvings in front, so that all of them end in the same layers.
While the output grows, the largest image goes to the highest active D_l and each next one gets it halved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, jt, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.label_conv import convolve
from shanshui.nn.norm_kernels import usable
from shanshui.nn.norms import instance_norm
from shanshui.nn.resize import bilinear, halve
from shanshui.nn.small_kernels import BiasedActivation, SplitInputs, halves
from shanshui.nn.spade import SLOPE, leaky_relu
from shanshui.nn.spectral_norm import conv
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


Features = list[list["Var"]]

STRIDES = (2, 2, 2, 1)  # of model_0 .. model_3
WIDEST = 512


class PatchDiscriminator(Module):
    """D_l: from-RGB, l extra blocks, four blocks, score. All convolutions are 4x4 with padding 2.

    With c = base_channels: from_rgb_l gives c / 2^l channels, extra_l .. extra_1 halve the size and double
    the width up to c, model_0 .. model_3 double it (to 512 at most), model_4 gives the score per patch.
    from_rgb_{l-1} is used while D_l fades in.

    Args:
        num_classes: channels of the one-hot label map.
        base_channels: c above, divisible by 2^extra.
        extra: l above.
        spectral_norm: normalise the convolutions between from-RGB and score.
    """

    def __init__(self, num_classes: int, base_channels: int, extra: int, spectral_norm: bool = False) -> None:
        self.extra = extra
        for i in range(extra, max(extra - 2, -1), -1):
            setattr(self, f"from_rgb_{i}", nn.Conv(num_classes + 3, base_channels >> i, 4, padding=2))
        for i in range(extra, 0, -1):
            setattr(self, f"extra_{i}", conv(
                base_channels >> i, base_channels >> (i - 1), 4,
                stride=2, padding=2, bias=False, spectral_norm=spectral_norm,
            ))  # fmt: skip
        widths = [min(base_channels << i, WIDEST) for i in range(len(STRIDES) + 1)]
        for i, stride in enumerate(STRIDES):
            setattr(self, f"model_{i}", conv(
                widths[i], widths[i + 1], 4,
                stride=stride, padding=2, bias=False, spectral_norm=spectral_norm,
            ))  # fmt: skip
        self.model_4 = nn.Conv(widths[-1], 1, 4, padding=2)

    def execute(self, segmap: Var, image: Var, alpha: float = 0.0) -> list[Var]:
        """Compute the feature maps after from-RGB (or after the blend), the score last: l + 5, or l + 4 in a fade.

        Args:
            segmap: (N, num_classes, h, w).
            image: (k * N, 3, h, w), k images per label map: all first ones, then all second ones.
            alpha: above 0, weight of the first extra block against the half-size image.
        """
        blocks = [f"extra_{i}" for i in range(self.extra, 0, -1)]
        blocks += [f"model_{i}" for i in range(len(STRIDES))]
        x = self.from_rgb(self.extra, segmap, image)
        if alpha > 0:
            half = Size.of_maps(image).divided(2)
            small = self.from_rgb(self.extra - 1, bilinear(segmap, half), bilinear(image, half))
            x = alpha * self.block(blocks.pop(0), x) + (1 - alpha) * small
        features = []
        for name in blocks:
            x = self.block(name, x)
            features.append(x)
        return [*features, self.model_4(x)]

    def block(self, name: str, x: Var) -> Var:
        """Apply the convolution `name`, instance norm and a leaky ReLU."""
        return instance_norm(getattr(self, name)(x), SLOPE)

    def from_rgb(self, i: int, segmap: Var, image: Var) -> Var:
        """Apply the first layer for images of 1/2^(l-i) of the size: (k * N, base_channels / 2^i, h + 1, w + 1).

        The convolution of the concatenated label map and image, as a sum: the label map's part is the same
        for the k images, and needs no gradient.
        """
        layer = getattr(self, f"from_rgb_{i}")
        of_labels, of_colours = split_inputs(layer.weight, 3)
        labels = convolve(segmap, of_labels, padding=2)  # (N, C, h + 1, w + 1)
        if usable(image):
            return paired(nn.conv2d(image, of_colours, padding=2), labels, layer.bias, SLOPE)
        colours = nn.conv2d(image, of_colours, layer.bias, padding=2)  # (k * N, C, h + 1, w + 1)
        pairs = colours.reshape(-1, *labels.shape) + labels  # (k, N, C, h + 1, w + 1)
        return leaky_relu(pairs.reshape(colours.shape))


def split_inputs(weight: Var, last: int) -> tuple[Var, Var]:
    """Split weights (out, in, k, k) into those of the first inputs and of the last ones."""
    if usable(weight):
        first, second = SplitInputs(last)(weight)
        return first, second
    return weight[:, :-last], weight[:, -last:]


def paired(colours: Var, labels: Var, bias: Var | None, slope: float) -> Var:
    """Add labels (N, C, h, w) to each of k batches in colours (k * N, C, h, w), and a bias; apply a leaky ReLU."""
    y: Var = BiasedActivation(slope)(colours, labels, bias)
    return y


def by_batch(outputs: Features, count: int, n: int) -> list[Features]:
    """Split the maps of `count` batches of n images, computed together: for each batch what the discriminators gave."""
    if not usable(outputs[0][0]):  # on a CPU slices decide how later sums are rounded
        return [[[f[k * n : (k + 1) * n] for f in maps] for maps in outputs] for k in range(count)]
    if count == 1:
        return [outputs]
    assert count == 2
    split = [[halves(f) for f in maps] for maps in outputs]
    return [[[pair[k] for pair in maps] for maps in split] for k in (0, 1)]


def together(images: Sequence[Var]) -> Var:
    """Concatenate batches of images; on a GPU one alone is not copied."""
    return images[0] if jt.flags.use_cuda and len(images) == 1 else jt.concat(images, 0)


class Discriminator(Module):
    """The progressive discriminators D_0 .. D_{count - 1}.

    Args:
        num_classes: channels of the one-hot label map.
        base_channels: width of D_0's first layer, divisible by 2^(count - 1) (64 in APF-GAN).
        count: number of discriminators.
        spectral_norm: normalise the inner convolutions.
        reverse_in_full: at the last level give the largest image to D_0 and the smallest to the highest
            one, as APF-GAN does; otherwise keep the order of the levels before.
        pool_counts_padding: count the padding when images are halved between discriminators.

    Raises:
        ShanshuiError: `count` is below 1, or does not divide `base_channels` as said.
    """

    def __init__(
        self, num_classes: int, base_channels: int, count: int = 4, *, spectral_norm: bool = False,
        reverse_in_full: bool = True, pool_counts_padding: bool = False,
    ) -> None:  # fmt: skip
        if count < 1 or base_channels % 2 ** (count - 1):
            raise ShanshuiError(
                f"{count} discriminators with base_channels {base_channels}",
                f"base_channels divisible by {2 ** (max(count, 1) - 1)}, which is 2^(discriminators - 1)",
            )
        self.count = count
        self.reverse_in_full = reverse_in_full
        self.pool_counts_padding = pool_counts_padding
        self.discriminators = nn.ModuleList(
            [PatchDiscriminator(num_classes, base_channels, extra, spectral_norm) for extra in range(count)]
        )

    def execute(self, segmap: Var, *images: Var, level: int | None = None, alpha: float = 0.0) -> list[Features]:
        """Score one or several batches of images of the same label maps, in one pass.

        Args:
            segmap: (N, num_classes, h, w), the images' size; soft values allowed.
            images: each (N, 3, h, w) in [-1, 1]: the fakes, or fakes and photographs.
            level: 0 .. count - 1: D_0 .. D_level are active; None is the last level (the full mode).
            alpha: above 0, D_{level + 1} is active too, fading in with this weight.

        Returns:
            For every batch of images one list per active discriminator, the one that is given the largest
            image first: its feature maps, then its score (N, 1, h', w').
        """
        level = self.count - 1 if level is None else level
        if not 0 <= level <= self.count - 1 - (alpha > 0):
            raise ValueError(f"level {level} with alpha {alpha} for {self.count} discriminators")
        order = list(range(level + (alpha > 0), -1, -1))
        if level == self.count - 1 and self.reverse_in_full:
            order.reverse()
        n, image = segmap.shape[0], together(images)  # (k * N, 3, h, w)
        outputs = []
        for i, which in enumerate(order):
            if i > 0:
                segmap, image = (halve(x, self.pool_counts_padding) for x in (segmap, image))
            outputs.append(self.discriminators[which](segmap, image, alpha if i == 0 else 0.0))
        return by_batch(outputs, len(images), n)

    def grow(self, level: int) -> None:
        """Copy to D_{level + 1} the weights of D_level in all layers both have; its two newest layers stay.

        Call it when D_{level + 1} begins to fade in, before the first step (APF-GAN repeats it before every
        forward pass of that epoch, which undoes what the shared layers learn in it).
        """
        source = self.discriminators[level].state_dict()
        target = self.discriminators[level + 1].state_dict()
        for name in source.keys() & target.keys():
            target[name].update(source[name].detach())  # else D_level gets its gradients too
