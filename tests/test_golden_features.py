"""VGG19, VGG16 and AlexNet against a second implementation, under weights made by the rule: no file is needed."""

from __future__ import annotations

from typing import Any

import golden_rule
import pytest
from golden_files import GoldenFiles
from golden_networks import close_map

from shanshui.backend.modules import restore
from shanshui.backend.runtime import load_jittor
from shanshui.nn.lpips import LPIPS
from shanshui.nn.vgg import VGG19

jt = load_jittor()

NUMBERS = {  # of the convolutions among torchvision's layers
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "alexnet": (0, 3, 6, 8, 10),
}


@pytest.mark.parametrize("net", NUMBERS)
def test_every_layer_that_is_looked_at(golden_files: GoldenFiles, net: Any) -> None:
    network = VGG19(imagenet_normalise=False) if net == "vgg19" else LPIPS(net)
    shapes = {name: tuple(var.shape) for name, var in network.state_dict().items() if "heads" not in name}
    theirs = [f"features.{number}.{part}" for number in NUMBERS[net] for part in ("weight", "bias")]
    renamed = dict(zip(theirs, shapes, strict=True))
    made = golden_rule.fill({name: shapes[ours] for name, ours in renamed.items()}, gain=2**0.5)
    heads = {name: var.numpy() for name, var in network.state_dict().items() if "heads" in name}
    restore(network, {renamed[name]: array for name, array in made.items()} | heads, "the rule's weights")
    arrays = golden_files("perceptual")[1]
    with jt.no_grad():
        image = jt.array(arrays["image"])
        found = network(image) if net == "vgg19" else network.features(image)
    wanted = [array for name, array in arrays.items() if name.startswith(f"{net}:")]
    for ours, stored in zip(found, wanted, strict=True):
        close_map(ours, stored)
