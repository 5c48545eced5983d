"""Discriminator of CC-FPSE: a feature pyramid over the image, compared with the label map by projection.

Liu et al. 2019, "Learning to Predict Layout-to-image Conditional Convolutions for Semantic Image Synthesis",
section 3.3. It serves any generator; only the image goes through its convolutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, jt, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.norms import InstanceNorm
from shanshui.nn.resize import area, bilinear, mean_pool
from shanshui.nn.spade import SLOPE
from shanshui.nn.spectral_norm import PairedSpectralConv
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.architectures.apf_discriminator import Features


STEP = 32  # sides are halved five times, and features of neighbouring sizes are added
WIDTHS = (1, 2, 4, 8, 8)  # channels / base_channels after each halving


class FPSEDiscriminator(Module):
    """Scores patches at 1/4, 1/8 and 1/16 of the size: realism plus fit to the label map.

    With c = base_channels: enc1 .. enc5 halve the image (c, 2c, 4c, 8c, 8c channels); lat2 .. lat5 bring them
    to 4c, added from the smallest upwards; final2 .. final4 give t (2c); and at each of their sizes

        score = tf(t) + sum over channels of seg(t) * embedding(share of each class in the patch)

    Args:
        num_classes: channels of the one-hot label map.
        base_channels: c above (64 in the paper).
        spectral_norm: normalise all convolutions but tf, seg and embedding.
    """

    lat5: Module

    feat_factor = 3 / 4  # of feature matching: `losses` divides by the three lists, the paper's code by the four maps

    def __init__(self, num_classes: int, base_channels: int, *, spectral_norm: bool = True) -> None:
        c = base_channels
        channels = [3, *(width * c for width in WIDTHS)]
        for i in range(1, 6):
            setattr(self, f"enc{i}", conv_unit(channels[i - 1], channels[i], 3, 2, spectral_norm))
        for i in range(2, 6):
            setattr(self, f"lat{i}", conv_unit(channels[i], 4 * c, 1, 1, spectral_norm))
        for i in range(2, 5):
            setattr(self, f"final{i}", conv_unit(4 * c, 2 * c, 3, 1, spectral_norm))
        self.tf = nn.Conv(2 * c, 1, 1)
        self.seg = nn.Conv(2 * c, 2 * c, 1)
        self.embedding = nn.Conv(num_classes, 2 * c, 1)

    def execute(self, segmap: Var, *images: Var, level: int | None = None, alpha: float = 0.0) -> list[Features]:
        """Score one or several batches of images of the same label maps, in one pass, as `Discriminator` does.

        Args:
            segmap: (N, num_classes, h, w), the images' size; soft values allowed.
            images: each (N, 3, h, w) in [-1, 1]; at full size, sides are multiples of 32.
            level: of a progressive schedule, None at full size. Images of all sizes are scored alike; where a side is
                no multiple of 32, its halves are rounded up.
            alpha: of the schedule; it has no effect.

        Returns:
            For every batch of images three lists, at 1/4, 1/8 and 1/16 of the size: feature maps of the image
            (enc2; enc3; enc4 and enc5), then the score (N, 1, h', w').

        Raises:
            ShanshuiError: sides that are no multiples of 32, at full size.
        """
        n, image = segmap.shape[0], jt.concat(images, 0)  # (k * N, 3, h, w)
        if level is None:
            _check(*image.shape[2:])
        features, tops = self.look(image)
        outputs, labels = [], halved(segmap)
        for i, top in enumerate(tops):
            labels = halved(labels)  # (N, num_classes, h / 4, w / 4), then half of that
            maps = features[i : i + 1] if i < 2 else features[2:]
            outputs.append([*maps, self.compare(labels, top)])
        return [[[f[k * n : (k + 1) * n] for f in maps] for maps in outputs] for k in range(len(images))]

    def look(self, image: Var) -> tuple[list[Var], list[Var]]:
        """Compute the outputs of enc2 .. enc5 (1/4 .. 1/32 of the size) and final2 .. final4 of images (N, 3, h, w)."""
        encoded, x = [], image
        for i in range(1, 6):
            x = getattr(self, f"enc{i}")(x)
            encoded.append(x)
        x = self.lat5(encoded[4])  # (N, 4c, h / 32, w / 32)
        tops: list[Var] = []
        for i in (4, 3, 2):
            x = bilinear(x, Size.of_maps(encoded[i - 1])) + getattr(self, f"lat{i}")(
                encoded[i - 1]
            )  # (N, 4c, h / 2^i, w / 2^i)
            tops.insert(0, getattr(self, f"final{i}")(x))  # (N, 2c, h / 2^i, w / 2^i)
        return encoded[1:], tops

    def compare(self, labels: Var, top: Var) -> Var:
        """Score features (k * N, 2c, h, w) against shares of classes (N, num_classes, h, w): (k * N, 1, h, w).

        The paper's code embeds the label map's pixels first and averages afterwards, which is the same and takes 16 to
        256 times the memory.
        """
        embedded = self.embedding(labels)  # (N, 2c, h, w)
        meaning = self.seg(top).reshape(-1, *embedded.shape) * embedded  # (k, N, 2c, h, w)
        return self.tf(top) + meaning.sum(2).reshape(-1, 1, *top.shape[2:])


def halved(labels: Var) -> Var:
    """Average labels (N, C, h, w) to half their size; odd sides are rounded up, as the convolutions do."""
    height, width = Size.of_maps(labels)
    if height % 2 or width % 2:
        return area(labels, Size((height + 1) // 2, (width + 1) // 2))
    return mean_pool(labels, 2)


def conv_unit(inputs: int, outputs: int, kernel: int, stride: int, spectral_norm: bool) -> nn.Sequential:
    """Create convolution, instance norm, leaky ReLU: (N, inputs, h, w) -> (N, outputs, h / stride, w / stride)."""
    convolution = PairedSpectralConv if spectral_norm else nn.Conv
    layer = convolution(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.Sequential(layer, InstanceNorm()), nn.LeakyReLU(SLOPE))


def _check(height: int, width: int) -> None:
    if height % STEP or width % STEP:
        raise ShanshuiError(
            f"images {width} wide and {height} high for the FPSE discriminator",
            f"sides that are multiples of {STEP}: its features are halved five times, then added size by size",
            "choose other sizes, or the patch discriminators",
        )
