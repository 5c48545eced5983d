"""Groups of channels inside of a network that can be removed: nothing that enters or leaves their block changes.

A plan says how many channels of each group there are: `{"up_1.middle": 12, "up_1.norm_0": 40}`. Groups that it does not
name have their full width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from jittor import Module, Var, nn

Plan = Mapping[str, int]  # channels by group
FOLLOWING = ("running_mean", "running_var", "seg_noise_var.weight", "seg_noise_var.bias")  # the scale of features


class Along(NamedTuple):
    """An array with one entry per channel along one axis, or `each` entries in succession."""

    array: str
    axis: int = 0
    each: int = 1


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that can be removed.

    Attributes:
        name: in a plan; of a block's groups without the block's name.
        channels: their number.
        arrays: what belongs to them; names of arrays that a network does not have are passed over.
        consumers: weights (out, channels, ...) that read them.
        watched: the layer that shows their activations when it is called.
        activations: arguments of that call -> their activations (N, channels, h, w).
        normalised: the layer that computes them, where nothing but a norm sees their scale; else "".
        scaled: arrays that follow this scale.
    """

    name: str
    channels: int
    arrays: tuple[Along, ...]
    consumers: tuple[str, ...]
    watched: str
    activations: Callable[..., Var]
    normalised: str = ""
    scaled: tuple[str, ...] = ()

    def within(self, block: str) -> ChannelGroup:
        """Return the same group of a block of a network, with the names that it has there."""
        return replace(
            self,
            name=f"{block}.{self.name}",
            arrays=tuple(one._replace(array=f"{block}.{one.array}") for one in self.arrays),
            consumers=tuple(f"{block}.{name}" for name in self.consumers),
            watched=f"{block}.{self.watched}",
            normalised=self.normalised and f"{block}.{self.normalised}",
            scaled=tuple(f"{block}.{name}" for name in self.scaled),
        )


class ResBlock(Protocol):
    """A residual block of two convolutions."""

    conv_0: nn.Conv
    conv_1: nn.Conv


class Prunable(Protocol):
    """A block with channels that can be removed."""

    def channel_groups(self) -> list[ChannelGroup]:
        """List them in the order of the computation."""
        ...


def channel_groups(network: Module) -> list[ChannelGroup]:
    """List the groups of channels that can be removed from a network, block after block."""
    blocks = [(name, cast("Prunable", m)) for name, m in network.named_modules() if hasattr(m, "channel_groups")]
    return [group.within(name) for name, block in blocks for group in block.channel_groups()]


def unknown_groups(network: Module, plan: Plan) -> list[str]:
    """List the names in a plan that are no group of a network."""
    return sorted(set(plan) - {group.name for group in channel_groups(network)}) if plan else []


def part_of_plan(plan: Plan | None, block: str) -> Plan:
    """Return the entries of a plan for one block, without its name."""
    start = f"{block}."
    return {name.removeprefix(start): n for name, n in (plan or {}).items() if name.startswith(start)}


def outputs(layer: str) -> tuple[Along, ...]:
    """List the arrays of a convolution along its outputs."""
    return Along(f"{layer}.weight"), Along(f"{layer}.bias"), Along(f"{layer}.weight_u")


def inputs(layer: str, kernel: int) -> tuple[Along, ...]:
    """List the arrays of a convolution along its inputs; `kernel` is its side."""
    return Along(f"{layer}.weight", 1), Along(f"{layer}.weight_v", 0, kernel * kernel)


def statistics(norm: str = "") -> tuple[Along, ...]:
    """List the arrays of a norm without learnt scale and shift along its channels; `norm` is its name in a layer."""
    return tuple(Along(f"{norm}.{name}" if norm else name) for name in ("running_mean", "running_var"))


def middle_group(block: ResBlock, norm: str, by_channel: tuple[Along, ...]) -> ChannelGroup:
    """Return the channels between the two convolutions of a residual block as a group that can be removed.

    Args:
        block: computes conv_1(act(norm(conv_0(...)))).
        norm: name of the normalising layer between them.
        by_channel: its arrays with one entry per channel.
    """
    middle = block.conv_0.out_channels
    between = tuple(one._replace(array=f"{norm}.{one.array}") for one in by_channel)
    arrays = (*outputs("conv_0"), *between, *inputs("conv_1", block.conv_1.weight.shape[2]))
    follow = [one.array for one in between if one.array.endswith(FOLLOWING)]

    def activations(x: Var) -> Var:
        return x[:, :middle]  # CLADE passes edges on as one channel more

    return ChannelGroup(
        "middle", middle, arrays, ("conv_1.weight",), "conv_1", activations, "conv_0", ("conv_0.bias", *follow),
    )  # fmt: skip
