"""Multi-scale patch discriminator of SPADE (Park et al. 2019, figure 13; Wang et al. 2018, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.architectures.apf_discriminator import WIDEST, Features, by_batch, paired, split_inputs, together
from shanshui.backend.lazy import Module, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.label_conv import convolve
from shanshui.nn.norm_kernels import usable
from shanshui.nn.norms import instance_norm
from shanshui.nn.resize import halve
from shanshui.nn.simam import simam
from shanshui.nn.spade_block import Activation, Attention, activate, convolution

if TYPE_CHECKING:
    from jittor import Var


class SingleScaleDiscriminator(Module):
    """Patch discriminator: `layers` 4x4 convolutions with padding 2, then model_n for the score per patch.

    The first has bias and no norm; the others are followed by instance norm; all but the last have stride 2.
    Widths double from base_channels to at most 512.

    Args:
        channels: of the label map (edges counted) and the image together.
        base_channels: channels after the first layer.
        layers: convolutions before the score, at least 2.
        spectral_norm: normalise all but the first and the last convolution.
        activation, attention: after each layer but the last.
    """

    def __init__(
        self, channels: int, base_channels: int, layers: int, *,
        spectral_norm: bool, activation: Activation, attention: Attention,
    ) -> None:  # fmt: skip
        self.layers, self.activation, self.attention = layers, activation, attention
        widths = [min(base_channels << i, WIDEST) for i in range(layers)]
        self.model0 = nn.Conv(channels, widths[0], 4, stride=2, padding=2)
        for i in range(1, layers):
            stride = 1 if i == layers - 1 else 2
            conv = convolution(spectral_norm)(widths[i - 1], widths[i], 4, stride=stride, padding=2, bias=False)
            setattr(self, f"model{i}", conv)
        setattr(self, f"model{layers}", nn.Conv(widths[-1], 1, 4, padding=2))

    def execute(self, segmap: Var, image: Var) -> list[Var]:
        """Compute the output of every layer, the score last: `layers` + 1 maps.

        Args:
            segmap: (N, channels - 3, h, w).
            image: (k * N, 3, h, w), k images per label map: all first ones, then all second ones.
        """
        x = self._activated(self._first(segmap, image))
        features = [x]
        for i in range(1, self.layers):
            x = self._activated(instance_norm(getattr(self, f"model{i}")(x)))
            features.append(x)
        return [*features, getattr(self, f"model{self.layers}")(x)]

    def _first(self, segmap: Var, image: Var) -> Var:
        """Compute the first layer as a sum: the label map's part is the same for the k images."""
        of_labels, of_colours = split_inputs(self.model0.weight, 3)
        labels = convolve(segmap, of_labels, stride=2, padding=2)  # (N, C, h', w')
        if usable(image):
            return paired(nn.conv2d(image, of_colours, stride=2, padding=2), labels, self.model0.bias, 1.0)
        colours = nn.conv2d(image, of_colours, self.model0.bias, stride=2, padding=2)  # (k * N, C, h', w')
        return (colours.reshape(-1, *labels.shape) + labels).reshape(colours.shape)

    def _activated(self, x: Var) -> Var:
        x = activate(x, self.activation)
        return simam(x) if self.attention == "simam" else x


class MultiscaleDiscriminator(Module):
    """`count` patch discriminators; number i is given label map and image halved i times.

    Args:
        channels: of the segmap, edges counted.
        base_channels: channels after the first layer.
        count: number of discriminators, at least 1.
        layers: convolutions in each before the score, at least 2.
        spectral_norm: normalise the inner convolutions.
        activation, attention: after each layer.

    Raises:
        ShanshuiError: too few discriminators or layers.
    """

    def __init__(
        self, channels: int, base_channels: int = 64, count: int = 2, layers: int = 4, *,
        spectral_norm: bool = True, activation: Activation = "leaky_relu", attention: Attention = "none",
    ) -> None:  # fmt: skip
        if count < 1 or layers < 2:
            raise ShanshuiError(f"{count} discriminators of {layers} layers", "at least one of at least two")
        self.count = count
        for i in range(count):
            setattr(self, f"discriminator_{i}", SingleScaleDiscriminator(
                channels + 3, base_channels, layers,
                spectral_norm=spectral_norm, activation=activation, attention=attention,
            ))  # fmt: skip

    def execute(self, segmap: Var, *images: Var) -> list[Features]:
        """Score one or several batches of images of the same label maps, in one pass.

        Args:
            segmap: (N, channels, H, W), the images' size; soft values allowed.
            images: each (N, 3, H, W) in [-1, 1]: the fakes, or fakes and photographs.

        Returns:
            For every batch of images one list per discriminator, full size first: the outputs of its layers,
            the score (N, 1, h', w') last.
        """
        n, image = segmap.shape[0], together(images)  # (k * N, 3, H, W)
        outputs = []
        for i in range(self.count):
            if i > 0:
                segmap, image = halve(segmap), halve(image)
            outputs.append(getattr(self, f"discriminator_{i}")(segmap, image))
        return by_batch(outputs, len(images), n)
