"""The sections of the configuration: options, descriptions and limits.

Imports pydantic and the records of metrics and datasets, never Jittor, so that Snakemake and the documentation read it
at once.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from shanshui.architectures.base import INIT_GAIN
from shanshui.backend.arithmetic import Precision
from shanshui.config.section import NonNegative, Positive, Section, Weight
from shanshui.data.landscape_classes import CLASSES
from shanshui.data.layouts import LAYOUTS
from shanshui.metrics.registry import METRICS
from shanshui.storage.size import Size
from shanshui.weights.builtin import BUILTIN

if TYPE_CHECKING:
    MetricName = str
    LayoutName = str
else:
    MetricName = Literal[*METRICS]
    LayoutName = Literal[*LAYOUTS]
PERCEPTUAL = {  # networks of losses -> their weight files
    "vgg19": "vgg19", "inception_v3": "inception_v3", "vgg16": "vgg16", "lpips_vgg": "vgg16", "lpips_alex": "alexnet",
    "efficientnet_lite0": "efficientnet_lite0",
}  # fmt: skip


def expanded(path: str) -> str:
    """Expand `~` and `$NAME` in a path, unless it exists as written."""
    if not path:
        raise ValueError("an empty path; the working folder is `.`")
    if os.path.lexists(path):
        return path
    found = os.path.expandvars(os.path.expanduser(path))
    if unset := re.search(r"\$(\w+|\{[^}]*\})", found):
        raise ValueError(f"{path} names {unset[0]}, which is not set in the environment")
    if path.startswith("~") and found.startswith("~"):
        raise ValueError(f"{path} begins with {path.split('/')[0]}, whose home folder is not known")
    return found


PathText = Annotated[str, AfterValidator(expanded)]


class Data(Section):
    """Dataset: location of the pairs and meaning of the label values."""

    layout: LayoutName = Field(
        "competition",
        description="dataset layout; sets the defaults of the options below",
    )
    root: PathText = Field("data", description="root folder of the dataset")
    train_images: PathText = Field("data/train/imgs", description="folder of training photographs")
    train_labels: PathText = Field("data/train/labels", description="folder of their label maps, same file stems")
    train_instances: PathText | None = Field(None, description="folder of instance maps; null: the layout's, if any")
    test_labels: PathText = Field("data/test/labels", description="folder of label maps to generate images from")
    test_instances: PathText | None = Field(None, description="folder of instance maps; null: the layout's, if any")
    exclude: PathText | None = Field(None, description="text file of pairs to leave out, one stem per line")
    classes: list[str] = Field(list(CLASSES), min_length=2, max_length=255, description="class names in id order")
    label_offset: int = Field(0, description="added to every label value (-1 if ids in the files start at 1)")
    ignore_label: int | None = Field(None, ge=0, description="label value (as stored in the file) that means no class")
    width: Positive = Field(512, description="width of the generated images in pixels")
    height: Positive = Field(384, description="height of the generated images in pixels")
    load_width: Positive = Field(572, description="width of training photographs before cropping")
    flip: bool = Field(True, description="flip half of the training pairs horizontally")
    holdout: int = Field(500, ge=0, description="held-out training pairs, used to choose checkpoints and seeds")

    @field_validator("classes")
    @classmethod
    def names_are_distinct(cls, names: list[str]) -> list[str]:
        """Refuse duplicate class names, which tables could not distinguish."""
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"class name used twice: {', '.join(twice)}; give every class its own name")
        return names

    @property
    def load_height(self) -> int:
        """Height to which training photographs are resized (the winner's integer rule: 429 for 572)."""
        return self.load_size.height

    @property
    def size(self) -> Size:
        """Size of the generated images."""
        return Size(self.height, self.width)

    @property
    def load_size(self) -> Size:
        """Size to which training pairs are resized before cropping."""
        return self.size.at_width(self.load_width)


PARITY = {
    # switch: (as the winner ran, as intended)
    "spectral_norm": ("off", "on"),
    "crop": ("top", "full"),
    "grow_copy": ("every_forward", "once"),
    "full_order": ("reversed", "kept"),
    "loss_resize": ("bilinear", "area"),
    "pool_padding": ("counted", "excluded"),
    "seg_noise_init": ("xavier", "zero"),
    "inception_norm": ("batch", "running"),
    "perceptual_input": ("raw", "imagenet"),
    "rounding": ("truncate", "round"),
}


class Parity(Section):
    """Switches between the winner's code as it ran and as it was intended; unset switches follow `preset`."""

    preset: Literal["winner", "intended"] = Field("intended", description="the winner's code as it ran, or as intended")
    spectral_norm: Literal["off", "on"] | None = Field(None, description="spectral normalisation of G, E and D")
    crop: Literal["top", "full"] | None = Field(None, description="rows at which a crop may start")
    grow_copy: Literal["every_forward", "once"] | None = Field(
        None, description="when the next discriminator is initialised from the previous one while fading in"
    )
    full_order: Literal["reversed", "kept"] | None = Field(
        None, description="which discriminator gets which image size at full resolution"
    )
    loss_resize: Literal["bilinear", "area"] | None = Field(None, description="image resizing in pretraining")
    pool_padding: Literal["counted", "excluded"] | None = Field(None, description="padding in D's average pooling")
    seg_noise_init: Literal["xavier", "zero"] | None = Field(None, description="start of the noise convolutions")
    inception_norm: Literal["batch", "running"] | None = Field(
        None, description="norm statistics in the Inception loss"
    )
    perceptual_input: Literal["raw", "imagenet"] | None = Field(
        None, description="input scaling of vgg19, vgg16 and inception_v3"
    )
    rounding: Literal["truncate", "round"] | None = Field(None, description="conversion from [-1, 1] to 8 bits")

    def resolved(self) -> dict[str, str]:
        """Return every switch with its effective value."""
        column = 0 if self.preset == "winner" else 1
        return {name: getattr(self, name) or values[column] for name, values in PARITY.items()}


class Perceptual(Section):
    """A perceptual loss on features of an ImageNet network."""

    net: Literal[
        "vgg19", "inception_v3", "vgg16", "lpips_vgg", "lpips_alex", "efficientnet_lite0", "none"
    ] = Field("none", description="network of the loss; needs its weights file (docs/losses.md)")  # fmt: skip
    weight: Weight = Field(10.0, description="weight of the perceptual loss")


class OnGpu(Section):
    """Arithmetic of a GPU, for training and for generating."""

    precision: Precision = Field(
        "fp32", description="numbers that a GPU multiplies; tf32 and bf16 are shorter and faster (docs/gpu.md)"
    )
    deterministic: bool = Field(
        False, description="convolutions on a GPU by algorithms whose bits repeat (docs/gpu.md); on CPUs they always do"
    )


class Training(OnGpu):
    """Options common to pretraining and fine-tuning."""

    epochs: Positive = Field(description="epochs of this phase")
    batch: Positive = Field(description="pairs per step")
    accumulate: Positive = Field(
        1, description="parts in which a batch is computed to save memory, their gradients averaged; 1: all at once"
    )
    reuse_fakes: bool = Field(
        False, description="train the discriminators on the images of the generator's update; false: on new images"
    )
    lr_g: float = Field(1e-4, gt=0, description="learning rate of G and E")
    lr_d: float = Field(4e-4, gt=0, description="learning rate of the discriminators")
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's first decay rate")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second decay rate")
    lr_decay_epochs: int = Field(0, ge=0, description="last epochs, in which the rates fall linearly to 0")
    gan: Literal["hinge", "ls", "bce", "w"] = Field(
        "hinge", description="adversarial loss of patch discriminators (all but oasis)"
    )
    feature_matching: Weight = Field(10.0, description="weight of the feature matching loss (all but oasis)")
    reconstruction: Weight = Field(0.0, description="weight of a pixelwise L1 loss, for runs without perceptual loss")
    perceptual: Perceptual = Field(Perceptual(), description="perceptual loss")
    kl: Weight = Field(
        0.05, description="weight of the KL divergence of the style encoder (model.generator.style_encoder)"
    )
    kl_reduction: Literal["sum", "mean"] = Field(
        "sum",
        description="sum over the batch, as in GauGAN, or mean, which does not depend on the batch size",
    )
    label_mix: Weight = Field(10.0, description="weight of LabelMix consistency (discriminator oasis only)")
    snapshot_minutes: int = Field(10, ge=0, description="minimum minutes between two saved training states")
    log_every: Positive = Field(10, description="steps between two reads of the losses (each waits for the GPU)")
    processes: Positive = Field(1, description="number of MPI processes for data-parallel training, one GPU each")

    @model_validator(mode="after")
    def numbers_fit(self) -> Training:
        """Check that the batch divides by the processes and parts, and that the decay is not longer than the phase."""
        batch, shares = self.batch, self.processes * self.accumulate
        if batch % shares:
            fits = -(-batch // shares) * shares
            among = [f"{self.processes} processes"] if self.processes > 1 else []
            among += [f"{self.accumulate} parts (accumulate)"] if self.accumulate > 1 else []
            raise ValueError(f"batch {batch} cannot be shared equally among {' and '.join(among)}: use {fits}")
        if self.lr_decay_epochs > self.epochs:
            raise ValueError(f"lr_decay_epochs {self.lr_decay_epochs} is more than epochs {self.epochs}")
        return self


class Pretrain(Training):
    """Pretraining: progressive with APF-GAN's discriminators (one job per resolution), at full size otherwise."""

    epochs: Positive = Field(
        180, description="epochs over all resolutions; with discriminator `progressive` a multiple of its count - 1"
    )
    batch: Positive = Field(10, description="pairs per step")
    init_gain: float = Field(
        INIT_GAIN,
        gt=0,
        description="factor of the initial weights' deviation (Xavier); 1 learns detail in far fewer steps",
    )
    perceptual: Perceptual = Field(Perceptual(net="vgg19"), description="perceptual loss")


class Finetune(Training):
    """Augmented fine-tuning at full size."""

    epochs: Positive = Field(130, description="epochs after pretraining")
    batch: Positive = Field(5, description="pairs per step")
    perceptual: Perceptual = Field(Perceptual(net="inception_v3"), description="perceptual loss")
    augment: list[Literal["color", "crop", "translation"]] = Field(
        ["color", "crop", "translation"], description="DiffAugment operations, applied in this order"
    )
    seg_noise: bool = Field(True, description="class-dependent noise in every SPADE layer (apf)")
    ema: float = Field(0.999, ge=0, lt=1, description="decay per step of the moving average (EMA) of G and E; 0: none")


class Segmenter(Section):
    """Segmentation network for mask accuracy, trained if a metric needs it."""

    weights: PathText | None = Field(
        None,
        description="file of a segmenter (`import segformer` writes one); builtin: DeepLab on ADE20K; null: train one",
    )
    width: Positive = Field(256, description="width in pixels to which images are resized for the segmenter")
    height: Positive = Field(192, description="height in pixels, likewise; both must be multiples of 16")
    channels: Positive = Field(32, description="number of channels of its first layers")
    epochs: Positive = Field(12, description="epochs over the training pairs")
    batch: Positive = Field(8, description="pairs per step")
    lr: float = Field(4e-3, gt=0, description="initial learning rate, with cosine decay to zero")

    @property
    def size(self) -> Size:
        """Size to which images are resized for the segmenter."""
        return Size(self.height, self.width)

    @field_validator("width", "height")
    @classmethod
    def sides_can_be_halved(cls, side: int) -> int:
        """Check that the sides are multiples of 16: the network downsamples four times."""
        if side % 16:
            raise ValueError(f"{side} is not a multiple of 16")
        return side

    @model_validator(mode="after")
    def builtin_takes_the_size(self) -> Segmenter:
        """Check the size for the network's five downsamplings."""
        if self.weights == BUILTIN and (self.width % 32 or self.height % 32):
            raise ValueError(f"weights builtin takes multiples of 32, not {self.size}")
        return self


class Generate(OnGpu):
    """Image generation and file format, for scoring and submission alike."""

    batch: Positive = Field(20, description="most label maps per forward pass; a CPU takes fewer if large")
    format: Literal["jpg", "png"] = Field("jpg", description="file format of the images")
    quality: int = Field(95, ge=1, le=100, description="JPEG quality")
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = Field("4:4:4", description="JPEG colour subsampling")


class Score(Section):
    """Which checkpoints are scored, and with which metrics."""

    first: Positive = Field(271, description="first epoch with a checkpoint that is scored")
    last: Positive = Field(310, description="last epoch with a checkpoint that is scored")
    every: Positive = Field(1, description="number of epochs between two scored checkpoints")
    metrics: list[MetricName] = Field(
        ["fid", "kid", "mask_accuracy", "miou", "sharpness"], min_length=1, description="metrics to compute"
    )
    rank_by: MetricName | Literal["aesthetic", "board_a"] = Field("fid", description="metric that ranks the models")
    seed: int = Field(0, ge=0, description="noise seed used to compare checkpoints and averages")
    aesthetic_command: str | None = Field(
        None, description="program that is called with a folder and prints CSV `name,score` with scores from 0 to 10"
    )

    def epochs(self) -> list[int]:
        """Return the scored epochs in ascending order."""
        return list(range(self.first, self.last + 1, self.every))


class Merge(Section):
    """Averages of checkpoints."""

    batch_norm: Literal["averaged", "estimated"] = Field(
        "averaged",
        description="batch norm statistics: averaged like the weights, or re-estimated on training label maps",
    )
    label_maps: Positive = Field(200, description="label maps for it, in batches of finetune.batch")


class Select(Section):
    """Model selection."""

    on: Literal["holdout", "test", "train"] = Field("holdout", description="set that models are chosen on")
    top: int = Field(3, ge=1, le=6, description="number of best checkpoints of which every subset is averaged")
    soup: int = Field(8, ge=0, description="number of best checkpoints tried in the greedy soup; 0: no soup")

    def tried(self) -> int:
        """Return how many of the best checkpoints take part in averages."""
        return max(self.top, self.soup)


class Infer(Section):
    """Inference with several noise seeds."""

    seeds: list[NonNegative] = Field([*range(19), 2433], min_length=1, description="noise seeds tried")

    @field_validator("seeds")
    @classmethod
    def seeds_are_distinct(cls, seeds: list[int]) -> list[int]:
        """Refuse duplicate seeds: a seed always gives the same images."""
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is listed twice; every seed is tried once")
        return seeds


class Fuse(Section):
    """Replacement of images of (nearly) single-class label maps by training photographs of that class."""

    enabled: bool = Field(True, description="off: the submission is purely generated")
    share: float = Field(0.98, gt=0.5, lt=1, description="minimum share of pixels of the class, exclusive")


class Report(Section):
    """The HTML report."""

    samples: int = Field(6, ge=1, le=40, description="number of label maps in strips and sample grids")


class Landscapes(Section):
    """Embedded dataset, rendered before the other stages; omit the section to use your own pairs."""

    train: Positive = Field(description="number of training pairs to render")
    test: Positive = Field(description="number of test label maps to render")
    width: Positive = Field(description="width of the rendered images in pixels")
    height: Positive = Field(description="height of the rendered images in pixels")
    pure: float = Field(0.03, ge=0, le=1, description="share of label maps of a single class")
