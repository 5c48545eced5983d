"""Weight initialisation: Xavier normal, biases zero; with the published, small gain or a larger one."""

from __future__ import annotations

from typing import Literal

from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.spade import SPADE


def init_weights(network: Module, gain: float, seg_noise: Literal["zero", "xavier"] = "zero") -> None:
    """Initialise all convolution and linear weights of a network again, in place.

    A weight (out, in, k, k) is normal with standard deviation gain * sqrt(2 / ((in + out) * k * k)).

    Args:
        network: G, E or D.
        gain: factor of the standard deviation.
        seg_noise: "zero" starts the noise amplitudes of SPADE layers at 0, as the authors of APF-GAN
            meant to; "xavier" initialises them like any other weight, which is what their code does.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv | nn.Linear | nn.ConvTranspose):
            xavier(module, gain)
    if seg_noise == "zero":
        for module in network.modules():
            if isinstance(module, SPADE) and module.seg_noise:
                module.seg_noise_var.weight.assign(jt.zeros(module.seg_noise_var.weight.shape))


def xavier(layer: nn.Conv | nn.Linear | nn.ConvTranspose, gain: float) -> None:
    """Set a layer's weight to Xavier normal (Glorot and Bengio 2010) and its bias to zero, in place."""
    layer.weight.assign(jt.init.xavier_gauss(tuple(layer.weight.shape), gain=gain))
    if layer.bias is not None:
        layer.bias.assign(jt.zeros(layer.bias.shape))
