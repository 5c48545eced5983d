"""CAT's generator (Jin et al. 2021): SPADE with branches of several kernels, each as wide as it needs to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from shanshui.architectures.base import Generator, architecture
from shanshui.architectures.spade import UPSAMPLINGS, divisor_of

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.export.graph import Graph
    from shanshui.export.inputs import Inputs

SLOPES = {"relu": 0.0, "leaky_relu": 0.01}


@architecture
class InceptionSpade(Generator):
    """Generator of CAT: SPADE's trunk of small parallel branches, whose widths its search chooses.

    It was published without spectral norm.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"edges"})
    aligned: ClassVar[tuple[str, ...]] = ("head_0", "G_middle_1", "up_1")
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4}

    name: Literal["inception_spade"] = "inception_spade"
    upsampling: Literal["normal", "more", "most"] = Field(
        "normal", description="5, 6 or 7 doublings of the first features"
    )
    activation: Literal["relu", "leaky_relu"] = Field(
        "relu", description="activation in the blocks; leaky_relu with a slope of 0.01"
    )

    @model_validator(mode="after")
    def width_can_be_halved(self) -> Self:
        """Check that the width is even for 7 doublings, whose last features have half of it."""
        if self.upsampling == "most" and self.base_channels % 2:
            raise ValueError(f"base_channels {self.base_channels} is halved by upsampling most: use an even number")
        return self

    @property
    def halvings(self) -> int:
        """Return the number of doublings."""
        return UPSAMPLINGS[self.upsampling]

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return divisor_of(self.upsampling)

    def build(self) -> tuple[Module, Module | None]:
        """Build generator and encoder (None without one)."""
        from shanshui.architectures.inception_spade_generator import InceptionGenerator

        G = InceptionGenerator(
            self.num_classes + self.edges, self.base_channels, self.upsampling, slope=SLOPES[self.activation],
            plan=self.context.plan,
        )  # fmt: skip
        return G, None

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        return G(conditioning.with_edges())

    def add_to_onnx(self, graph: Graph, inputs: Inputs) -> str:
        """Add its nodes to an ONNX graph, see `Generator.add_to_onnx`."""
        from shanshui.architectures.inception_spade_onnx import add_inception

        return add_inception(graph, inputs, self.upsampling, SLOPES[self.activation])
