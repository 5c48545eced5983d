"""The perceptual networks of a recipe, loaded and frozen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from shanshui.models.inception import Inception
from shanshui.models.vgg import VGG19, imagenet_range
from shanshui.runtime import load_jittor
from shanshui.training.losses import INCEPTION_WEIGHTS, VGG_WEIGHTS, perceptual
from shanshui.weights.catalogue import fill_network, require

jt = load_jittor()

Loss = Callable[[Any, Any], Any]


def perceptual_loss(net: str, path: str | Path | None, parity: dict[str, str]) -> Loss | None:
    """Loss (fake, real) -> scalar by features of `net`, or None for "none".

    Raises ShanshuiError where the weight file is missing or not the network's.
    """
    if net == "none":
        return None
    path = require(net, path)
    scaled = parity["perceptual_input"] == "imagenet"
    if net == "vgg19":
        network: Any = VGG19(imagenet_normalise=scaled)
        features, weights = network, VGG_WEIGHTS
    else:
        network = Inception("torchvision", batch_statistics=parity["inception_norm"] == "batch")
        features, weights = (lambda x: network(imagenet_range(x) if scaled else x)), INCEPTION_WEIGHTS
    fill_network(network, net, path)
    for parameter in network.parameters():
        parameter.stop_grad()
    return lambda fake, real: perceptual(features, weights, fake, real)
