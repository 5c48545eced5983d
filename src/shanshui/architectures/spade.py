"""SPADE (Park et al. 2019), CLADE and CLADE-ICPE (Tan et al. 2021), and the multi-scale discriminator.

Three generators with the same trunk, which differ in how features are modulated by the label map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self, cast

from pydantic import Field, field_validator, model_validator

from shanshui.architectures.base import Generator, SpectrallyNormed, StyleEncoder, architecture
from shanshui.architectures.context import Context
from shanshui.architectures.converter import Converter
from shanshui.architectures.patch_losses import SegmapDiscriminator
from shanshui.architectures.spade_weights import CLADE, SPADE
from shanshui.config.section import Positive
from shanshui.storage.size import Size

if TYPE_CHECKING:
    import numpy as np
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.architectures.spade_generator import SPADEGenerator as SPADEGeneratorNetwork
    from shanshui.export.graph import Graph
    from shanshui.export.inputs import Inputs

UPSAMPLINGS = {"normal": 5, "more": 6, "most": 7}  # doublings of the first features


def divisor_of(upsampling: str) -> tuple[int, str]:
    """Return the number of which the sides of images must be multiples, and the reason."""
    doublings = UPSAMPLINGS[upsampling]
    reason = f"model.generator.upsampling {upsampling} doubles the first features {doublings} times"
    return 2**doublings, reason


class Upsampled(SpectrallyNormed, Generator):
    """Generator that doubles its first features as often as `upsampling` says, and may start from a style vector."""

    inputs: ClassVar[frozenset[str]] = frozenset({"edges"})
    aligned: ClassVar[tuple[str, ...]] = ("head_0", "G_middle_1", "up_1")
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4, "z_dim": 4, "spade_hidden": 8}

    upsampling: Literal["normal", "more", "most"] = Field(
        "normal", description="5, 6 or 7 doublings of the first features"
    )
    z_dim: int = Field(
        0, ge=0, description="length of each image's random vector; 0: none, G starts from the label map"
    )
    style_encoder: StyleEncoder | None = Field(
        None, description="a VAE's encoder, which reads that vector off a photograph"
    )

    @model_validator(mode="after")
    def style_has_a_length(self) -> Self:
        """Check that there is a `z_dim` where there is a style encoder."""
        if self.style_encoder and not self.z_dim:
            raise ValueError("style_encoder needs a z_dim, the length of the styles it finds (256 in the paper)")
        return self

    @property
    def halvings(self) -> int:
        """Return the number of doublings."""
        return UPSAMPLINGS[self.upsampling]

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return divisor_of(self.upsampling)

    def within(self, context: Context) -> Self:
        """Return the same network, to be built for the classes, size and switches of `context`."""
        found = super().within(context)
        if found.style_encoder is None:
            return found
        norm = found.style_encoder.spectral_norm or context.parity.get("spectral_norm", "on")
        encoder = found.style_encoder.model_copy(update={"spectral_norm": norm})
        return super(Upsampled, found.model_copy(update={"style_encoder": encoder})).within(context)

    def minimal(self) -> Self:
        """Return the same network at its smallest widths, for kernel precompilation and for tests."""
        found = super().minimal()
        if found.style_encoder is None:
            return found
        encoder = found.style_encoder.model_copy(update={"base_channels": 4})
        return found.model_copy(update={"style_encoder": encoder})

    def build_encoder(self) -> Module | None:
        """Build the style encoder; None without one."""
        return self.style_encoder.build(self.z_dim) if self.style_encoder else None

    @property
    def has_style_encoder(self) -> bool:
        """Return whether an encoder computes styles from photographs."""
        return self.style_encoder is not None

    @property
    def vector(self) -> int:
        """Return the length of the random vector of each image; 0 for none."""
        return self.z_dim

    @property
    def takes_style(self) -> bool:
        """Return whether the random vector is a style, which an encoder can compute from a photograph."""
        return self.vector > 0

    def start(self) -> Size | None:
        """Return the size of the images where a start from a vector fixes it; None for a start from the label map."""
        return self.context.size if self.z_dim else None

    def onnx_size(self) -> Size | None:
        """Return the only size of label maps that its ONNX graph takes; None where it takes several."""
        return self.start()


class Modulated(Upsampled):
    """SPADE's trunk of residual blocks, whose features the label map modulates.

    Attributes:
        modulation: "spade", "clade" or "clade_icpe".
    """

    modulation: ClassVar[Literal["spade", "clade", "clade_icpe"]]

    norm: Literal["batch", "instance"] = Field("batch", description="how features are standardised")
    activation: Literal["leaky_relu", "gelu"] = Field("leaky_relu", description="activation in the blocks")
    attention: Literal["none", "simam"] = Field("none", description="attention after every such activation")

    @model_validator(mode="after")
    def width_can_be_halved(self) -> Self:
        """Check that the width is even for 7 doublings, whose last features have half of it."""
        if self.upsampling == "most" and self.base_channels % 2:
            raise ValueError(f"base_channels {self.base_channels} is halved by upsampling most: use an even number")
        return self

    @property
    def has_batch_norm(self) -> bool:
        """Return whether it has running statistics, which can be re-estimated for averaged weights."""
        return self.norm == "batch"

    @property
    def together_on_cpu(self) -> bool:
        """Return whether on a CPU an image of a batch has the bits that it has alone: products of vectors might not."""
        return self.modulation == "spade" and not self.vector and self.attention == "none"

    def modulation_sizes(self) -> dict[str, int]:
        """Return kernel side and hidden channels of the modulating layers."""
        return {"kernel": 3, "hidden": 0}

    def build(self) -> tuple[Module, Module | None]:
        """Build generator and encoder (None without one)."""
        from shanshui.architectures.spade_generator import SPADEGenerator
        from shanshui.nn.spade_block import BlockKind

        kind = BlockKind(
            self.num_classes, self.modulation, self.norm, **self.modulation_sizes(), edges=self.edges,
            activation=self.activation, attention=self.attention, spectral_norm=self.normed,
        )  # fmt: skip
        G = SPADEGenerator(
            kind, self.base_channels, self.upsampling, z_dim=self.z_dim or None, size=self.start(),
            plan=self.context.plan,
        )  # fmt: skip
        return G, self.build_encoder()

    def patch_sizes(self, G: Module, size: Size, step: Step) -> list[Size]:
        """List the sizes at which the generator can use distinct patches."""
        found: list[Size] = cast("SPADEGeneratorNetwork", G).patch_sizes(size)
        return found

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        return G(
            conditioning.with_edges(),
            self.random_vector(conditioning, noise_source),
            conditioning.positions,
            conditioning.patches,
        )

    def add_to_onnx(self, graph: Graph, inputs: Inputs) -> str:
        """Add its nodes to an ONNX graph, see `Generator.add_to_onnx`."""
        from shanshui.architectures.spade_onnx import add_modulated

        return add_modulated(
            graph, inputs, base_channels=self.base_channels, upsampling=self.upsampling, z_dim=self.z_dim,
            size=self.start(), activation=self.activation, attention=self.attention, edges=self.edges,
        )  # fmt: skip


@architecture
class Spade(Modulated):
    """Generator of SPADE: scale and shift of each pixel are convolved from the label map around it."""

    modulation: ClassVar[Literal["spade", "clade", "clade_icpe"]] = "spade"
    converters: ClassVar[Mapping[str, Converter]] = {"spade": SPADE}

    name: Literal["spade"] = "spade"
    spade_hidden: Positive = Field(128, description="hidden channels inside every SPADE layer")
    spade_kernel: int = Field(3, ge=1, le=15, description="side of the convolutions inside every SPADE layer, odd")

    @field_validator("spade_kernel")
    @classmethod
    def kernel_has_a_centre(cls, side: int) -> int:
        """Check that the kernel's side is odd."""
        if side % 2 == 0:
            raise ValueError(f"{side} is even: use {side - 1} or {side + 1}")
        return side

    def modulation_sizes(self) -> dict[str, int]:
        """Return kernel side and hidden channels of the modulating layers."""
        return {"kernel": self.spade_kernel, "hidden": self.spade_hidden}


@architecture
class Clade(Modulated):
    """Generator of CLADE: a scale and a shift for each class."""

    modulation: ClassVar[Literal["spade", "clade", "clade_icpe"]] = "clade"
    converters: ClassVar[Mapping[str, Converter]] = {"clade": CLADE}  # and CLADE-ICPE, which the arrays distinguish

    name: Literal["clade"] = "clade"


@architecture
class CladeIcpe(Modulated):
    """Generator of CLADE with intra-class positional encoding: scale and shift also depend on a pixel's position."""

    modulation: ClassVar[Literal["spade", "clade", "clade_icpe"]] = "clade_icpe"

    name: Literal["clade_icpe"] = "clade_icpe"

    def extra_inputs(self, label_maps: np.ndarray, instances: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Compute edges and positions within regions, see `Generator.extra_inputs`."""
        import numpy as np

        from shanshui.data.positions import positions

        found = super().extra_inputs(label_maps, instances)
        return found | {"positions": np.stack([positions(one) for one in label_maps])}


@architecture
class Multiscale(SpectrallyNormed, SegmapDiscriminator):
    """Multi-scale discriminator: the same patch discriminator at the full size, half of it, and so on."""

    name: Literal["multiscale"] = "multiscale"
    count: int = Field(2, ge=1, le=5, description="number of discriminators, each of half the size of the one before")
    layers: int = Field(4, ge=2, le=8, description="convolutions of each before its prediction")
    activation: Literal["leaky_relu", "gelu"] = Field("leaky_relu", description="activation after each of these")
    attention: Literal["none", "simam"] = Field("none", description="attention after every such activation")

    def build(self) -> Module:
        """Build the network."""
        from shanshui.architectures.multiscale_discriminator import MultiscaleDiscriminator

        return MultiscaleDiscriminator(
            self.channels, self.base_channels, self.count, self.layers, spectral_norm=self.normed,
            activation=self.activation, attention=self.attention,
        )  # fmt: skip
