"""VGG16 and AlexNet convolutions, and LPIPS (Zhang et al. 2018), the perceptual distance on them; without weights.

Features of two images are scaled to unit length over the channels; the squared differences, weighted per channel
by the layer's head, are averaged over positions and summed over the layers.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, cast

from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.resize import upsample2

if TYPE_CHECKING:
    from jittor import Var


Net = Literal["vgg16", "alexnet"]
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of images in [-1, 1]
Layer = tuple[int, int, int, int]  # outputs, kernel, stride, padding
LAYOUTS: dict[str, tuple[tuple[Layer | int, ...], tuple[int, ...]]] = {  # layers, a pooling by its kernel; layers kept
    "vgg16": (
        (*[(64, 3, 1, 1)] * 2, 2, *[(128, 3, 1, 1)] * 2, 2, *[(256, 3, 1, 1)] * 3, 2, *[(512, 3, 1, 1)] * 3, 2,
         *[(512, 3, 1, 1)] * 3),
        (1, 3, 6, 9, 12),  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
    ),
    "alexnet": (
        ((64, 11, 4, 2), 3, (192, 5, 1, 2), 3, (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)),
        (0, 1, 2, 3, 4),  # relu1 .. relu5
    ),
}  # fmt: skip
SMALLEST = {"vgg16": 24, "alexnet": 40}  # side of an image that Jittor's poolings take
TINY = 1e-20  # under the square root, so that its gradient is finite where all channels are 0


class LPIPS(Module):
    """LPIPS on one of the two networks, with its heads; parameters are frozen, gradients reach the images.

    Args:
        net: which network.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        layers, self.kept = LAYOUTS[net]
        self.pools: dict[int, nn.Pool] = {}  # before which convolution
        convs: list[nn.Conv] = []
        channels = 3
        for layer in layers:
            if isinstance(layer, int):
                self.pools[len(convs)] = nn.Pool(layer, 2)
            else:
                outputs, kernel, stride, padding = layer
                convs.append(nn.Conv(channels, outputs, kernel, stride, padding))
                channels = outputs
        self.convs = nn.ModuleList(convs)
        self.heads = nn.ParameterList([jt.zeros((1, convs[i].out_channels, 1, 1)) for i in self.kept])
        for parameter in self.parameters():
            parameter.stop_grad()

    def features(self, scaled: Var) -> list[Var]:
        """Compute five maps after ReLU for images (N, 3, h, w), already shifted and scaled.

        Images too small for the poolings are doubled until they are not.
        """
        x, maps = scaled, []
        while min(x.shape[2:]) < SMALLEST[self.net]:
            x = upsample2(x)
        for i, conv in enumerate(self.convs):
            if i in self.pools:
                x = self.pools[i](x)
            x = nn.relu(conv(x))
            if i in self.kept:
                maps.append(x)
        return maps

    def scaled(self, images: Var) -> Var:
        """Shift and scale images (N, 3, h, w) in [-1, 1] for the network."""
        shift, scale = constants()
        return (images - shift) / scale

    def layers(self, images: Var, others: Var) -> list[Var]:
        """Compute the five terms (N,) of the distance of images (N, 3, h, w) in [-1, 1] to others of the same size."""
        return self.between(self.features(self.scaled(images)), self.features(self.scaled(others)))

    def between(self, maps: list[Var], others: list[Var]) -> list[Var]:
        """Compute the five terms (N,) from the features of both sides."""
        terms = []
        for one, other, head in zip(maps, others, self.heads, strict=True):
            difference = unit_length(one) - unit_length(other)
            weighted = (difference * difference * head).sum(1)
            terms.append(weighted.mean(2).mean(1))
        return terms

    def execute(self, images: Var, others: Var) -> Var:
        """Compute LPIPS (N,) between images (N, 3, h, w) in [-1, 1], 0 for equal ones."""
        return cast("Var", sum(self.layers(images, others)))


@functools.cache
def constants() -> tuple[Var, Var]:
    """Create shift and scale (1, 3, 1, 1) once; as attributes of the network they would be saved and loaded."""
    shift, scale = (jt.array(values).reshape(1, 3, 1, 1).stop_grad() for values in (SHIFT, SCALE))
    jt.sync([shift, scale])
    return shift, scale


def unit_length(x: Var) -> Var:
    """Scale (N, C, h, w) to length 1 over the channels at every position; 0 stays 0."""
    return x / ((x * x).sum(1, keepdims=True) + TINY).sqrt()
