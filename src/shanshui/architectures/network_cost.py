"""What networks take: parameters, multiply-accumulates and memory, counted on the networks as they are built.

Building computes nothing: Jittor only records shapes, so that the largest networks are counted in seconds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from shanshui.architectures import segmenter
from shanshui.architectures.base import Discriminator
from shanshui.architectures.generator_networks import FULL, BuiltGenerator
from shanshui.architectures.noise_source import seeded_noise
from shanshui.architectures.registry import discriminator_of, generator_of
from shanshui.architectures.schedule import Step
from shanshui.backend.lazy import jt
from shanshui.backend.runtime import load_jittor
from shanshui.data.patches import patch_pyramid
from shanshui.nn.cost import Cost, cost
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Module


@dataclass(frozen=True)
class NetworkCounts:
    """Numbers of float32 values of a run's networks, encoders included.

    Attributes:
        pretrained: stored in weights of pretraining.
        finetuned: stored in weights of fine-tuning.
        discriminator: stored of the discriminator.
        segmenter: stored of the segmenter that the run trains; 0 without one.
        outputs: of the generator's convolutions and linear layers for one image, which training keeps.
    """

    pretrained: int
    finetuned: int
    discriminator: int
    segmenter: int
    outputs: int

    @classmethod
    def of(cls, found: object) -> NetworkCounts | None:
        """Return the counts in parsed JSON, as `as_json` writes them; None where these are something else."""
        names = {field.name for field in fields(cls)}
        if not isinstance(found, dict) or found.keys() != names or not all(type(n) is int for n in found.values()):
            return None
        return cls(**found)

    def as_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


def stored(*networks: Module | None) -> int:
    """Count the values that a checkpoint stores of networks: parameters, running statistics, singular vectors."""
    shapes = [var.shape for network in networks if network is not None for var in network.state_dict().values()]
    return sum(math.prod(shape) for shape in shapes)


def generator_costs(generator: BuiltGenerator, size: Size) -> dict[str, Cost]:
    """Count the costs of generating one image of `size`: of the generator "G", and of the encoder "E" if it has one."""
    conditioning = generator.condition(np.zeros((1, *size), np.uint8))
    costs = {"G": cost(generator.G, lambda: generator.generate(conditioning, seeded_noise(0)(["one"])))}
    if generator.E is not None:
        encoder_input = jt.zeros((1, 3, *size)) if generator.declared.takes_style else conditioning.segmap
        costs["E"] = cost(generator.E, functools.partial(generator.E, encoder_input))
        if not generator.declared.takes_style:  # generating has gone through it
            costs["G"].macs -= costs["E"].macs
            costs["G"].outputs -= costs["E"].outputs
    return costs


def patch_shares(generator: BuiltGenerator, label_maps: np.ndarray, step: Step = FULL) -> dict[Size, float]:
    """Compute the distinct 3x3 patches per pixel, on average over label maps (N, H, W), by size where they are used."""
    sizes = generator.patch_sizes(Size.of_maps(label_maps), step)
    shares: dict[Size, list[float]] = {size: [] for size in sizes}
    for label_map in label_maps:
        pyramid = patch_pyramid(label_map[None], sizes)
        for size in sizes:
            used = len(pyramid[size].labels) / size.pixels if size in pyramid else 1.0
            shares[size].append(used)
    return {size: float(np.mean(found)) for size, found in shares.items()}


def discriminator_cost(declared: Discriminator, D: Module, size: Size) -> Cost:
    """Count the cost of a discriminator for one image of `size`."""
    labels = jt.zeros((1, declared.num_classes + declared.edges, *size))
    return cost(D, lambda: declared.forward(D, labels, jt.zeros((1, 3, *size))))


def count(settings: Mapping[str, Any]) -> NetworkCounts:
    """Build the networks of settings, and count what they store and what training keeps.

    Args:
        settings: sections data, model and parity, and the entries `seg_noise`, noise in the SPADE layers of
            fine-tuning, and `segmenter_channels`, None where no segmenter is trained.
    """
    load_jittor()  # as this package sets it up; a plug-in's network may `import jittor`
    generator, discriminator = generator_of(settings), discriminator_of(settings)
    tuned = generator.in_phase(0, settings["seg_noise"])
    built = BuiltGenerator(tuned, *tuned.build())
    channels = settings["segmenter_channels"]
    unet = segmenter.UNet(len(settings["data"]["classes"]), channels) if channels else None
    size = Size(settings["data"]["height"], settings["data"]["width"])
    return NetworkCounts(
        pretrained=stored(*generator.in_phase(discriminator.output_sizes - 1, seg_noise=False).build()),
        finetuned=stored(built.G, built.E),
        discriminator=stored(discriminator.build()),
        segmenter=stored(unet),
        outputs=generator_costs(built, size)["G"].outputs,
    )
