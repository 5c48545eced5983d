"""APF-GAN: a generator with a mask encoder that grows, and progressive discriminators, one added per size.

https://doi.org/10.1007/s41095-023-0357-1. Its section in settings and headers has no `kind`; with the
progressive discriminators it holds their sizes too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from shanshui.architectures.base import Generator, Sections
from shanshui.architectures.patch_losses import PatchDiscriminator
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step

GENERATOR_FIELDS = ("base_channels", "halvings", "spade_hidden")
PROGRESSIVE_FIELDS = ("discriminators", "discriminator_channels")


class Apf(Generator):
    """Mask encoder, sizes that grow, noise in every SPADE layer.

    Attributes:
        halvings: times E halves the label map.
        spade_hidden: hidden channels inside every SPADE layer.
        heads: output sizes below the full one.
        seg_noise: noise whose strength depends on the class.
        seg_noise_init: how the strength starts.
    """

    name: ClassVar[str] = "apf"
    header: ClassVar[Mapping[str, object]] = {"kind": None}
    options: ClassVar[frozenset[str]] = frozenset({"halvings", "spade_hidden"})
    training_options: ClassVar[frozenset[str]] = frozenset({"seg_noise"})
    parity_options: ClassVar[frozenset[str]] = frozenset({"seg_noise_init"})
    grows: ClassVar[bool] = True
    fresh: ClassVar[tuple[str, ...]] = ("seg_noise_var",)
    dropped: ClassVar[tuple[str, ...]] = ("inter_conv_img",)
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4, "spade_hidden": 8}

    halvings: int
    spade_hidden: int
    heads: int = 0
    seg_noise: bool = False
    seg_noise_init: Literal["xavier", "zero"] = Field("zero", exclude=True)

    @classmethod
    def configured(cls, options: Mapping[str, Any], classes: int, parity: Mapping[str, str], size: Size) -> Self:
        return cls.of(options, classes, parity, size)

    @classmethod
    def of(
        cls, sizes: Mapping[str, Any], classes: int, parity: Mapping[str, str], size: Size | None, **phase: Any
    ) -> Self:
        """From its sizes and the switches of the section `parity`; `phase` are heads and seg_noise."""
        return cls(
            **{name: sizes[name] for name in GENERATOR_FIELDS}, num_classes=classes, size=size,
            spectral_norm=parity["spectral_norm"] == "on", seg_noise_init=parity["seg_noise_init"], **phase,
        )  # fmt: skip

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Self:
        data = meta["data"]
        size = Size(data["height"], data["width"]) if data.get("height") and data.get("width") else None
        phase = {name: meta[name] for name in ("heads", "seg_noise") if name in meta}
        return cls.of(meta["model"], len(data["classes"]), meta["parity"], size, **phase)

    def section(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in GENERATOR_FIELDS}

    def divisor(self) -> tuple[int, str]:
        return 2**self.halvings, f"model.halvings {self.halvings} halves it {self.halvings} times"

    def in_phase(self, heads: int, seg_noise: bool) -> Self:
        return self.model_copy(update={"heads": heads, "seg_noise": seg_noise})

    def extra_header(self) -> dict[str, Any]:
        return {"heads": self.heads, "seg_noise": self.seg_noise}

    def build(self) -> tuple[Any, Any]:
        from shanshui.architectures import apf_encoder, apf_generator

        E = apf_encoder.MaskEncoder(self.num_classes, self.base_channels, self.halvings, self.spectral_norm)
        G = apf_generator.Generator(
            self.num_classes, self.base_channels, self.halvings, heads=self.heads, seg_noise=self.seg_noise,
            spectral_norm=self.spectral_norm, spade_hidden=self.spade_hidden,
        )  # fmt: skip
        return G, E

    def initialise(self, *networks: Any) -> None:
        from shanshui.nn.init import init_weights

        for network in reversed(networks):  # E first, as published: that is the order of the random numbers
            init_weights(network, seg_noise=self.seg_noise_init)

    @property
    def takes_noise(self) -> bool:
        return self.seg_noise

    def patch_sizes(self, G: Any, size: Size, step: Step) -> list[Size]:
        found: list[Size] = G.patch_sizes(size, step.level, step.alpha)
        return found

    def generate(self, G: Any, E: Any, conditioning: Conditioning, noise_source: NoiseSource, step: Step) -> Any:
        noise = noise_source.layer if self.seg_noise else None
        return G(
            E(conditioning.segmap),
            conditioning.segmap,
            level=step.level,
            alpha=step.alpha,
            noise=noise,
            patches=conditioning.patches,
        )

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import apf, mask_encoder

        return apf(self) + mask_encoder(self)


class ProgressiveDiscriminators(PatchDiscriminator):
    """Progressive discriminators: one for each output size, added one after another as the generator grows.

    Attributes:
        discriminators: how many.
        num_classes: of the label maps.
        full_order: which of them sees which size once all are in use.
        pool_padding: whether padding counts in the average pooling.
    """

    name: ClassVar[str] = "bank"
    header: ClassVar[Mapping[str, object]] = {"kind": None}
    options: ClassVar[frozenset[str]] = frozenset({"discriminators"})
    parity_options: ClassVar[frozenset[str]] = frozenset({"grow_copy", "full_order", "loss_resize", "pool_padding"})
    grows: ClassVar[bool] = True

    discriminators: int
    num_classes: int
    full_order: str
    pool_padding: str

    @classmethod
    def configured(cls, options: Mapping[str, Any], classes: int, parity: Mapping[str, str]) -> Self:
        return cls(
            discriminators=options["discriminators"], base_channels=options["discriminator_channels"],
            num_classes=classes, spectral_norm=parity["spectral_norm"] == "on", full_order=parity["full_order"],
            pool_padding=parity["pool_padding"],
        )  # fmt: skip

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Self:
        return cls.configured(meta["model"], len(meta["data"]["classes"]), meta["parity"])

    def sections(self) -> Sections:
        return {"model": dict(zip(PROGRESSIVE_FIELDS, (self.discriminators, self.base_channels), strict=True))}

    @property
    def output_sizes(self) -> int:
        return self.discriminators

    def build(self) -> Any:
        from shanshui.architectures.apf_discriminator import Discriminator

        return Discriminator(
            self.num_classes, self.base_channels, self.discriminators, spectral_norm=self.spectral_norm,
            reverse_in_full=self.full_order == "reversed", pool_counts_padding=self.pool_padding == "counted",
        )  # fmt: skip

    def forward_features(self, D: Any, step: Step, labels: Any, *images: Any) -> Any:
        return D(labels, *images, level=step.level, alpha=step.alpha)

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import progressive_discriminators

        return progressive_discriminators(self)
