"""Residual block of the SPADE family, with any of its modulations, activations and attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shanshui.backend.cpu_forms import BIAS_INSIDE
from shanshui.backend.lazy import Module, nn
from shanshui.nn.channel_groups import ChannelGroup, Plan, middle_group
from shanshui.nn.clade import CLADE
from shanshui.nn.condition import Condition
from shanshui.nn.norms import NormKind
from shanshui.nn.simam import simam
from shanshui.nn.spade import SLOPE, SPADE
from shanshui.nn.spectral_norm import PairedSpectralConv

if TYPE_CHECKING:
    from jittor import Var


Modulation = Literal["spade", "clade", "clade_icpe"]
Activation = Literal["leaky_relu", "gelu"]
Attention = Literal["none", "simam"]


@dataclass(frozen=True)
class BlockKind:
    """Options common to all blocks of a generator.

    Attributes:
        num_classes: channels of the one-hot label map, edges not counted.
        modulation: "spade" (Park et al. 2019), "clade" or "clade_icpe" (Tan et al. 2021).
        norm: how features are standardised before they are modulated.
        kernel: side of the convolutions inside SPADE.
        hidden: channels between label map and gamma, beta inside SPADE.
        edges: the segmap has one channel more, boundaries.
        activation: between modulation and convolution.
        attention: after each activation.
        spectral_norm: normalise the block's own convolutions (not those inside SPADE).
    """

    num_classes: int
    modulation: Modulation = "spade"
    norm: NormKind = "batch"
    kernel: int = 3
    hidden: int = 128
    edges: bool = False
    activation: Activation = "leaky_relu"
    attention: Attention = "none"
    spectral_norm: bool = True

    def layer(self, channels: int, hidden: int | None = None) -> SPADE | CLADE:
        """Create a modulating layer for `channels` channels; it returns the same number, or one more (`added`).

        `hidden` is its number of hidden channels, where it is not that of the others.
        """
        if self.modulation == "spade":
            hidden = self.hidden if hidden is None else hidden
            return SPADE(channels, self.num_classes + self.edges, hidden, norm=self.norm, kernel=self.kernel)
        positions = self.modulation == "clade_icpe"
        return CLADE(channels, self.num_classes, norm=self.norm, positions=positions, edges=self.edges)

    @property
    def added(self) -> int:
        """Count the channels a modulating layer adds to its features: CLADE passes edges on to the convolution."""
        return int(self.edges and self.modulation != "spade")

    def conv(self, in_channels: int, out_channels: int, kernel: int, bias: bool = True) -> nn.Conv:
        """Create a convolution that follows a modulating layer of `in_channels` and keeps the size."""
        return convolution(self.spectral_norm)(
            in_channels + self.added, out_channels, kernel, padding=kernel // 2, bias=bias
        )


class ModulatedResBlock(Module):
    """SPADE residual block (Park et al. 2019, figure 4): shortcut(x) + conv_1(act(norm_1(conv_0(act(norm_0(x)))))).

    Where the width changes the shortcut is conv_s(norm_s(x)), else x. A plan gives the channels between the two
    convolutions, `middle`, and inside SPADE layers, by the layer's name, where some were removed.
    """

    def __init__(self, in_channels: int, out_channels: int, kind: BlockKind, plan: Plan | None = None) -> None:
        plan = plan or {}
        middle = plan.get("middle", min(in_channels, out_channels))
        self.kind = kind
        self.learned_shortcut = in_channels != out_channels
        self.conv_0, self.norm_0 = kind.conv(in_channels, middle, 3), kind.layer(in_channels, plan.get("norm_0"))
        self.conv_1, self.norm_1 = kind.conv(middle, out_channels, 3), kind.layer(middle, plan.get("norm_1"))
        setattr(self.conv_0, BIAS_INSIDE, True)
        if self.learned_shortcut:
            self.conv_s = kind.conv(in_channels, out_channels, 1, bias=False)
            self.norm_s = kind.layer(in_channels, plan.get("norm_s"))

    def execute(self, x: Var, condition: Condition) -> Var:
        """Apply the block: x (N, in, h, w) -> (N, out, h, w), with a condition of the same size."""
        shortcut = self.conv_s(self.modulated(self.norm_s, x, condition)) if self.learned_shortcut else x
        y = self.conv_0(self.activated(self.norm_0, x, condition))  # (N, middle, h, w)
        return shortcut + self.conv_1(self.activated(self.norm_1, y, condition))

    def activated(self, norm: SPADE | CLADE, x: Var, condition: Condition) -> Var:
        """Apply modulation, activation and attention; a leaky ReLU is part of the modulation's pass over the data."""
        leaky = self.kind.activation == "leaky_relu"
        y = self.modulated(norm, x, condition, SLOPE) if leaky else nn.gelu(self.modulated(norm, x, condition))
        return simam(y) if self.kind.attention == "simam" else y

    def modulated(self, norm: SPADE | CLADE, x: Var, condition: Condition, slope: float = 1.0) -> Var:
        """Apply one of the block's modulating layers to x, and a leaky ReLU with `slope`."""
        if isinstance(norm, SPADE):
            return norm(x, condition.segmap, None, condition.patches, slope)
        return norm(x, condition, slope)

    def channel_groups(self) -> list[ChannelGroup]:
        """List the channels that can be removed."""
        layers = {"norm_0": self.norm_0, "norm_1": self.norm_1}
        layers |= {"norm_s": self.norm_s} if self.learned_shortcut else {}
        inside = [layer.hidden_group(name) for name, layer in layers.items() if isinstance(layer, SPADE)]
        return [middle_group(self, "norm_1", self.norm_1.by_channel()), *inside]


def convolution(spectral_norm: bool) -> type[nn.Conv]:
    """Return the class of convolutions: spectrally normalised as PyTorch does it, or plain."""
    return PairedSpectralConv if spectral_norm else nn.Conv


def activate(x: Var, activation: Activation) -> Var:
    """Apply the activation, elementwise."""
    return nn.leaky_relu(x, SLOPE) if activation == "leaky_relu" else nn.gelu(x)
