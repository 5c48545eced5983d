"""pix2pixHD's global generator (Wang et al. 2018): from the label map alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from shanshui.architectures.base import Generator, architecture

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.export.graph import Graph
    from shanshui.export.inputs import Inputs

HALVINGS, BLOCKS = 4, 9


@architecture
class Pix2pixHD(Generator):
    """Global generator of pix2pixHD: strided convolutions, residual blocks, transposed convolutions.

    It was published without spectral norm.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"edges"})
    least_side: ClassVar[int] = 32
    aligned: ClassVar[tuple[str, ...]] = ("down_3", "block_4", "up_1")

    name: Literal["pix2pixhd"] = "pix2pixhd"
    norm: Literal["batch", "instance"] = Field("instance", description="how features are standardised")

    @property
    def has_batch_norm(self) -> bool:
        """Return whether it has running statistics, which can be re-estimated for averaged weights."""
        return self.norm == "batch"

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 2**HALVINGS, f"generator pix2pixhd halves it {HALVINGS} times"

    def build(self) -> tuple[Module, Module | None]:
        """Build generator and encoder (None without one)."""
        from shanshui.architectures.pix2pixhd_generator import GlobalGenerator

        return GlobalGenerator(
            self.num_classes + self.edges, self.base_channels, HALVINGS, BLOCKS, norm=self.norm, plan=self.context.plan
        ), None

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        return G(conditioning.with_edges())

    def add_to_onnx(self, graph: Graph, inputs: Inputs) -> str:
        """Add its nodes to an ONNX graph, see `Generator.add_to_onnx`."""
        from shanshui.architectures.pix2pixhd_onnx import add_pix2pixhd

        return add_pix2pixhd(graph, inputs, HALVINGS, BLOCKS)
