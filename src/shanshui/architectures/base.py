"""Declarations of architectures: their options, how their networks are built and called, how they are trained.

A declaration is a section of the configuration: `model.generator` and `model.discriminator` are unions of all
declared classes, distinguished by `name`. Settings and checkpoint headers hold the section as it is. Importing a
declaration loads neither Jittor nor NumPy: networks are imported where they are built or called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeVar, cast

from pydantic import Field, PrivateAttr

from shanshui.architectures.context import Context, Options
from shanshui.architectures.converter import Converter
from shanshui.config.section import Positive, Section
from shanshui.errors import ShanshuiError
from shanshui.storage.size import Size

if TYPE_CHECKING:
    import numpy as np
    from jittor import Module, Var

    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.noise_source import NoiseSource
    from shanshui.architectures.schedule import Step
    from shanshui.export.graph import Graph
    from shanshui.export.inputs import Inputs
    from shanshui.nn.losses import GanLoss

Terms = dict[str, "Var"]  # loss terms by name, scalars on the device
INIT_GAIN = 0.02  # of initial weights, as published for SPADE, pix2pixHD and APF-GAN
SMALL_CLASSES = 3  # of networks as small as can be


class Network(Section):
    """A network by its options; `within` a context it can be built.

    Attributes:
        name: its name in the configuration, in a subclass with the type Literal[name] and as the default.
        parity_options: those of the section `parity` that it knows.
        smallest: the least values with which it needs the same kernels.
    """

    parity_options: ClassVar[frozenset[str]] = frozenset()
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4}

    name: str
    _context: Context | None = PrivateAttr(None)

    def within(self, context: Context) -> Self:
        """Return the same network, to be built for the classes, size and switches of `context`."""
        found = self.model_copy()
        found._context = context
        return found

    @property
    def context(self) -> Context:
        """Return the context it is built for."""
        if self._context is None:
            raise ValueError(f"{self.name} has no context yet: call within()")
        return self._context

    @property
    def num_classes(self) -> int:
        """Return the channels of the one-hot label maps, edges not counted."""
        return self.context.num_classes

    @property
    def edges(self) -> bool:
        """Return whether boundaries are one channel more."""
        return self.context.edges != "none"

    def section(self) -> Options:
        """Return the section of settings and headers: every option, the name first."""
        return self.model_dump()

    def minimal(self) -> Self:
        """Return the same network at its smallest widths, for kernel precompilation and for tests."""
        small = {name: value for name, value in self.smallest.items() if getattr(self, name, 0)}
        return self.model_copy(update=small).within(replace(self.context, num_classes=SMALL_CLASSES, plan={}))

    def divisor(self) -> tuple[int, str]:
        """Return the number of which the sides of images must be multiples, and the reason."""
        return 1, ""


class SpectrallyNormed(Network):
    """A network whose convolutions can be spectrally normalised (Miyato et al. 2018)."""

    parity_options: ClassVar[frozenset[str]] = frozenset({"spectral_norm"})

    spectral_norm: Literal["on", "off"] | None = Field(
        None, description="spectral normalisation of its convolutions; null: as parity.spectral_norm"
    )

    def within(self, context: Context) -> Self:
        """Return the network within a context, whose `parity` decides where the option is not set."""
        switch = self.spectral_norm or context.parity.get("spectral_norm", "on")
        return super(SpectrallyNormed, self.model_copy(update={"spectral_norm": switch})).within(context)

    @property
    def normed(self) -> bool:
        """Return whether convolutions are spectrally normalised."""
        return self.spectral_norm == "on"


class StyleEncoder(Section):
    """The encoder of a VAE, which computes the style of a photograph."""

    base_channels: Positive = Field(64, description="width of its first layer (nef)")
    norm: Literal["instance", "batch"] = Field(
        "instance", description="its norm; instance norm hides how bright and of what colour a photograph is"
    )
    spectral_norm: Literal["on", "off"] | None = Field(
        None, description="spectral normalisation of its convolutions; null: as parity.spectral_norm"
    )

    def build(self, z_dim: int) -> Module:
        """Build the network: photograph -> mean and log variance of its style, each (N, z_dim)."""
        from shanshui.architectures import style_encoder

        return style_encoder.StyleEncoder(self.base_channels, z_dim, self.norm, self.spectral_norm == "on")


class Generator(Network):
    """A generator with its encoder, if any.

    Attributes:
        inputs: inputs it can be given in addition to label maps: "edges".
        training_options: options of the training phases that only some generators know, and this one does.
        header_entries: entries of a checkpoint's metadata, in addition to its section, without which it cannot be
            built.
        grows: it generates smaller images first, with discriminators that grow with it.
        step_peak: memory at the peak of a training step / outputs of its convolutions, which training keeps; None where
            it was not measured.
        device_peak: the same of a step on a GPU with dense layers, as counted there; None where it was not counted.
        device_peak_patches: the same on distinct label patches, of which there are few.
        least_side: smallest side of an image; below it a network has too few pixels to reflect at its smallest size.
        converters: of the weights of other implementations, by the name that `shanshui import` has for them.
        fresh: layers that fine-tuning may add to those of pretraining.
        dropped: layers of pretraining that fine-tuning does without.
        aligned: parts of the network, by name, whose outputs a student is compared with those of its teacher.
    """

    inputs: ClassVar[frozenset[str]] = frozenset()
    training_options: ClassVar[frozenset[str]] = frozenset()
    header_entries: ClassVar[Mapping[str, type]] = {}
    grows: ClassVar[bool] = False
    step_peak: ClassVar[float | None] = None
    device_peak: ClassVar[float | None] = None
    device_peak_patches: ClassVar[float | None] = None
    least_side: ClassVar[int] = 1
    converters: ClassVar[Mapping[str, Converter]] = {}
    fresh: ClassVar[tuple[str, ...]] = ()
    dropped: ClassVar[tuple[str, ...]] = ()
    aligned: ClassVar[tuple[str, ...]] = ()

    base_channels: Positive = Field(64, description="width of the first layers of G and E (ngf)")

    @property
    def unknown_class(self) -> bool:
        """Return whether the last class is that of unlabelled pixels."""
        return self.context.unknown_class

    @property
    def instances(self) -> bool:
        """Return whether edges are those of instances, not of classes."""
        return self.context.edges == "instance"

    @property
    def has_style_encoder(self) -> bool:
        """Return whether an encoder computes styles from photographs."""
        return False

    @property
    def together_on_cpu(self) -> bool:
        """Return whether on a CPU an image of a batch has the bits that it has alone, so that batches serve speed."""
        return False

    @property
    def has_batch_norm(self) -> bool:
        """Return whether it has running statistics, which can be re-estimated for averaged weights."""
        return True

    def narrowed(self, base_channels: int) -> Self:
        """Return the same network of another width; SPADE layers get two hidden channels per channel.

        Hidden channels that stay as they are would soon take most of the cost.
        """
        hidden = {"spade_hidden": 2 * base_channels} if "spade_hidden" in type(self).model_fields else {}
        options = {**self.section(), "base_channels": base_channels, **hidden}
        return type(self).model_validate(options).within(replace(self.context, plan={}))

    def planned(self, plan: Mapping[str, int]) -> Self:
        """Return the same generator with channels removed from groups (`nn.channel_groups`)."""
        return self.within(replace(self.context, plan=dict(plan)))

    def model_entry(self) -> Options:
        """Return what a header's entry `model` says of it: its section, and the plan where channels were removed."""
        plan = self.context.plan
        return {"generator": self.section(), **({"plan": dict(plan)} if plan else {})}

    # --- training -----------------------------------------------------------------------------------------

    def in_phase(self, heads: int, seg_noise: bool) -> Self:
        """Return the generator of a training phase: with `heads` smaller outputs, with noise or not."""
        return self

    def extra_header(self) -> Mapping[str, object]:
        """Return the metadata of a checkpoint that the networks need in addition to the sections."""
        return {"seg_noise": False}

    # --- networks -----------------------------------------------------------------------------------------

    def build(self) -> tuple[Module, Module | None]:
        """Build generator and encoder (None without one)."""
        raise NotImplementedError

    def initialise(self, *networks: Module, gain: float) -> None:
        """Set the weights that training starts from, in place; `gain` is `pretrain.init_gain`."""
        from shanshui.nn.init import init_weights

        for network in networks:
            init_weights(network, gain)

    @property
    def takes_style(self) -> bool:
        """Return whether the random vector is a style, which an encoder can compute from a photograph."""
        return False

    @property
    def vector(self) -> int:
        """Return the length of the random vector of each image; 0 for none."""
        return 0

    @property
    def takes_noise(self) -> bool:
        """Return whether its images depend on random numbers."""
        return self.vector > 0

    def patch_sizes(self, G: Module, size: Size, step: Step) -> list[Size]:
        """List the sizes at which the generator can use distinct patches."""
        return []

    def extra_inputs(self, label_maps: np.ndarray, instances: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Compute inputs in addition to label maps, by their names in `Conditioning`.

        Args:
            label_maps: class ids uint8 (N, H, W).
            instances: instance ids (N, H, W), whose edges are used instead of those of classes; or None.
        """
        from shanshui.data.edges import edges

        return {"edges": edges(label_maps if instances is None else instances)} if self.edges else {}

    def generate(
        self, G: Module, E: Module | None, conditioning: Conditioning, noise_source: NoiseSource, step: Step
    ) -> Var:
        """Generate images (N, 3, H, W) in [-1, 1], smaller in the first steps of a progressive schedule."""
        raise NotImplementedError

    def random_vector(self, conditioning: Conditioning, noise_source: NoiseSource) -> Var | None:
        """Draw the random vectors (N, `vector`), or return None where there are none."""
        return noise_source.vector(conditioning.segmap.shape[0], self.vector) if self.vector else None

    def onnx_size(self) -> Size | None:
        """Return the only size of label maps that its ONNX graph takes; None where it takes several."""
        return None

    def add_to_onnx(self, graph: Graph, inputs: Inputs) -> str:
        """Add its nodes to an ONNX graph that holds its arrays, and return the name of the images (N, 3, H, W).

        Raises:
            ShanshuiError: the architecture declares no such graph.
        """
        raise ShanshuiError(
            f"the generator {self.name} declares no ONNX graph", "one of an architecture that does",
            "override `add_to_onnx` in its declaration",
        )  # fmt: skip


@dataclass(frozen=True)
class LossConfig:
    """Configuration of the losses, the same for every step of a phase.

    Attributes:
        weights: factors of the generator's loss terms: feat, rec, perceptual.
        perceptual: (fake, real) -> perceptual loss, or None.
        gan: kind of the adversarial loss, where patches are scored.
        label_mix: weight of LabelMix, where pixels are classified.
    """

    weights: Mapping[str, float]
    perceptual: Callable[[Var, Var], Var] | None
    gan: GanLoss = "hinge"
    label_mix: float = 0.0


@dataclass(frozen=True)
class DiscriminatorBatch:
    """A discriminator's inputs of a batch: photographs, fakes (N, 3, h, w) and label maps, augmented alike."""

    photo: Var
    fake: Var
    labels: Var


class Discriminator(Network):
    """A discriminator and its losses.

    Attributes:
        loss_options: options of the training phases that only some discriminators know, and this one does.
        grows: it has a discriminator for each output size, which begins with the weights of the one before.
    """

    loss_options: ClassVar[frozenset[str]] = frozenset()
    grows: ClassVar[bool] = False
    smallest: ClassVar[Mapping[str, int]] = {"base_channels": 4, "count": 2}

    base_channels: Positive = Field(64, description="width of the first layer of the shallowest discriminator (ndf)")

    @property
    def output_sizes(self) -> int:
        """Return the number of output sizes that training goes through; 1 where nothing grows."""
        return 1

    def build(self) -> Module:
        """Build the network."""
        raise NotImplementedError

    def forward(self, D: Module, labels: Var, photo: Var) -> object:
        """Apply the network to images (N, 3, H, W) of label maps at full size, to count the cost."""
        return D(labels, photo)

    def generator_loss(
        self, D: Module, fake: Var, photo: Var, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig
    ) -> Terms:
        """Compute the loss terms of G and E; `fake` and `photo` are those of `batch` before augmentation."""
        raise NotImplementedError

    def discriminator_loss(
        self, D: Module, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig, rng: np.random.Generator
    ) -> Terms:
        """Compute the loss terms of D, with the fakes held constant; `rng` is the same on all MPI ranks."""
        raise NotImplementedError


# --- declaring --------------------------------------------------------------------------------------------

GENERATORS: dict[str, type[Generator]] = {}
DISCRIMINATORS: dict[str, type[Discriminator]] = {}
Kind = TypeVar("Kind", bound=type[Network])


def architecture(kind: Kind) -> Kind:
    """Declare a generator or a discriminator, as a decorator of its class: it becomes a choice in the configuration.

    Raises:
        ShanshuiError: its name is already used, or an option has no default.
    """
    what = "generator" if issubclass(kind, Generator) else "discriminator"
    table = cast("MutableMapping[str, type[Network]]", GENERATORS if what == "generator" else DISCRIMINATORS)
    declared: type[Network] = kind
    fields = declared.model_fields
    name = fields["name"].default
    if lacking := [option for option, found in fields.items() if found.is_required()]:
        raise ShanshuiError(f"{kind.__name__}: {lacking[0]} has no default", f"a default for each option of a {what}")
    if name in table:
        raise ShanshuiError(f"two declarations of the {what} {name}", "one name for each", "rename one of them")
    table[name] = kind
    return kind
