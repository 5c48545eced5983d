"""Generator of CC-FPSE: blocks whose convolutions are predicted from a feature pyramid over the label map.

Liu et al. 2019, "Learning to Predict Layout-to-image Conditional Convolutions for Semantic Image Synthesis".
The trunk is SPADE's; `ccfpse_shape` has the widths and assigns levels of the pyramid to blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shanshui.architectures.spade_generator import start_size
from shanshui.backend.lazy import Module, jt, nn
from shanshui.errors import ShanshuiError
from shanshui.nn.ccfpse_shape import BLOCKS, HALVINGS, LEVELS, WIDTHS, Upsampling
from shanshui.nn.conditional_conv import ConditionalBlock
from shanshui.nn.norms import AffineBatchNorm
from shanshui.nn.resize import nearest, upsample2
from shanshui.nn.spade import SLOPE, leaky_relu
from shanshui.nn.spectral_norm import PairedSpectralConv
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


class ConditionalGenerator(Module):
    """(segmap, z) -> image (N, 3, H, W) in [-1, 1]; names of the parameters are those of the authors' code.

    Args:
        num_classes: channels of the one-hot label map.
        base_channels: c, of `ccfpse_shape`.
        upsampling: how often the first features are doubled: "normal" five times, "more" six.
        z_dim: length of the style vector to start from; None starts from the label map.
        size: of the images, which a start from z fixes.
        spectral_norm: normalise the convolutions of pyramid and shortcuts.

    Raises:
        ShanshuiError: `size` cannot be halved that often.
    """

    def __init__(
        self, num_classes: int, base_channels: int = 64, upsampling: Upsampling = "normal", *,
        z_dim: int | None = None, size: Size | None = None, spectral_norm: bool = True,
    ) -> None:  # fmt: skip
        if (z_dim is None) != (size is None):
            raise ValueError("z_dim and size belong together")
        self.upsampling, self.z_dim, self.size, self.halvings = upsampling, z_dim, size, HALVINGS[upsampling]
        self.first = WIDTHS[0] * base_channels
        if z_dim is None or size is None:
            self.fc: nn.Conv | nn.Linear = nn.Conv(num_classes, self.first, 3, padding=1)
        else:
            start = start_size(size, upsampling)
            self.fc = nn.Linear(z_dim, self.first * start.pixels)
        for i in range(self.halvings + 1):
            inputs, stride = (base_channels, 2) if i else (num_classes, 1)
            setattr(self, f"labelenc{i + 1}", conv_unit(inputs, base_channels, 3, stride, spectral_norm))
        for i in range(1, self.halvings + 1):
            setattr(self, f"labellat{i}", conv_unit(base_channels, base_channels, 1, 1, spectral_norm))
            setattr(self, f"labeldec{i}", conv_unit(base_channels, base_channels, 3, 1, spectral_norm))
        for name, fin, fout in zip(BLOCKS, WIDTHS, WIDTHS[1:], strict=False):
            sizes = fin * base_channels, fout * base_channels, num_classes + base_channels
            setattr(self, name, ConditionalBlock(*sizes, spectral_norm=spectral_norm))
        self.conv_img = nn.Conv(base_channels, 3, 3, padding=1)

    def execute(self, segmap: Var, z: Var | None = None) -> Var:
        """Generate images.

        Args:
            segmap: (N, num_classes, H, W), one-hot.
            z: (N, z_dim), standard normal or from an encoder; None without z_dim.

        Returns:
            (N, 3, H, W) in [-1, 1].

        Raises:
            ShanshuiError: sides that cannot be halved as often, or are not those of `size`.
        """
        *_, (_, x) = self.trace(segmap, z)
        return self.conv_img(leaky_relu(x)).tanh()

    def trace(self, segmap: Var, z: Var | None = None) -> Iterator[tuple[str, Var]]:
        """Yield name and output of every part in turn: the pyramid's, the start `fc`, the blocks."""
        self._check(segmap, z)
        parts = list(self.pyramid(segmap))
        yield from parts
        levels = [level for _, level in parts[self.halvings :]]  # (N, c, h, w), smallest first
        conditions = [jt.concat([nearest(segmap, Size.of_maps(level)), level], 1) for level in levels]
        x = self.start(segmap, z)
        yield "fc", x
        for name, number in zip(BLOCKS, LEVELS[self.upsampling], strict=True):
            x = upsample2(x) if x.shape[2] < levels[number].shape[2] else x
            x = getattr(self, name)(x, conditions[number])
            yield name, x

    def pyramid(self, segmap: Var) -> Iterator[tuple[str, Var]]:
        """Yield name and output of the pyramid's parts: down to the smallest size, then up again.

        The last part on the way down and those on the way up are the pyramid's levels.
        """
        ways, x = [], segmap
        for i in range(1, self.halvings + 2):
            x = getattr(self, f"labelenc{i}")(x)  # (N, c, H / 2^(i-1), W / 2^(i-1))
            ways.append(x)
            yield f"labelenc{i}", x
        for i, across in enumerate(reversed(ways[:-1]), 1):
            x = upsample2(x) + getattr(self, f"labellat{i}")(across)
            x = getattr(self, f"labeldec{i}")(x)  # (N, c, H / 2^(halvings-i), W / 2^(halvings-i))
            yield f"labeldec{i}", x

    def start(self, segmap: Var, z: Var | None) -> Var:
        """Compute the first features (N, 16c, H / 2^halvings, W / 2^halvings)."""
        size = Size.of_maps(segmap).divided(2**self.halvings)
        if z is None:
            return self.fc(nearest(segmap, size))
        return self.fc(z).reshape(-1, self.first, *size)

    def _check(self, segmap: Var, z: Var | None) -> None:
        size = Size.of_maps(segmap)
        start_size(size, self.upsampling)
        if self.size is not None and size != self.size:
            raise ShanshuiError(
                f"a label map of {size}",
                f"{self.size}: a generator that starts from z makes images of one size",
                "resize the label maps, or use a generator that starts from the label map",
            )
        if (z is None) != (self.z_dim is None):
            raise ValueError(f"z is {'missing' if z is None else 'given'} with z_dim {self.z_dim}")


def conv_unit(inputs: int, outputs: int, kernel: int, stride: int, spectral_norm: bool) -> nn.Sequential:
    """Create convolution, batch norm, leaky ReLU: (N, inputs, h, w) -> (N, outputs, h / stride, w / stride)."""
    convolution = PairedSpectralConv if spectral_norm else nn.Conv
    layer = convolution(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.Sequential(layer, AffineBatchNorm(outputs)), nn.LeakyReLU(SLOPE))
