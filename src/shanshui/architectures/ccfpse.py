"""CC-FPSE (Liu et al. 2019): conditional convolutions, and the feature-pyramid discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from shanshui.architectures.base import SpectrallyNormed, architecture
from shanshui.architectures.ccfpse_weights import PYTORCH
from shanshui.architectures.converter import Converter
from shanshui.architectures.patch_losses import SegmapDiscriminator
from shanshui.architectures.spade import Upsampled

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.export.graph import Graph
    from shanshui.export.inputs import Inputs
    from shanshui.nn.losses import Features


@architecture
class Ccfpse(Upsampled):
    """Generator of CC-FPSE: from the label map, or from a style vector."""

    step_peak: ClassVar[float | None] = 2.77  # 2.6 with depthwise ones (measured on a CPU at 192x256, 8 to 32 channels)
    converters: ClassVar[Mapping[str, Converter]] = {"ccfpse": PYTORCH}

    name: Literal["ccfpse"] = "ccfpse"
    upsampling: Literal["normal", "more"] = Field("normal", description="5 or 6 halvings of the label pyramid")

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

    def add_to_onnx(self, graph: Graph, inputs: Inputs) -> str:
        """Add its nodes to an ONNX graph, see `Generator.add_to_onnx`."""
        from shanshui.architectures.ccfpse_onnx import add_ccfpse

        return add_ccfpse(
            graph, inputs, base_channels=self.base_channels, upsampling=self.upsampling, z_dim=self.z_dim,
            size=self.start(),
        )  # fmt: skip


@architecture
class Fpse(SpectrallyNormed, SegmapDiscriminator):
    """Feature-pyramid discriminator, whose three scores share four features, hence the factor of feature matching."""

    matching: ClassVar[float] = 3 / 4  # the losses divide by the three lists, the paper's code by the four maps

    name: Literal["fpse"] = "fpse"
    count: int = Field(
        1, ge=1, le=5, description="number of training resolutions; more than 1 for a generator that grows"
    )

    @property
    def output_sizes(self) -> int:
        """Return the number of output sizes that training goes through; 1 where nothing grows."""
        return self.count

    def minimal(self) -> Self:
        """Return the same discriminator at its smallest width, for kernel precompilation and for tests."""
        return super().minimal().model_copy(update={"count": self.count})

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 32, "discriminator fpse halves it 5 times"

    def build(self) -> Module:
        """Build the network."""
        from shanshui.architectures.fpse_discriminator import FPSEDiscriminator

        return FPSEDiscriminator(self.channels, self.base_channels, spectral_norm=self.normed)

    def forward_features(self, D: Module, step: Step, labels: Var, *images: Var) -> list[Features]:
        """Compute feature maps and scores of batches of images of the same label maps."""
        return D(labels, *images, level=step.level, alpha=step.alpha)
