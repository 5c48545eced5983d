"""A generator in use: its networks, and how they are shown label maps; the same in training and in generation.

Random numbers come from outside (`noise_source`), so that training draws them and generation derives them from seed and
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shanshui.architectures.base import Generator
from shanshui.architectures.noise_source import NoiseSource
from shanshui.architectures.schedule import Step
from shanshui.backend.lazy import jt
from shanshui.data.labels import NO_CLASS, one_hot
from shanshui.data.patches import patch_pyramid
from shanshui.nn.patch_spade import PatchPyramid, to_device

FULL = Step(level=None, alpha=0.0, fading=False, full=True)


@dataclass(frozen=True)
class Conditioning:
    """What the networks are shown of N label maps, on the device.

    Attributes:
        segmap: (N, num_classes, H, W), one-hot; all zero where there is no class.
        edges: (N, 1, H, W), boundaries; for generators and discriminators that see them.
        positions: (N, 2, H, W), offsets within each region; for CLADE-ICPE.
        patches: by size (h, w) the label maps' distinct patches, where computing with them is faster.
    """

    segmap: Any
    edges: Any = None
    positions: Any = None
    patches: PatchPyramid = field(default_factory=dict)

    def with_edges(self) -> Any:
        """Label maps and edges as one: (N, num_classes, H, W), or one channel more."""
        return self.segmap if self.edges is None else jt.concat([self.segmap, self.edges], 1)


@dataclass
class BuiltGenerator:
    """A generator's networks, called as its declaration says.

    Attributes:
        declared: the declaration (`architectures.registry`).
        G: the generator.
        E: its encoder, or None.
    """

    declared: Generator
    G: Any
    E: Any = None

    def networks(self) -> dict[str, Any]:
        """By letter, as in a checkpoint."""
        return {"G": self.G} if self.E is None else {"G": self.G, "E": self.E}

    @property
    def num_classes(self) -> int:
        """Channels of the one-hot label maps."""
        return self.declared.num_classes

    @property
    def takes_style(self) -> bool:
        """Whether the random vector is a style, which an encoder may read off a photo."""
        return self.declared.takes_style

    @property
    def style_encoder(self) -> Any:
        """Photo -> mean and log variance of its style, where there is such an encoder."""
        return self.E if self.takes_style else None

    @property
    def vector(self) -> int:
        """Length of the random vector each picture is made from; 0 for none."""
        return self.declared.vector

    @property
    def takes_noise(self) -> bool:
        """Whether its pictures depend on random numbers at all."""
        return self.declared.takes_noise

    def patch_sizes(self, height: int, width: int, step: Step = FULL) -> list[tuple[int, int]]:
        """Sizes (h, w) at which the generator can use distinct patches."""
        return self.declared.patch_sizes(self.G, height, width, step)

    def classes(self, label_maps: np.ndarray) -> np.ndarray:
        """Ids as the generator numbers them: 255, no class, may be a class of its own, the last."""
        if not self.declared.unknown_class:
            return label_maps
        return np.where(label_maps == NO_CLASS, self.num_classes - 1, label_maps).astype(np.uint8)

    def extra_inputs(self, label_maps: np.ndarray, instances: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Arrays in addition to label maps uint8 (N, H, W), by name in `Conditioning`; edges of instances (N, H, W)."""
        return self.declared.extra_inputs(label_maps, instances)

    def condition(
        self, label_maps: np.ndarray, sizes: Sequence[tuple[int, int]] = (), instances: np.ndarray | None = None
    ) -> Conditioning:
        """Label maps uint8 (N, H, W) and what goes with them on the device, with distinct patches at `sizes`."""
        label_maps = self.classes(label_maps)
        extra_inputs = {name: jt.array(array) for name, array in self.extra_inputs(label_maps, instances).items()}
        segmap = jt.array(one_hot(label_maps, self.num_classes))
        return Conditioning(
            segmap, patches=to_device(patch_pyramid(label_maps, sizes), self.num_classes), **extra_inputs
        )

    def generate(self, conditioning: Conditioning, noise_source: NoiseSource, step: Step = FULL) -> Any:
        """Pictures (N, 3, H, W) in [-1, 1], smaller in the steps of a schedule that grows."""
        return self.declared.generate(self.G, self.E, conditioning, noise_source, step)
