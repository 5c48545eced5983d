"""Cost of a network: parameters, multiply-accumulates (MACs), and layer outputs.

Jittor builds graphs lazily, so a forward pass that is never read only computes shapes: full sizes are counted in
a second, without their memory. Convolutions and linear layers are counted, as in the papers; modulation, normalisation
and resizing are not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shanshui.backend.lazy import Module, nn
from shanshui.nn import depthwise, label_conv
from shanshui.nn.spade import SPADE
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


See = Callable[["Module | None", "Var", int], None]  # layer, output, MACs
BUFFERS = frozenset({"running_mean", "running_var", "weight_u", "weight_v"})  # stored, but not trained
_one_at_a_time = threading.RLock()


@dataclass
class Cost:
    """Cost of one forward pass.

    Attributes:
        parameters: trained parameters; running statistics and singular vectors do not count.
        macs: multiply-accumulates of convolutions and linear layers.
        outputs: elements of these layers' outputs, which training keeps for the backward pass.
        modulation: MACs of the convolutions inside SPADE layers, by size of the features.
    """

    parameters: int = 0
    macs: int = 0
    outputs: int = 0
    modulation: dict[Size, int] = field(default_factory=dict)

    def on_patches(self, shares: Mapping[Size, float]) -> int:
        """Compute the MACs where SPADE layers compute on distinct patches only.

        Args:
            shares: distinct 3x3 patches per pixel of the label map, by size; 1 where a size is not among them.
        """
        spared = sum(macs * (1 - shares.get(size, 1.0)) for size, macs in self.modulation.items())
        return round(self.macs - spared)


def trained_parameters(network: Module) -> int:
    """Count the trained parameters of a network, in training or evaluation mode (where none has a gradient)."""
    named = network.state_dict().items()
    return sum(var.numel() for name, var in named if name.rpartition(".")[2] not in BUFFERS)


def cost(network: Module, forward: Callable[[], object]) -> Cost:
    """Count the cost of `forward`, a call of `network` in evaluation mode, on lazily made arguments.

    Nothing is computed as long as neither the arguments nor the result are read. Every module keeps its mode, training
    or evaluation. What other threads compute meanwhile does not count.
    """
    counted = Cost(trained_parameters(network))
    inner = {id(layer) for module in network.modules() if isinstance(module, SPADE)
             for layer in (module.mlp_shared, module.mlp_gamma, module.mlp_beta)}  # fmt: skip

    def see(layer: Module | None, output: Var, macs: int) -> None:
        counted.macs += macs
        counted.outputs += output.numel()
        if id(layer) in inner:
            size = Size.of_maps(output)
            counted.modulation[size] = counted.modulation.get(size, 0) + macs

    with _evaluating(network), _watched(see):
        forward()
    return counted


@contextlib.contextmanager
def _evaluating(network: Module) -> Iterator[None]:
    """Switch to evaluation mode inside, and every module back to its own mode afterwards."""
    modes = [(module, module.is_training()) for module in (network, *network.modules())]
    network.eval()
    try:
        yield
    finally:
        if modes[0][1]:
            network.train()  # which gives its parameters their gradients back
        for module, training in modes:
            module.is_train = training


def _per_output(weight: Var) -> int:
    """Count the products summed per element of the output, from the weight (out, in, ...)."""
    return int(weight.numel() // weight.shape[0])


@contextlib.contextmanager
def _watched(see: See) -> Iterator[None]:
    """Call `see(layer, output, MACs)` for every convolution and linear layer; `layer` is None for plain functions.

    Jittor's own classes are changed meanwhile, for all threads; calls from other threads are not counted.
    """
    here = threading.get_ident()

    def note(layer: Module | None, output: Var, macs: int) -> None:
        if threading.get_ident() == here:
            see(layer, output, macs)

    with _one_at_a_time:
        yield from _changed(note)


def _changed(see: See) -> Iterator[None]:
    """Let Jittor's classes call `see` until the generator ends."""
    places = (
        (nn.Conv, "execute"), (nn.ConvTranspose, "execute"), (nn.Linear, "execute"), (nn, "conv2d"),
        (depthwise, "by_channel"), (label_conv, "sparse"),
    )  # fmt: skip
    kept = (
        nn.Conv.execute, nn.ConvTranspose.execute, nn.Linear.execute, nn.conv2d,
        depthwise.by_channel, label_conv.sparse,
    )  # fmt: skip

    def replace(*forms: Callable[..., Var]) -> None:
        for (owner, name), form in zip(places, forms, strict=True):
            setattr(owner, name, form)

    def convolve(layer: nn.Conv, x: Var) -> Var:
        output = kept[0](layer, x)
        see(layer, output, output.numel() * _per_output(layer.weight))
        return output

    def transposed(layer: nn.ConvTranspose, x: Var) -> Var:
        output = kept[1](layer, x)
        see(layer, output, x.numel() * _per_output(layer.weight))  # each number of the input meets a whole kernel
        return output

    def connect(layer: nn.Linear, x: Var) -> Var:
        output = kept[2](layer, x)
        see(layer, output, output.numel() * layer.in_features)
        return output

    def function(x: Var, weight: Var, *rest: Any, **named: Any) -> Var:
        output = kept[3](x, weight, *rest, **named)
        see(None, output, output.numel() * _per_output(weight))
        return output

    def by_channel(x: Var, weight: Var) -> Var:
        output = kept[4](x, weight)
        see(None, output, output.numel() * _per_output(weight))
        return output

    def of_labels(segmap: Var, weight: Var, *rest: Any) -> Var:
        output = kept[5](segmap, weight, *rest)
        see(None, output, output.numel() * _per_output(weight))
        return output

    replace(convolve, transposed, connect, function, by_channel, of_labels)
    try:
        yield
    finally:
        replace(*kept)
