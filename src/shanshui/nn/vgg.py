"""VGG19 up to relu5_1 (Simonyan and Zisserman 2015), for perceptual losses; without weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import Module, jt, nn

if TYPE_CHECKING:
    from jittor import Var


LAYOUT = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512)
TAPS = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 in torchvision's numbering
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(Module):
    """Features of VGG19; keys (`features.N.weight`, ...) are those of torchvision and Jittor's hub.

    Its parameters are frozen; gradients reach the images.

    Args:
        imagenet_normalise: shift and scale [-1, 1] to the range the network was trained on; APF-GAN does not.
    """

    def __init__(self, imagenet_normalise: bool = True) -> None:
        self.imagenet_normalise = imagenet_normalise
        layers, channels = [], 3
        for width in LAYOUT:
            if isinstance(width, int):
                layers += [nn.Conv(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            else:
                layers.append(nn.Pool(2, 2))
        self.features = nn.Sequential(*layers)
        for parameter in self.parameters():
            parameter.stop_grad()

    def execute(self, image: Var) -> list[Var]:
        """Compute five maps (N, C, h / 2^i, w / 2^i), C 64 .. 512, of an image (N, 3, h, w) in [-1, 1], sides >= 32."""
        x = imagenet_range(image) if self.imagenet_normalise else image
        taps = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in TAPS:
                taps.append(x)
        return taps


def imagenet_range(image: Var) -> Var:
    """Shift and scale (N, 3, h, w) in [-1, 1] to zero mean and unit standard deviation over ImageNet."""
    mean, std = (jt.array(v).reshape(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return ((image + 1) / 2 - mean) / std
