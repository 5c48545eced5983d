"""Load and freeze the perceptual networks of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shanshui.backend.lazy import jt
from shanshui.config.sections import PERCEPTUAL
from shanshui.nn.efficientnet import EfficientNetLite0
from shanshui.nn.inception import Inception
from shanshui.nn.losses import INCEPTION_WEIGHTS, VGG_WEIGHTS, mean, perceptual, total
from shanshui.nn.lpips import LPIPS
from shanshui.nn.vgg import VGG19, imagenet_range
from shanshui.weights.catalogue import fill_network, require

if TYPE_CHECKING:
    from jittor import Module, Var


Loss = Callable[["Var", "Var"], "Var"]
Scaling = Literal["raw", "imagenet"]
Statistics = Literal["batch", "running"]
Features = Callable[["Var"], Sequence["Var"]]


def perceptual_loss(
    net: str, path: str | Path | None, perceptual_input: Scaling, inception_norm: Statistics
) -> Loss | None:
    """Create the perceptual loss (fake, real) -> scalar by features of `net`; None for "none".

    Args:
        net: one of `PERCEPTUAL`, or "none".
        path: its weight file; None for the one in its usual place.
        perceptual_input: range of the inputs of vgg19, vgg16 and inception_v3: that of the images, or ImageNet's.
        inception_norm: statistics of inception_v3's batch norm: of the batch, or the running ones.

    Raises:
        ShanshuiError: the weight file is missing or is that of another network.
    """
    if net == "none":
        return None
    name = PERCEPTUAL[net]
    path = require(name, path)
    network, loss = untrained_loss(net, perceptual_input, inception_norm)
    fill_network(network, name, path)
    for parameter in network.parameters():
        parameter.stop_grad()
    return loss


def untrained_loss(net: str, perceptual_input: Scaling, inception_norm: Statistics) -> tuple[Module, Loss]:
    """Build a perceptual network without its weights, and the loss by its features."""
    network, features, weights = _network(net, perceptual_input == "imagenet", inception_norm == "batch")
    if isinstance(network, LPIPS):
        return network, lambda fake, real: lpips_loss(network, fake, real)
    return network, lambda fake, real: perceptual(features, weights, fake, real)


def _network(net: str, scaled: bool, batch_statistics: bool) -> tuple[Module, Features, Sequence[float]]:
    """Build a network without weights; return it, its features of images in [-1, 1], and the weight of each."""
    if net == "vgg19":
        vgg19 = VGG19(imagenet_normalise=scaled)
        return vgg19, vgg19, VGG_WEIGHTS
    if net == "inception_v3":
        inception = Inception("torchvision", batch_statistics=batch_statistics)
        return inception, (lambda x: inception(imagenet_range(x) if scaled else x)), INCEPTION_WEIGHTS
    if net == "efficientnet_lite0":
        efficientnet = EfficientNetLite0()
        return efficientnet, efficientnet.kept, VGG_WEIGHTS
    lpips = LPIPS("alexnet" if net == "lpips_alex" else "vgg16")
    return lpips, (lambda x: lpips.features(lpips.scaled(x) if scaled else x)), VGG_WEIGHTS


def lpips_loss(network: LPIPS, fake: Var, real: Var) -> Var:
    """Compute the mean LPIPS (1,) between fakes and photographs, both (N, 3, h, w); photographs get no gradients."""
    with jt.no_grad():
        wanted = network.features(network.scaled(real))
    found = network.features(network.scaled(fake))
    return mean(total(network.between(found, [x.detach() for x in wanted])))
