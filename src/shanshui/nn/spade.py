"""SPADE (Park et al. 2019): normalisation with scale and shift computed from the label map.

The one-hot label map is given at the resolution of the features; the generator resizes it once for all
layers. Segmentation-aware noise is APF-GAN's: one normal sample per pixel, scaled per class and channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shanshui.backend.cpu_forms import BIAS_INSIDE
from shanshui.backend.lazy import Module, nn
from shanshui.nn import fixed_spade
from shanshui.nn.channel_groups import Along, ChannelGroup, Plan, middle_group, outputs, statistics
from shanshui.nn.label_conv import convolve
from shanshui.nn.norm_kernels import usable
from shanshui.nn.norms import NormKind, leaky, modulate, modulates, parameter_free
from shanshui.nn.patch_spade import DevicePatches, gamma_beta, normalise
from shanshui.nn.small_kernels import AddNoise, BiasedActivation, Residual
from shanshui.nn.spectral_norm import conv, unbiased

if TYPE_CHECKING:
    from jittor import Var


SLOPE = 0.2  # of every leaky ReLU in G, E and D


class SPADE(Module):
    """Spatially adaptive normalisation: norm(x + noise * amplitude(segmap)) * (1 + gamma(segmap)) + beta(segmap).

    Args:
        channels: C of the features.
        num_classes: channels of the one-hot label map.
        hidden: channels between the label map and gamma, beta.
        seg_noise: give the layer noise amplitudes (a 1x1 convolution of the label map).
        norm: how features are standardised.
        kernel: side of the convolutions, odd.
    """

    def __init__(
        self, channels: int, num_classes: int, hidden: int, seg_noise: bool = False, *,
        norm: NormKind = "batch", kernel: int = 3,
    ) -> None:  # fmt: skip
        self.seg_noise = seg_noise
        self.param_free_norm = parameter_free(norm, channels)
        if seg_noise:
            self.seg_noise_var = nn.Conv(num_classes, channels, 1)
        self.mlp_shared = nn.Conv(num_classes, hidden, kernel, padding=kernel // 2)
        self.mlp_gamma = nn.Conv(hidden, channels, kernel, padding=kernel // 2)
        self.mlp_beta = nn.Conv(hidden, channels, kernel, padding=kernel // 2)
        for layer in (self.mlp_shared, *([self.seg_noise_var] if seg_noise else [])):
            setattr(layer, BIAS_INSIDE, True)

    def execute(
        self, x: Var, segmap: Var, noise: Var | None = None, patches: DevicePatches | None = None, slope: float = 1.0
    ) -> Var:
        """Modulate x (N, C, h, w) by the label map, and apply a leaky ReLU with `slope`: (N, C, h, w).

        Args:
            x: features (N, C, h, w).
            segmap: (N, num_classes, h, w).
            noise: (N, 1, h, w), or None.
            patches: the segmap's distinct patches, to compute the same faster; or None. Only with kernel 3.
            slope: of the leaky ReLU; 1 for none.
        """
        if patches is not None and fixed_spade.usable(self, patches, noise):
            return fixed_spade.modulated(self, x, patches, noise, slope)
        if noise is not None:
            x = self.with_noise(x, segmap, noise)
        if patches is not None:
            table = gamma_beta(patches, self.mlp_shared, self.mlp_gamma, self.mlp_beta)
            return normalise(self.param_free_norm, x, table, patches.index, slope, patches.order)
        for_gamma, for_beta = self.hidden_maps(segmap)  # (N, hidden, h, w) each
        if modulates(self.param_free_norm, x):
            return modulate(self.param_free_norm, x, self.mlp_gamma, self.mlp_beta, (for_gamma, for_beta), slope)
        return leaky(self.param_free_norm(x) * (1 + self.mlp_gamma(for_gamma)) + self.mlp_beta(for_beta), slope)

    def hidden_maps(self, segmap: Var) -> tuple[Var, Var]:
        """Compute the hidden maps (N, hidden, h, w) of label maps, for gamma and for beta: they are the same."""
        layer = self.mlp_shared
        if not usable(segmap):
            hidden = nn.relu(layer(segmap))
            return hidden, hidden
        plain = nn.conv2d(segmap, layer.weight, None, 1, layer.padding)
        for_gamma, for_beta = BiasedActivation(0.0, twice=True)(plain, None, layer.bias)
        return for_gamma, for_beta

    def with_noise(self, x: Var, segmap: Var, noise: Var) -> Var:
        """Add noise (N, 1, h, w) times its amplitude, which depends on the label map: (N, C, h, w)."""
        layer = self.seg_noise_var
        if not usable(x):
            return x + noise * convolve(segmap, layer.weight, layer.bias)
        amplitude = nn.conv2d(segmap, layer.weight)
        y: Var = AddNoise.apply(x, noise, amplitude, layer.bias)
        return y

    def by_channel(self) -> tuple[Along, ...]:
        """List the arrays with one entry per channel of the features."""
        return statistics("param_free_norm") + tuple(
            array for layer in ("seg_noise_var", "mlp_gamma", "mlp_beta") for array in outputs(layer)
        )

    def hidden_group(self, name: str) -> ChannelGroup:
        """Return the hidden channels as a group that can be removed; `name` is that of this layer in its block."""
        readers = tuple(f"{name}.{layer}.weight" for layer in ("mlp_gamma", "mlp_beta"))

        def activations(x: Var, segmap: Var, *_: object) -> Var:
            return nn.relu(self.mlp_shared(segmap))

        made = outputs(f"{name}.mlp_shared")
        arrays = (*made, *(Along(reader, 1) for reader in readers))
        return ChannelGroup(name, self.mlp_shared.out_channels, arrays, readers, name, activations)


class SPADEResBlock(Module):
    """Residual block of two SPADE layers and convolutions; where the width changes, a third pair as shortcut.

    shortcut(x) + conv_1(lrelu(norm_1(conv_0(lrelu(norm_0(x))))))

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; between the two convolutions there are the fewer of both.
        num_classes: channels of the one-hot label map.
        hidden: inner width of the SPADE layers.
        seg_noise: SPADE layers with noise amplitudes.
        spectral_norm: normalise the block's own convolutions (not those inside SPADE).
        plan: channels between the convolutions, `middle`, and inside each SPADE layer, by its name, where some were
            removed.
    """

    def __init__(
        self, in_channels: int, out_channels: int, num_classes: int, hidden: int, *,
        seg_noise: bool, spectral_norm: bool, plan: Plan | None = None,
    ) -> None:  # fmt: skip
        plan = plan or {}
        middle = plan.get("middle", min(in_channels, out_channels))
        self.learned_shortcut = in_channels != out_channels
        self.conv_0 = conv(in_channels, middle, 3, padding=1, spectral_norm=spectral_norm)
        self.conv_1 = conv(middle, out_channels, 3, padding=1, spectral_norm=spectral_norm)
        setattr(self.conv_0, BIAS_INSIDE, True)
        self.norm_0 = SPADE(in_channels, num_classes, plan.get("norm_0", hidden), seg_noise)
        self.norm_1 = SPADE(middle, num_classes, plan.get("norm_1", hidden), seg_noise)
        if self.learned_shortcut:
            self.conv_s = conv(in_channels, out_channels, 1, bias=False, spectral_norm=spectral_norm)
            self.norm_s = SPADE(in_channels, num_classes, plan.get("norm_s", hidden), seg_noise)

    def execute(
        self, x: Var, segmap: Var, draw: Callable[[], Var | None] = lambda: None, patches: DevicePatches | None = None
    ) -> Var:
        """Apply the block: x (N, in, h, w) -> (N, out, h, w).

        Args:
            x: features (N, in, h, w).
            segmap: (N, num_classes, h, w).
            draw: called once per SPADE layer, in the order norm_s (if there), norm_0, norm_1; returns noise
                (N, 1, h, w), or None for no noise.
            patches: the segmap's distinct patches, or None.
        """
        shortcut = self.conv_s(self.norm_s(x, segmap, draw(), patches)) if self.learned_shortcut else x
        y = self.conv_0(self.norm_0(x, segmap, draw(), patches, SLOPE))  # (N, middle, h, w)
        y = self.norm_1(y, segmap, draw(), patches, SLOPE)  # (N, middle, h, w)
        if usable(y):
            total: Var = Residual.apply(shortcut, unbiased(self.conv_1, y), self.conv_1.bias)
            return total
        y = self.conv_1(y)  # (N, out, h, w)
        return shortcut + y

    def channel_groups(self) -> list[ChannelGroup]:
        """List the channels that can be removed."""
        layers = {"norm_0": self.norm_0, "norm_1": self.norm_1}
        layers |= {"norm_s": self.norm_s} if self.learned_shortcut else {}
        inside = [layer.hidden_group(name) for name, layer in layers.items()]
        return [middle_group(self, "norm_1", self.norm_1.by_channel()), *inside]


def leaky_relu(x: Var) -> Var:
    """Apply a leaky ReLU with the slope used throughout."""
    return nn.leaky_relu(x, SLOPE)
