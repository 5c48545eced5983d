"""What an architecture declares: its options, how its networks are built and called, how they are trained.

A declaration is a section of training's settings and of a checkpoint's header, typed and checked; unknown names in it
are refused. Importing one loads neither Jittor nor numpy: networks are imported where they are built or called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from shanshui.storage.size import Size

if TYPE_CHECKING:
    import numpy as np

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.nn.losses import GanLoss

Sections = dict[str, dict[str, Any]]
Terms = dict[str, Any]  # loss terms by name, scalars on the device
SMALL_CLASSES = 3  # of networks as small as can be


class Network(BaseModel):
    """A network by its sizes and options.

    Attributes:
        name: what the configuration calls it.
        header: entries of a section that tell this kind from the others.
        options: those of the configuration's section `model` that it knows, in addition to its width.
        parity_options: likewise of the section `parity`.
        smallest: the least values with which it needs the same kernels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]
    header: ClassVar[Mapping[str, object]] = {}
    options: ClassVar[frozenset[str]] = frozenset()
    parity_options: ClassVar[frozenset[str]] = frozenset()
    smallest: ClassVar[Mapping[str, int]] = {}

    def section(self) -> dict[str, Any]:
        """The section in settings and headers: what was set, in the order of the fields."""
        return self.model_dump(exclude_unset=True)

    def minimal(self) -> Self:
        """The same network as small as can be: for compiling kernels beforehand, and for tests."""
        small = {name: value for name, value in self.smallest.items() if name in self.model_fields_set}
        return self.model_copy(update={name: value for name, value in small.items() if getattr(self, name)})

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 1, ""

    def parameters(self, pixels: int) -> int:
        """Return the number of its parameters and buffers in a checkpoint, for images of `pixels` pixels."""
        raise NotImplementedError


class StyleEncoder(Network):
    """Encoder of a VAE, from a photograph to its style."""

    name: ClassVar[str] = "style encoder"
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4, "z_dim": 4}

    base_channels: int
    z_dim: int
    norm: str = "instance"
    spectral_norm: bool

    def build(self) -> Any:
        """Build the network: photograph -> mean and log variance of its style."""
        from shanshui.architectures import style_encoder

        return style_encoder.StyleEncoder(**self.model_dump())

    def parameters(self, pixels: int) -> int:
        from shanshui.architectures.network_counts import style_encoder

        return style_encoder(self.model_dump())


class Generator(Network):
    """A generator with its encoder, if any.

    Attributes:
        training_options: options of the training phases that only some generators know, and this one does.
        grows: it generates smaller images first, and the discriminator grows with it.
        least_side: below it a network has too few pixels to mirror at its smallest size.
        fresh: layers that fine-tuning may add to what pretraining left.
        dropped: layers of pretraining that fine-tuning does without.
        num_classes: channels of the one-hot label maps.
        unknown_class: the last of these is that of unlabelled pixels.
        z_dim: length of the random vector of each image; None for none.
        edges: boundaries are one channel more.
        instances: they are those of instances, not of classes.
        encoder: the style encoder.
        size: of the images, where the start from a vector fixes it.
    """

    training_options: ClassVar[frozenset[str]] = frozenset()
    grows: ClassVar[bool] = False
    least_side: ClassVar[int] = 1
    fresh: ClassVar[tuple[str, ...]] = ()
    dropped: ClassVar[tuple[str, ...]] = ()
    smallest: ClassVar[Mapping[str, int]] = {"num_classes": SMALL_CLASSES, "base_channels": 4, "z_dim": 4, "hidden": 8}

    kind: str = ""
    num_classes: int
    unknown_class: bool = False
    base_channels: int
    spectral_norm: bool
    z_dim: int | None = None
    edges: bool = False
    instances: bool = False
    encoder: StyleEncoder | None = Field(None, exclude=True)
    size: Size | None = Field(None, exclude=True)

    # --- options ------------------------------------------------------------------------------------------

    @classmethod
    def refuse(cls, options: Mapping[str, Any]) -> str | None:
        """Why these options of the section `model` do not go together; None where they do."""
        return None

    @classmethod
    def configured(cls, options: Mapping[str, Any], classes: int, parity: Mapping[str, str], size: Size) -> Self:
        """From the section `model` of the configuration, which need not have been checked for it.

        Args:
            options: the whole section.
            classes: of the label maps.
            parity: switches of the section `parity`.
            size: of the images.
        """
        spectral_norm = parity["spectral_norm"] == "on"
        shared: dict[str, Any] = {
            "num_classes": classes, "unknown_class": False, "base_channels": options["base_channels"],
            "spectral_norm": spectral_norm, "z_dim": options["z_dim"] or None, "edges": options["edges"] != "none",
        }  # fmt: skip
        shared |= {"instances": True} if options["edges"] == "instance" else {}
        encoder = None
        if options["style_encoder"]:
            encoder = StyleEncoder(
                base_channels=options["style_encoder"], z_dim=options["z_dim"], norm=options["style_norm"],
                spectral_norm=spectral_norm,
            )  # fmt: skip
        own = cls.own_options(options)
        return cls(**{"kind": cls.header["kind"], **shared, **own, "encoder": encoder, "size": size})

    @classmethod
    def own_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that not all generators have."""
        return {}

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Self:
        """From training's settings or a checkpoint's metadata."""
        data = meta["data"]
        size = Size(data["height"], data["width"]) if data.get("height") and data.get("width") else None
        return cls(**meta["model"], encoder=meta.get("encoder"), size=size)

    def sections(self) -> Sections:
        """Of settings and headers, by their names."""
        return {"model": self.section(), **({"encoder": self.encoder.section()} if self.encoder else {})}

    def minimal(self) -> Self:
        found = super().minimal()
        return found.model_copy(update={"encoder": self.encoder.minimal() if self.encoder else None})

    # --- training -----------------------------------------------------------------------------------------

    def in_phase(self, heads: int, seg_noise: bool) -> Self:
        """Return the generator of a training phase: with `heads` outputs below full size, with noise or not."""
        return self

    def extra_header(self) -> dict[str, Any]:
        """Return the entries of a checkpoint's header, besides the sections, from which networks are built."""
        return {"seg_noise": False}

    def step_bytes(self, batch: int) -> int | None:
        """Bytes at the peak of a training step, without weights and discriminators; None if unknown."""
        return None

    # --- networks -----------------------------------------------------------------------------------------

    def build(self) -> tuple[Any, Any]:
        """Generator and encoder (None without one), freshly made."""
        raise NotImplementedError

    def initialise(self, *networks: Any) -> None:
        """Give fresh networks the weights training starts from."""
        from shanshui.nn.init import init_weights

        for network in networks:
            init_weights(network)

    @property
    def takes_style(self) -> bool:
        """Whether the random vector is a style, which an encoder can compute from a photograph."""
        return False

    @property
    def vector(self) -> int:
        """Length of the random vector of each image; 0 for none."""
        return self.z_dim or 0

    @property
    def takes_noise(self) -> bool:
        """Whether its images depend on random numbers."""
        return self.vector > 0

    def patch_sizes(self, G: Any, size: Size, step: Step) -> list[Size]:
        """Sizes at which the generator can use distinct patches."""
        return []

    def extra_inputs(self, label_maps: np.ndarray, instances: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Arrays in addition to label maps uint8 (N, H, W), by name in `Conditioning`; edges of instances (N, H, W)."""
        from shanshui.data.edges import edges

        return {"edges": edges(label_maps if instances is None else instances)} if self.edges else {}

    def generate(self, G: Any, E: Any, conditioning: Conditioning, noise_source: NoiseSource, step: Step) -> Any:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        raise NotImplementedError

    def random_vector(self, conditioning: Conditioning, noise_source: NoiseSource) -> Any:
        """(N, `vector`), or None."""
        return noise_source.vector(conditioning.segmap.shape[0], self.vector) if self.vector else None


@dataclass(frozen=True)
class LossConfig:
    """What losses are made of, the same for every step of a phase.

    Attributes:
        weights: factors of the generator's loss terms: feat, rec, perceptual.
        perceptual: (fake, real) -> perceptual loss, or None.
        gan: kind of the adversarial loss, where patches are scored.
        label_mix: weight of LabelMix, where pixels are classified.
    """

    weights: Mapping[str, float]
    perceptual: Callable[[Any, Any], Any] | None
    gan: GanLoss = "hinge"
    label_mix: float = 0.0


@dataclass(frozen=True)
class DiscriminatorBatch:
    """What a discriminator sees of a batch: photographs, fakes (N, 3, h, w) and label maps, augmented alike."""

    photo: Any
    fake: Any
    labels: Any


class Discriminator(Network):
    """A discriminator, and the losses it makes.

    Attributes:
        loss_options: options of the training phases that only some discriminators know, and this one does.
        grows: it takes in one output size of a growing generator after another.
    """

    loss_options: ClassVar[frozenset[str]] = frozenset()
    grows: ClassVar[bool] = False
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4, "count": 2}

    kind: str = ""
    base_channels: int
    spectral_norm: bool

    @classmethod
    def configured(cls, options: Mapping[str, Any], classes: int, parity: Mapping[str, str]) -> Self:
        """From the section `model` of the configuration; arguments as of `Generator.configured`."""
        shared = {
            "kind": cls.header["kind"], "base_channels": options["discriminator_channels"],
            "spectral_norm": parity["spectral_norm"] == "on",
        }  # fmt: skip
        return cls(**{**shared, **cls.own_options(options, classes)})

    @classmethod
    def own_options(cls, options: Mapping[str, Any], classes: int) -> dict[str, Any]:
        """Return the fields that not all discriminators have."""
        return {}

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Self:
        """From training's settings or a checkpoint's metadata."""
        return cls(**meta["discriminator"])

    def sections(self) -> Sections:
        """Of settings and headers, by their names."""
        return {"discriminator": self.section()}

    def minimal_for(self, generator: Generator) -> Self:
        """Return the smallest one that fits the smallest form of `generator`."""
        return self.minimal()

    @property
    def output_sizes(self) -> int:
        """Output sizes that training goes through; 1 where nothing grows."""
        return 1

    def build(self) -> Any:
        """The network, freshly made."""
        raise NotImplementedError

    def forward(self, D: Any, labels: Any, photo: Any) -> Any:
        """What the network says of images (N, 3, H, W) of label maps, full size; for counting what that costs."""
        return D(labels, photo)

    def generator_loss(
        self, D: Any, fake: Any, photo: Any, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig
    ) -> Terms:
        """Terms of G and E; `fake` and `photo` are those of `batch` before augmentation."""
        raise NotImplementedError

    def discriminator_loss(
        self, D: Any, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig, rng: np.random.Generator
    ) -> Terms:
        """Terms of D, to which the fakes are constant; `rng` draws alike on all MPI ranks."""
        raise NotImplementedError
