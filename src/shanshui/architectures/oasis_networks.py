"""Networks of OASIS: a generator with noise at every pixel, and a discriminator that segments.

Schönfeld et al. 2021, "You Only Need Adversarial Supervision for Semantic Image Synthesis". The discriminator
classifies every pixel as one of the classes or as generated, so that the label map supervises it.
Their losses are in `nn.oasis_losses`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, jt, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.channel_groups import Plan, part_of_plan
from shanshui.nn.resize import mean_pool, nearest, upsample2
from shanshui.nn.spade import SPADEResBlock, leaky_relu
from shanshui.nn.spectral_norm import conv
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


WIDTHS = (16, 16, 16, 8, 4, 2, 1)  # of G before, between and after its blocks, / base_channels
STARTS_AT = 32  # G starts at this part of the size
DOWN = (2, 2, 4, 4, 8, 8)  # channels / base_channels after each block on D's way down
UP = (8, 4, 4, 2, 2, 1)  # and on its way up


class OasisGenerator(Module):
    """(segmap, noise) -> image: SPADE blocks, noise concatenated to the label map wherever that is an input.

    Args:
        num_classes: channels of the one-hot label map.
        base_channels: width of the last block (64 in the paper).
        noise_channels: length of the noise at a pixel (64 in the paper); 0 for none.
        spade_hidden: inner width of the SPADE layers.
        spectral_norm: normalise the convolutions of the blocks.
        plan: channels of groups of which some were removed.
    """

    def __init__(
        self, num_classes: int, base_channels: int, *, noise_channels: int = 64, spade_hidden: int = 128,
        spectral_norm: bool = True, plan: Plan | None = None,
    ) -> None:  # fmt: skip
        self.noise_channels = noise_channels
        condition = num_classes + noise_channels
        widths = [base_channels * width for width in WIDTHS]
        self.fc = nn.Conv(condition, widths[0], 3, padding=1)
        self.body = nn.ModuleList([
            SPADEResBlock(
                fin, fout, condition, spade_hidden, seg_noise=False, spectral_norm=spectral_norm,
                plan=part_of_plan(plan, f"body.{i}"),
            )
            for i, (fin, fout) in enumerate(itertools.pairwise(widths))
        ])  # fmt: skip
        self.conv_img = nn.Conv(widths[-1], 3, 3, padding=1)

    def execute(self, segmap: Var, noise: Var | None = None) -> Var:
        """Generate images.

        Args:
            segmap: (N, num_classes, H, W), one-hot.
            noise: standard normal, (N, noise_channels), the same at every pixel of an image; or
                (N, noise_channels, H, W), where regions or classes have noise of their own. None without.

        Returns:
            (N, 3, H, W) in [-1, 1].

        Raises:
            ShanshuiError: sides that are no multiples of 32.
        """
        _check_sides(segmap, STARTS_AT, "OASIS's generator", "it doubles its first features five times")
        if (noise is None) != (self.noise_channels == 0):
            raise ValueError(f"noise {'missing' if noise is None else 'given'} with {self.noise_channels} channels")
        condition = condition_at(segmap, noise, Size.of_maps(segmap).divided(STARTS_AT))
        x = self.fc(condition)  # (N, 16c, H / 32, W / 32)
        for i, block in enumerate(self.body):
            if i:
                x = upsample2(x)
                condition = condition_at(segmap, noise, Size.of_maps(x))
            x = block(x, condition)
        return self.conv_img(leaky_relu(x)).tanh()


def condition_at(segmap: Var, noise: Var | None, size: Size) -> Var:
    """Resize noise and label map to a size (h, w) and concatenate them: (N, noise_channels + num_classes, h, w)."""
    labels = nearest(segmap, size)
    if noise is None:
        return labels
    if noise.ndim == 2:
        noise = noise.reshape(*noise.shape, 1, 1).broadcast([*noise.shape, *size])
    return jt.concat([nearest(noise, size), labels], 1)


class OasisDiscriminator(Module):
    """Image -> logits (N, num_classes + 1, H, W): channel 0 for "generated", channel k + 1 for class k.

    Six residual blocks down, six up with skips between equal sizes, one convolution 1x1.

    Args:
        num_classes: classes of the label map.
        base_channels: width of the last block (64 in the paper).
        spectral_norm: normalise all convolutions but the last.
    """

    def __init__(self, num_classes: int, base_channels: int, *, spectral_norm: bool = True) -> None:
        down = [3, *(base_channels * width for width in DOWN)]
        up = [base_channels * width for width in UP]
        skips = [0, *down[-2:0:-1]]  # channels that come across to each block up: none, then the way down reversed
        self.body_down = nn.ModuleList([
            DownBlock(fin, fout, first=i == 0, spectral_norm=spectral_norm)
            for i, (fin, fout) in enumerate(itertools.pairwise(down))
        ])  # fmt: skip
        self.body_up = nn.ModuleList([
            UpBlock(fin + skip, fout, spectral_norm=spectral_norm)
            for fin, skip, fout in zip([down[-1], *up], skips, up, strict=False)
        ])  # fmt: skip
        self.layer_up_last = nn.Conv(up[-1], num_classes + 1, 1)

    def execute(self, image: Var) -> Var:
        """Classify the pixels of images (N, 3, H, W) in [-1, 1]: logits (N, num_classes + 1, H, W).

        Raises:
            ShanshuiError: sides that are no multiples of 64.
        """
        _check_sides(image, 2 ** len(DOWN), "OASIS's discriminator", f"it halves them {len(DOWN)} times")
        x, passed = image, []
        for block in self.body_down:
            x = block(x)
            passed.append(x)
        for i, block in enumerate(self.body_up):
            x = block(jt.concat([passed[-1 - i], x], 1) if i else x)
        return self.layer_up_last(x)


class DownBlock(Module):
    """Residual block that halves the size: (N, fin, h, w) -> (N, fout, h / 2, w / 2).

    Args:
        fin, fout: channels of input and output.
        first: the input is an image, to which the first convolution is applied without an activation.
        spectral_norm: normalise the convolutions.
    """

    def __init__(self, fin: int, fout: int, *, first: bool, spectral_norm: bool) -> None:
        self.first, self.learned_shortcut = first, fin != fout
        self.conv1 = conv(fin, fout, 3, padding=1, spectral_norm=spectral_norm)
        self.conv2 = conv(fout, fout, 3, padding=1, spectral_norm=spectral_norm)
        if self.learned_shortcut:
            self.conv_s = conv(fin, fout, 1, spectral_norm=spectral_norm)

    def execute(self, x: Var) -> Var:
        """Apply the block to x (N, fin, h, w)."""
        y = self.conv2(leaky_relu(self.conv1(x if self.first else leaky_relu(x))))
        small = mean_pool(x, 2)  # before the 1x1 convolution, which is the same as after it and a quarter of the work
        return mean_pool(y, 2) + (self.conv_s(small) if self.learned_shortcut else small)


class UpBlock(Module):
    """Residual block that doubles the size: (N, fin, h, w) -> (N, fout, 2h, 2w).

    Args:
        fin, fout: channels of input and output.
        spectral_norm: normalise the convolutions.
    """

    def __init__(self, fin: int, fout: int, *, spectral_norm: bool) -> None:
        self.learned_shortcut = fin != fout
        self.conv1 = conv(fin, fout, 3, padding=1, spectral_norm=spectral_norm)
        self.conv2 = conv(fout, fout, 3, padding=1, spectral_norm=spectral_norm)
        if self.learned_shortcut:
            self.conv_s = conv(fin, fout, 1, spectral_norm=spectral_norm)

    def execute(self, x: Var) -> Var:
        """Apply the block to x (N, fin, h, w)."""
        y = self.conv2(leaky_relu(self.conv1(upsample2(leaky_relu(x)))))
        return y + upsample2(self.conv_s(x) if self.learned_shortcut else x)


def _check_sides(x: Var, step: int, whose: str, why: str) -> None:
    size = Size.of_maps(x)
    if any(side % step for side in size):
        raise ShanshuiError(f"{size} for {whose}", f"sides that are multiples of {step}: {why}")
