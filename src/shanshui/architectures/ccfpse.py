"""CC-FPSE (Liu et al. 2019): conditional convolutions, and the feature-pyramid discriminator."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from shanshui.architectures.base import SpectrallyNormed, architecture
from shanshui.architectures.patch_losses import SegmapDiscriminator
from shanshui.architectures.spade import Upsampled

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step

PEAK = 2.6  # of a training step's memory / the convolutions' results: with norms, activations and gradients


@architecture
class Ccfpse(Upsampled):
    """Generator of CC-FPSE: from the label map, or from a style vector."""

    name: Literal["ccfpse"] = "ccfpse"
    upsampling: Literal["normal", "more"] = Field("normal", description="5 or 6 halvings of the label pyramid")

    def step_bytes(self, batch: int) -> int | None:
        """Estimate the bytes at the peak of a training step, without weights and discriminators; None if unknown."""
        from shanshui.nn.ccfpse_shape import activation_bytes

        size = self.context.size
        return size and int(PEAK * activation_bytes(size, batch, self.base_channels, self.upsampling))

    def build(self) -> tuple[Module, Module | None]:
        """Build generator and encoder (None without one)."""
        from shanshui.architectures.ccfpse_generator import ConditionalGenerator

        G = ConditionalGenerator(
            self.num_classes + self.edges, self.base_channels, self.upsampling, z_dim=self.z_dim or None,
            size=self.start(), spectral_norm=self.normed,
        )  # fmt: skip
        return G, self.build_encoder()

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        return G(conditioning.with_edges(), self.random_vector(conditioning, noise_source))

    def parameters(self) -> int:
        """Count the values that a checkpoint stores of it, buffers included."""
        from shanshui.architectures.network_counts import ccfpse

        encoder = self.style_encoder.parameters(self.z_dim) if self.style_encoder else 0
        return ccfpse(self.counted(), self.pixels) + encoder


@architecture
class Fpse(SpectrallyNormed, SegmapDiscriminator):
    """Feature-pyramid discriminator, whose three scores share four features, hence the factor of feature matching."""

    matching: ClassVar[float] = 3 / 4  # the losses divide by the three lists, the paper's code by the four maps

    name: Literal["fpse"] = "fpse"

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 32, "discriminator fpse halves it 5 times"

    def build(self) -> Module:
        """Build the network."""
        from shanshui.architectures.fpse_discriminator import FPSEDiscriminator

        return FPSEDiscriminator(self.channels, self.base_channels, spectral_norm=self.normed)

    def parameters(self) -> int:
        """Count the values that a checkpoint stores of it, buffers included."""
        from shanshui.architectures.network_counts import fpse

        return fpse({**self.model_dump(), "channels": self.channels, "spectral_norm": self.normed})
