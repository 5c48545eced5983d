"""SPADE (Park et al. 2019), CLADE and CLADE-ICPE (Tan et al. 2021), and the multi-scale discriminator.

Three generators of one trunk, which differ in how features are modulated by the label map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shanshui.architectures.base import Generator
from shanshui.architectures.patch_losses import SegmapDiscriminator
from shanshui.storage.size import Size

if TYPE_CHECKING:
    import numpy as np

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step

UPSAMPLINGS = {"normal": 5, "more": 6, "most": 7}  # doublings of the first features
KERNEL = 3  # side of the convolutions inside SPADE
OF_BLOCKS = ("modulation", "norm", "kernel", "hidden", "edges", "activation", "attention", "spectral_norm")


class Upsampled(Generator):
    """A generator that doubles its first features as often as `upsampling` says.

    Attributes:
        upsampling: its name.
        halvings: the number of doublings.
    """

    upsampling: Literal["normal", "more", "most"]
    halvings: int

    @classmethod
    def own_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"upsampling": options["upsampling"], "halvings": UPSAMPLINGS[options["upsampling"]]}

    def divisor(self) -> tuple[int, str]:
        doublings = f"doubles the first features {self.halvings} times"
        return 2**self.halvings, f"model.upsampling {self.upsampling} {doublings}"

    @property
    def takes_style(self) -> bool:
        return self.vector > 0

    def start(self) -> Size | None:
        """Size of the images, which the start from a vector fixes; None for one from the label map."""
        return None if self.z_dim is None else self.size


class Spade(Upsampled):
    """SPADE: from the label map, or from a style vector.

    Attributes:
        modulation: how the label map modulates features.
        kernel: side of the convolutions inside SPADE.
        hidden: channels between label map and gamma, beta inside SPADE.
        norm: how features are standardised before they are modulated.
        activation: between modulation and convolution.
        attention: after each activation.
    """

    name: ClassVar[str] = "spade"
    header: ClassVar[Mapping[str, object]] = {"kind": "spade", "modulation": "spade"}
    options: ClassVar[frozenset[str]] = frozenset(
        {"spade_hidden", "upsampling", "z_dim", "style_encoder", "edges", "norm", "activation", "attention"}
    )

    modulation: Literal["spade", "clade", "clade_icpe"]
    kernel: int
    hidden: int
    norm: Literal["batch", "instance"]
    activation: Literal["leaky_relu", "gelu"]
    attention: Literal["none", "simam"]

    @classmethod
    def own_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        hidden = options["spade_hidden"] if "spade_hidden" in cls.options else 0
        blocks = {"modulation": cls.header["modulation"], "kernel": KERNEL, "hidden": hidden}
        words = {name: options[name] for name in ("norm", "activation", "attention")}
        return super().own_options(options) | blocks | words

    def build(self) -> tuple[Any, Any]:
        from shanshui.architectures.spade_generator import SPADEGenerator
        from shanshui.nn.spade_block import BlockKind

        kind = BlockKind(self.num_classes, **{name: getattr(self, name) for name in OF_BLOCKS})
        G = SPADEGenerator(kind, self.base_channels, self.upsampling, z_dim=self.z_dim, size=self.start())
        return G, self.encoder.build() if self.encoder else None

    def patch_sizes(self, G: Any, size: Size, step: Step) -> list[Size]:
        found: list[Size] = G.patch_sizes(size)
        return found

    def generate(self, G: Any, E: Any, conditioning: Conditioning, noise_source: NoiseSource, step: Step) -> Any:
        return G(
            conditioning.with_edges(),
            self.random_vector(conditioning, noise_source),
            conditioning.positions,
            conditioning.patches,
        )

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import spade

        return spade(self.model_dump(), pixels) + (self.encoder.parameters(pixels) if self.encoder else 0)


class Clade(Spade):
    """CLADE: a scale and a shift for each class."""

    name: ClassVar[str] = "clade"
    header: ClassVar[Mapping[str, object]] = {"kind": "spade", "modulation": "clade"}
    options: ClassVar[frozenset[str]] = Spade.options - {"spade_hidden"}


class CladeIcpe(Clade):
    """CLADE with intra-class positional encoding: the position of each pixel within its region is an input."""

    name: ClassVar[str] = "clade_icpe"
    header: ClassVar[Mapping[str, object]] = {"kind": "spade", "modulation": "clade_icpe"}

    def extra_inputs(self, label_maps: np.ndarray, instances: np.ndarray | None = None) -> dict[str, np.ndarray]:
        import numpy as np

        from shanshui.data.positions import positions

        found = super().extra_inputs(label_maps, instances)
        return found | {"positions": np.stack([positions(one) for one in label_maps])}


class Multiscale(SegmapDiscriminator):
    """The same discriminator at the full size, half of it, and so on.

    Attributes:
        count: how many.
        layers: convolutions of each before its prediction.
        activation: after each of these.
        attention: after each activation.
    """

    name: ClassVar[str] = "multiscale"
    header: ClassVar[Mapping[str, object]] = {"kind": "multiscale"}
    options: ClassVar[frozenset[str]] = frozenset({"activation", "attention", "discriminators"})

    count: int
    layers: int = 4
    activation: Literal["leaky_relu", "gelu"] = "leaky_relu"
    attention: Literal["none", "simam"] = "none"

    @classmethod
    def own_options(cls, options: Mapping[str, Any], classes: int) -> dict[str, Any]:
        words = {name: options[name] for name in ("activation", "attention")}
        return super().own_options(options, classes) | {"count": options["discriminators"]} | words

    def build(self) -> Any:
        from shanshui.architectures.multiscale_discriminator import MultiscaleDiscriminator

        return MultiscaleDiscriminator(**self.model_dump(exclude={"kind"}))

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import multiscale

        return multiscale(self.model_dump())
