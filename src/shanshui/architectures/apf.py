"""APF-GAN: a generator with a mask encoder that grows, and its progressive discriminators.

https://doi.org/10.1007/s41095-023-0357-1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self, cast

from pydantic import Field, field_validator, model_validator

from shanshui.architectures.apf_weights import JITTOR
from shanshui.architectures.base import Generator, SpectrallyNormed, architecture
from shanshui.architectures.converter import Converter
from shanshui.architectures.patch_losses import PatchDiscriminator
from shanshui.config.section import Positive
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.apf_generator import Generator as GeneratorNetwork
    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.export.graph import Graph
    from shanshui.export.inputs import Inputs
    from shanshui.nn.losses import Features


@architecture
class Apf(SpectrallyNormed, Generator):
    """Generator of APF-GAN: mask encoder, sizes that grow, noise in every SPADE layer."""

    training_options: ClassVar[frozenset[str]] = frozenset({"seg_noise"})
    parity_options: ClassVar[frozenset[str]] = SpectrallyNormed.parity_options | {"seg_noise_init"}
    header_entries: ClassVar[Mapping[str, type]] = {"parity": dict, "heads": int}
    grows: ClassVar[bool] = True
    fresh: ClassVar[tuple[str, ...]] = ("seg_noise_var",)
    dropped: ClassVar[tuple[str, ...]] = ("inter_conv_img",)
    converters: ClassVar[Mapping[str, Converter]] = {"apf": JITTOR}
    aligned: ClassVar[tuple[str, ...]] = ("head_0", "G_middle_1", "up_1")
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4, "spade_hidden": 8}
    device_peak: ClassVar[float | None] = 1.52  # 1.97 GB a pair at 512x384, 64 channels (docs/gpu.md)
    device_peak_patches: ClassVar[float | None] = 0.62  # 0.80 GB a pair

    name: Literal["apf"] = "apf"
    base_channels: int = Field(64, ge=2, multiple_of=2, description="width of the first layers of G and E (ngf)")
    halvings: Literal[5, 6] = Field(
        6, description="times E halves the label map; sides must be multiples of 2^halvings"
    )
    spade_hidden: Positive = Field(128, description="hidden channels inside every SPADE layer")

    @field_validator("halvings", mode="before")
    @classmethod
    def _number(cls, halvings: object) -> object:
        """Convert the text that Snakemake makes of a number within `--config model={...}`."""
        return int(halvings) if halvings in ("5", "6") else halvings

    @property
    def heads(self) -> int:
        """Return the number of output sizes below the full one."""
        return self.context.heads

    @property
    def seg_noise(self) -> bool:
        """Return whether SPADE layers add noise whose strength depends on the class."""
        return self.context.seg_noise

    @property
    def together_on_cpu(self) -> bool:
        """Return whether on a CPU an image of a batch has the bits that it has alone."""
        return True

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 2**self.halvings, f"model.generator.halvings {self.halvings} halves it {self.halvings} times"

    def in_phase(self, heads: int, seg_noise: bool) -> Self:
        """Return the generator of a training phase: with `heads` smaller outputs, with noise or not."""
        return self.within(replace(self.context, heads=heads, seg_noise=seg_noise))

    def extra_header(self) -> Mapping[str, object]:
        """Return the metadata of a checkpoint that the networks need in addition to the sections."""
        return {"heads": self.heads, "seg_noise": self.seg_noise}

    def build(self) -> tuple[Module, Module | None]:
        """Build generator and encoder (None without one)."""
        from shanshui.architectures import apf_encoder, apf_generator

        E = apf_encoder.MaskEncoder(self.num_classes, self.base_channels, self.halvings, self.normed)
        G = apf_generator.Generator(
            self.num_classes, self.base_channels, self.halvings, heads=self.heads, seg_noise=self.seg_noise,
            spectral_norm=self.normed, spade_hidden=self.spade_hidden, plan=self.context.plan,
        )  # fmt: skip
        return G, E

    def initialise(self, *networks: Module, gain: float) -> None:
        """Set the weights that training starts from, in place; `gain` is `pretrain.init_gain`."""
        from shanshui.nn.init import init_weights

        start: Literal["xavier", "zero"] = "zero"
        if self.context.parity.get("seg_noise_init") == "xavier":
            start = "xavier"
        for network in reversed(networks):  # E first, as published: that is the order of the random numbers
            init_weights(network, gain, seg_noise=start)

    @property
    def takes_noise(self) -> bool:
        """Return whether its images depend on random numbers."""
        return self.seg_noise

    def patch_sizes(self, G: Module, size: Size, step: Step) -> list[Size]:
        """List the sizes at which the generator can use distinct patches."""
        found: list[Size] = cast("GeneratorNetwork", G).patch_sizes(size, step.level, step.alpha)
        return found

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        noise = noise_source.layer if self.seg_noise else None
        return G(
            cast("Module", E)(conditioning.segmap),
            conditioning.segmap,
            level=step.level,
            alpha=step.alpha,
            noise=noise,
            patches=conditioning.patches,
        )

    def add_to_onnx(self, graph: Graph, inputs: Inputs) -> str:
        """Add its nodes to an ONNX graph, see `Generator.add_to_onnx`."""
        from shanshui.architectures.apf_onnx import add_apf

        return add_apf(graph, inputs, self.halvings, self.seg_noise)


@architecture
class ProgressiveDiscriminators(SpectrallyNormed, PatchDiscriminator):
    """Progressive discriminators: one for each output size, added one after another as the generator grows."""

    parity_options: ClassVar[frozenset[str]] = SpectrallyNormed.parity_options | {
        "grow_copy", "full_order", "loss_resize", "pool_padding",
    }  # fmt: skip
    grows: ClassVar[bool] = True

    name: Literal["progressive"] = "progressive"
    count: int = Field(4, ge=2, le=5, description="number of discriminators, and of training resolutions")

    @model_validator(mode="after")
    def width_can_be_halved(self) -> Self:
        """Check that the first layer's width can be halved for each discriminator but the first."""
        if self.base_channels % 2 ** (self.count - 1):
            raise ValueError(
                f"base_channels {self.base_channels} is halved {self.count - 1} times: use a multiple of "
                f"{2 ** (self.count - 1)}"
            )
        return self

    def minimal(self) -> Self:
        """Return the same discriminators at their smallest widths, for kernel precompilation and for tests."""
        return super().minimal().model_copy(update={"count": self.count, "base_channels": 2**self.count})

    @property
    def output_sizes(self) -> int:
        """Return the number of output sizes that training goes through; 1 where nothing grows."""
        return self.count

    def build(self) -> Module:
        """Build the network."""
        from shanshui.architectures.apf_discriminator import Discriminator

        parity = self.context.parity
        return Discriminator(
            self.num_classes, self.base_channels, self.count, spectral_norm=self.normed,
            reverse_in_full=parity["full_order"] == "reversed", pool_counts_padding=parity["pool_padding"] == "counted",
        )  # fmt: skip

    def forward_features(self, D: Module, step: Step, labels: Var, *images: Var) -> list[Features]:
        """Compute feature maps and scores of batches of images of the same label maps."""
        return D(labels, *images, level=step.level, alpha=step.alpha)
