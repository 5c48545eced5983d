"""pix2pixHD's global generator (Wang et al. 2018): from the label map alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shanshui.architectures.base import Generator

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step

HALVINGS = 4


class Pix2pixHD(Generator):
    """Convolutions down, residual blocks, convolutions up.

    Attributes:
        norm: how features are standardised.
        halvings: of the label map.
    """

    name: ClassVar[str] = "pix2pixhd"
    header: ClassVar[Mapping[str, object]] = {"kind": "pix2pixhd"}
    options: ClassVar[frozenset[str]] = frozenset({"edges", "norm"})
    least_side: ClassVar[int] = 32

    norm: Literal["batch", "instance"]
    halvings: int

    @classmethod
    def own_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        plain = {"spectral_norm": False}  # published without; of its networks only the discriminator has it here
        return {**plain, "norm": options["norm"], "halvings": HALVINGS}

    def divisor(self) -> tuple[int, str]:
        return 2**self.halvings, f"generator pix2pixhd halves it {self.halvings} times"

    def build(self) -> tuple[Module, Module | None]:
        from shanshui.architectures.pix2pixhd_generator import GlobalGenerator

        return GlobalGenerator(self.num_classes + self.edges, self.base_channels, self.halvings, norm=self.norm), None

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        return G(conditioning.with_edges())

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import pix2pixhd

        return pix2pixhd(self.model_dump(), pixels)
