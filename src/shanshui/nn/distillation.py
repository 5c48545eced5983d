"""Losses between a small generator, the student, and a larger one, its teacher, whose side is always held constant.

Kernel alignment is that of CAT (Jin et al. 2021, "Teachers Do More Than Teach: Compressing Image-to-Image Models"),
structural similarity, style, total variation and channel distillation those of OMGD (Ren et al. 2021, "Online
Multi-Granularity Distillation for GAN Compression").
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from shanshui.backend.lazy import Module, jt, nn
from shanshui.errors import UsageError
from shanshui.nn.losses import mean, total
from shanshui.nn.norms import AffineBatchNorm
from shanshui.nn.resize import separable

if TYPE_CHECKING:
    from jittor import Var

By = Literal["position", "image"]
SIDE, SIGMA = 11, 1.5  # of the Gaussian window of structural similarity (Wang et al. 2004)
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]
TINY = 1e-24  # added to squared norms, so that features which are all zero have alignment 0 and no gradient


def kernel_alignment(student: Var, teacher: Var, by: By = "position") -> Var:
    """Compute how much of the teacher's features (N, C', h, w) is a linear function of the student's (N, C, h, w).

    With X and Y one row per position of all images, C and C' columns, centred:

        KA = |Y^T X|^2 / (|X^T X| |Y^T Y|)          (Frobenius norms)

    It is in [0, 1], and does not change with the features' scale, sign or channel order. By image, as CAT's code has
    it, rows are whole images, not centred. That index is nearly saturated: unrelated features reach 0.99 where they are
    wide. Sizes may then differ.

    Returns:
        A scalar (1,); 0 where features are all zero.

    Raises:
        UsageError: by image with one image, where the alignment is 1 and its gradient 0 whatever the features are.
    """
    if by == "image" and student.shape[0] < 2:
        raise UsageError(
            "kernel alignment by image with a batch of 1", "a batch of 2 or more",
            "a larger batch; or by position, which needs no second image",
        )  # fmt: skip
    x, y = unit_scale(student), unit_scale(teacher.detach())
    if by == "image":
        x, y = (jt.matmul(rows, rows.transpose()) for rows in (f.reshape(f.shape[0], -1) for f in (x, y)))  # (N, N)
        return ratio((x * y).float64().sum(), squares(x), squares(y))
    x, y = positions(x), positions(y)  # (N h w, C), (N h w, C')
    cross, of_x, of_y = (jt.matmul(a.transpose(), b) for a, b in ((y, x), (x, x), (y, y)))
    return ratio(squares(cross), squares(of_x), squares(of_y))


def alignment_loss(students: Sequence[Var], teachers: Sequence[Var], by: By = "position") -> Var:
    """Compute the negative sum of the kernel alignments of several layers."""
    return -total(kernel_alignment(x, y, by) for x, y in zip(students, teachers, strict=True))


def unit_scale(features: Var) -> Var:
    """Divide by the root mean square, held constant: products of squared norms would overflow float32."""
    with jt.no_grad():
        scale = (mean(features * features) + TINY).sqrt()
    return features / scale.detach()


def positions(features: Var) -> Var:
    """Arrange (N, C, h, w) as one row per position (N h w, C), with columns of mean 0."""
    rows = features.transpose(0, 2, 3, 1).reshape(-1, features.shape[1])
    return rows - rows.float64().mean(0, keepdims=True).float32()


def squares(x: Var) -> Var:
    """Sum the squares, in double precision."""
    return (x * x).float64().sum()


def ratio(product: Var, of_x: Var, of_y: Var) -> Var:
    """Divide a product by two norms, one after the other, given their squares."""
    return (product / (of_x + TINY).sqrt() / (of_y + TINY).sqrt()).float32()


def similarity_loss(fake: Var, wanted: Var) -> Var:
    """Compute 1 - SSIM of images (N, 3, h, w) in [-1, 1], brought to [0, 1].

    On signed values, as in OMGD's code, a negative counts as similar: SSIM(x, -x) = 0.91 there, -0.58 here.
    """
    return 1 - structural_similarity((fake + 1) / 2, (wanted.detach() + 1) / 2)


def structural_similarity(a: Var, b: Var) -> Var:
    """Compute the mean SSIM (1,) of images (N, C, h, w) in [0, 1] (Wang et al. 2004, equation 13).

    The Gaussian window sees zeros beyond the borders.
    """
    window = functools.partial(separable, rows=band(a.shape[2]), columns=band(a.shape[3]))
    mean_a, mean_b = window(a), window(b)
    variance_a, variance_b = window(a * a) - mean_a * mean_a, window(b * b) - mean_b * mean_b
    covariance = window(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1)
    return mean(light * (2 * covariance + C2) / (variance_a + variance_b + C2))


def style_loss(student: Sequence[Var], teacher: Sequence[Var]) -> Var:
    """Compute the sum over layers of the mean absolute difference between Gram matrices.

    Args:
        student: features (N, C, h, w) of the student's images; in OMGD relu1_2, relu2_2, relu3_3 and relu4_3 of VGG16.
        teacher: the same of the teacher's images.
    """
    pairs = zip(student, teacher, strict=True)
    return total(mean((gram(x) - gram(y.detach())).abs()) for x, y in pairs)


def gram(features: Var) -> Var:
    """Compute the products of channels (N, C, C), averaged over positions and divided by C, of (N, C, h, w)."""
    n, c, h, w = features.shape
    rows = features.reshape(n, c, h * w)
    return jt.matmul(rows, rows.transpose(0, 2, 1)) / (c * h * w)


def total_variation(images: Var) -> Var:
    """Sum the absolute differences of neighbouring pixels over an image, averaged over a batch (N, C, h, w).

    It is a sum over pixels, as in OMGD's code: it grows with the size of the images.
    """
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().float64().sum()
    down = (images[:, :, 1:] - images[:, :, :-1]).abs().float64().sum()
    return ((across + down) / images.shape[0]).float32()


@functools.cache
def band(side: int) -> np.ndarray:
    """Build the matrix of a Gaussian window along one axis with zero padding, float32 (side, side)."""
    distance = np.subtract.outer(np.arange(side), np.arange(side))
    weights = np.exp(-(distance**2) / (2 * SIGMA**2)) * (np.abs(distance) <= SIDE // 2)
    steps = np.arange(SIDE) - SIDE // 2
    return (weights / np.exp(-(steps**2) / (2 * SIGMA**2)).sum()).astype(np.float32)


class ChannelConnector(Module):
    """Bring the student's channels to the teacher's, trained with the student: 1x1 convolution, batch norm, ReLU.

    Args:
        in_channels: of the student's features.
        out_channels: of the teacher's.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        self.conv = nn.Conv(in_channels, out_channels, 1, bias=False)
        self.conv.weight = jt.init.gauss((out_channels, in_channels, 1, 1), mean=0.0, std=(2 / out_channels) ** 0.5)
        self.norm = AffineBatchNorm(out_channels)

    def execute(self, features: Var) -> Var:
        """Map (N, in_channels, h, w) to (N, out_channels, h, w)."""
        return nn.relu(self.norm(self.conv(features)))


def channel_distillation(connected: Var, teacher: Var) -> Var:
    """Compute the mean squared difference (1,) of the channels' means over all positions, image by image.

    Args:
        connected: student's features behind their connector (N, C, h, w).
        teacher: teacher's features (N, C, h', w').
    """
    means = [x.mean(3).mean(2) for x in (connected, teacher.detach())]  # (N, C)
    return mean((means[0] - means[1]).sqr())
