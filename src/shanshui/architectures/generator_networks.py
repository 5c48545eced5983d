"""A generator in use: its networks, and how label maps are prepared for them; the same in training and generation.

Random numbers come from outside (`noise_source`), so that training draws them and generation derives them from seed
and name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.base import Generator
from shanshui.architectures.noise_source import NoiseSource
from shanshui.architectures.schedule import Step
from shanshui.backend.lazy import jt
from shanshui.data.labels import NO_CLASS
from shanshui.nn.condition import one_hot_maps
from shanshui.nn.patch_numbering import patches_of
from shanshui.nn.patch_spade import PatchPyramid
from shanshui.nn.spectral_together import normalised_together
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Module, Var


FULL = Step(level=None, alpha=0.0, fading=False, full=True)


@dataclass(frozen=True)
class Conditioning:
    """Inputs of the networks for N label maps, on the device.

    Attributes:
        segmap: (N, num_classes, H, W), one-hot; all zero where there is no class.
        edges: (N, 1, H, W), boundaries; for generators and discriminators with this input.
        positions: (N, 2, H, W), offsets within each region; for CLADE-ICPE.
        patches: by size the label maps' distinct patches, where computing with them is faster.
    """

    segmap: Var
    edges: Var | None = None
    positions: Var | None = None
    patches: PatchPyramid = field(default_factory=dict)

    def with_edges(self) -> Var:
        """Concatenate label maps and edges: (N, num_classes, H, W), or one channel more."""
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
    G: Module
    E: Module | None = None

    def networks(self) -> dict[str, Module]:
        """Return the networks by letter, as in a checkpoint."""
        return {"G": self.G} if self.E is None else {"G": self.G, "E": self.E}

    @property
    def style_encoder(self) -> Module | None:
        """Return the style encoder, photograph -> mean and log variance of its style, where there is one."""
        return self.E if self.declared.takes_style else None

    def patch_sizes(self, size: Size, step: Step = FULL) -> list[Size]:
        """List the sizes at which the generator can use distinct patches."""
        return self.declared.patch_sizes(self.G, size, step)

    def classes(self, label_maps: np.ndarray) -> np.ndarray:
        """Convert class ids to the generator's: 255, no class, may be a class of its own, the last."""
        if not self.declared.unknown_class:
            return label_maps
        return np.where(label_maps == NO_CLASS, self.declared.num_classes - 1, label_maps).astype(np.uint8)

    def condition(
        self, label_maps: np.ndarray, sizes: Sequence[Size] = (), instances: np.ndarray | None = None,
        patches: PatchPyramid | None = None,
    ) -> Conditioning:  # fmt: skip
        """Upload label maps and further inputs to the device.

        Args:
            label_maps: class ids uint8 (N, H, W).
            sizes: (h, w) at which distinct patches are found.
            instances: instance ids (N, H, W), whose edges are used instead of those of classes; or None.
            patches: the distinct patches, if they have been found already.
        """
        declared, label_maps = self.declared, self.classes(label_maps)
        extra_inputs = {name: jt.array(array) for name, array in declared.extra_inputs(label_maps, instances).items()}
        segmap = one_hot_maps(label_maps, declared.num_classes)
        if patches is None:
            patches = patches_of(label_maps, sizes, declared.num_classes)
        return Conditioning(segmap, patches=patches, **extra_inputs)

    def generate(self, conditioning: Conditioning, noise_source: NoiseSource, step: Step = FULL) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the steps of a growing schedule."""
        with normalised_together([*self.networks().values()], (step.level, step.alpha > 0)):
            return self.declared.generate(self.G, self.E, conditioning, noise_source, step)
