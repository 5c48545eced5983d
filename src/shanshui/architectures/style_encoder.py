"""GauGAN's image encoder (Park et al. 2019, figure 14): from a photograph to the distribution of its style vector."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, nn
from shanshui.nn.norms import NormKind, parameter_free
from shanshui.nn.resize import bilinear
from shanshui.nn.spade import leaky_relu
from shanshui.nn.spade_block import convolution
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


SIDE = 256  # photos are resized to a square of this side
WIDTHS = (1, 2, 4, 8, 8, 8)  # channels / base_channels after each of the six halvings


class StyleEncoder(Module):
    """Photograph (N, 3, H, W) in [-1, 1] of any size -> mean and log variance of z, each (N, z_dim).

    Six times: 3x3 convolution with stride 2, norm, leaky ReLU; then one linear layer for each. The paper's instance
    norm removes the mean and the contrast of every channel: of a photograph's colours only their positions remain.
    Batch norm does not.

    Args:
        base_channels: channels after the first layer.
        z_dim: length of z.
        norm: instance as in the paper, or batch.
        spectral_norm: normalise the convolutions.
    """

    def __init__(
        self, base_channels: int = 64, z_dim: int = 256, norm: NormKind = "instance",
        spectral_norm: bool = True,
    ) -> None:  # fmt: skip
        channels = [3, *(base_channels * width for width in WIDTHS)]
        for i, (fin, fout) in enumerate(itertools.pairwise(channels), start=1):
            conv = convolution(spectral_norm)(fin, fout, 3, stride=2, padding=1, bias=False)
            setattr(self, f"layer{i}", conv)
            setattr(self, f"norm{i}", parameter_free(norm, fout))
        features = channels[-1] * (SIDE >> len(WIDTHS)) ** 2
        self.fc_mu = nn.Linear(features, z_dim)
        self.fc_var = nn.Linear(features, z_dim)

    def execute(self, photo: Var) -> tuple[Var, Var]:
        """Compute mean and log variance, each (N, z_dim), of photographs (N, 3, H, W) in [-1, 1]."""
        *_, (_, last) = self.trace(photo)
        features = leaky_relu(last).reshape(photo.shape[0], -1)
        return self.fc_mu(features), self.fc_var(features)

    def trace(self, photo: Var) -> Iterator[tuple[str, Var]]:
        """Yield name and normalised output, before its activation, of each layer in turn."""
        x = bilinear(photo, Size(SIDE, SIDE))
        for i in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{i}")(x)  # (N, C_i, 256 / 2^i, 256 / 2^i)
            x = getattr(self, f"norm{i}")(x)
            yield f"layer{i}", x
            x = leaky_relu(x)


def reparameterise(mean: Var, log_variance: Var, noise: Var) -> Var:
    """Sample z = mean + noise * sqrt(variance), all (N, z_dim) (Kingma and Welling 2014, section 2.4).

    Args:
        mean, log_variance: from the encoder.
        noise: standard normal numbers.
    """
    return mean + noise * (log_variance / 2).exp()
