"""CC-FPSE (Liu et al. 2019): conditional convolutions, and the feature-pyramid discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shanshui.architectures.patch_losses import SegmapDiscriminator
from shanshui.architectures.spade import Upsampled

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step

PEAK = 2.6  # of a training step's memory / the convolutions' results: with norms, activations and gradients


class Ccfpse(Upsampled):
    """From the label map, or from a style vector."""

    name: ClassVar[str] = "ccfpse"
    header: ClassVar[Mapping[str, object]] = {"kind": "ccfpse"}
    options: ClassVar[frozenset[str]] = frozenset({"upsampling", "z_dim", "style_encoder", "edges"})

    upsampling: Literal["normal", "more"]

    @classmethod
    def refuse(cls, options: Mapping[str, Any]) -> str | None:
        if options["upsampling"] == "most":
            return "upsampling most is not known for ccfpse, whose label pyramid has 5 or 6 halvings"
        return None

    def step_bytes(self, batch: int) -> int | None:
        from shanshui.nn.ccfpse_shape import activation_bytes

        return self.size and int(PEAK * activation_bytes(self.size, batch, self.base_channels, self.upsampling))

    def build(self) -> tuple[Module, Module | None]:
        from shanshui.architectures.ccfpse_generator import ConditionalGenerator

        G = ConditionalGenerator(
            self.num_classes + self.edges, self.base_channels, self.upsampling, z_dim=self.z_dim, size=self.start(),
            spectral_norm=self.spectral_norm,
        )  # fmt: skip
        return G, self.encoder.build() if self.encoder else None

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        return G(conditioning.with_edges(), self.random_vector(conditioning, noise_source))

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import ccfpse

        return ccfpse(self.model_dump(), pixels) + (self.encoder.parameters(pixels) if self.encoder else 0)


class Fpse(SegmapDiscriminator):
    """A pyramid whose three scores share four features, hence the factor of feature matching."""

    name: ClassVar[str] = "fpse"
    header: ClassVar[Mapping[str, object]] = {"kind": "fpse"}
    matching: ClassVar[float] = 3 / 4  # the losses divide by the three lists, the paper's code by the four maps

    def divisor(self) -> tuple[int, str]:
        return 32, "discriminator fpse halves it 5 times"

    def build(self) -> Module:
        from shanshui.architectures.fpse_discriminator import FPSEDiscriminator

        return FPSEDiscriminator(self.channels, self.base_channels, spectral_norm=self.spectral_norm)

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import fpse

        return fpse(self.model_dump())
