"""OASIS (Schönfeld et al. 2021): a generator with the same random vector at every pixel, a discriminator of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from shanshui.architectures.base import (
    Discriminator,
    DiscriminatorBatch,
    Generator,
    LossConfig,
    SpectrallyNormed,
    Terms,
    architecture,
)
from shanshui.backend.lazy import jt
from shanshui.config.section import Positive

if TYPE_CHECKING:
    import numpy as np
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.export.graph import Graph
    from shanshui.export.inputs import Inputs

HALVINGS = 5


@architecture
class Oasis(SpectrallyNormed, Generator):
    """Generator of OASIS, with the same random vector at every pixel of an image."""

    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4, "z_dim": 4, "spade_hidden": 8}
    aligned: ClassVar[tuple[str, ...]] = ("body.0", "body.1", "body.3")

    name: Literal["oasis"] = "oasis"
    spade_hidden: Positive = Field(128, description="hidden channels inside every SPADE layer")
    z_dim: int = Field(64, ge=0, description="length of the random vector at every pixel; 0: none")

    @property
    def vector(self) -> int:
        """Return the length of the random vector of each image; 0 for none."""
        return self.z_dim

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 2**HALVINGS, f"generator oasis doubles its first features {HALVINGS} times"

    def build(self) -> tuple[Module, Module | None]:
        """Build generator and encoder (None without one)."""
        from shanshui.architectures.oasis_networks import OasisGenerator

        G = OasisGenerator(
            self.num_classes, self.base_channels, noise_channels=self.vector, spade_hidden=self.spade_hidden,
            spectral_norm=self.normed, plan=self.context.plan,
        )  # fmt: skip
        return G, None

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        return G(conditioning.segmap, self.random_vector(conditioning, noise_source))

    def add_to_onnx(self, graph: Graph, inputs: Inputs) -> str:
        """Add its nodes to an ONNX graph, see `Generator.add_to_onnx`."""
        from shanshui.architectures.oasis_onnx import add_oasis

        return add_oasis(graph, inputs, self.z_dim, HALVINGS)


@architecture
class PixelClassifier(SpectrallyNormed, Discriminator):
    """Discriminator of OASIS: classifies every pixel as one of the classes or as generated; no feature matching."""

    loss_options: ClassVar[frozenset[str]] = frozenset({"label_mix"})

    name: Literal["oasis"] = "oasis"

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 64, "discriminator oasis halves it 6 times"

    def build(self) -> Module:
        """Build the network."""
        from shanshui.architectures.oasis_networks import OasisDiscriminator

        return OasisDiscriminator(self.num_classes, self.base_channels, spectral_norm=self.normed)

    def forward(self, D: Module, labels: Var, photo: Var) -> object:
        """Apply the network to images (N, 3, H, W) of label maps at full size, to count the cost."""
        return D(photo)

    def generator_loss(
        self, D: Module, fake: Var, photo: Var, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig
    ) -> Terms:
        """Compute the loss terms of G and E; `fake` and `photo` are those of `batch` before augmentation."""
        from shanshui.nn.losses import image_losses
        from shanshui.nn.oasis_losses import oasis_generator_losses
        from shanshui.nn.spectral_together import normalised_together

        with normalised_together([D], "all"):
            logits = D(batch.fake)
        terms = oasis_generator_losses(logits, self.classes(batch))
        return terms | image_losses(fake, photo, loss_config.weights, loss_config.perceptual)

    def discriminator_loss(
        self, D: Module, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig, rng: np.random.Generator
    ) -> Terms:
        """Compute the loss terms of D, with the fakes held constant; `rng` is the same on all MPI ranks."""
        from shanshui.backend import ranks
        from shanshui.nn.oasis_losses import draw_classes, mix, mix_mask, oasis_discriminator_losses
        from shanshui.nn.spectral_together import normalised_together

        segmap, n = self.classes(batch), batch.fake.shape[0]
        images, mask = [batch.fake, batch.photo], None
        if loss_config.label_mix:
            choices = draw_classes(rng, n * ranks.world_size(), self.num_classes)[ranks.shard(n)]
            mask = mix_mask(segmap, choices)
            images.append(mix(batch.photo, batch.fake, mask))
        with normalised_together([D], "all"):
            logits = D(jt.concat(images, 0))  # (2 or 3 times N, num_classes + 1, H, W)
        fake, real = logits[:n], logits[n : 2 * n]
        mixed = logits[2 * n : 3 * n] if len(images) > 2 else None
        return oasis_discriminator_losses(fake, real, segmap, mixed, mask, loss_config.label_mix)

    def classes(self, batch: DiscriminatorBatch) -> Var:
        """Return the label maps of a batch without edges."""
        return batch.labels[:, : self.num_classes]
