"""The sections of the configuration: every option with its meaning and range.

Imports pydantic only, so that Snakemake and the documentation read it in milliseconds.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from shanshui.data.landscape_classes import CLASSES
from shanshui.weights.builtin import BUILTIN

Metric = Literal[
    "fid", "kid", "precision", "recall",
    "dct_frechet", "dct_kid", "dct_precision", "dct_recall", "swd", "colour", "sharpness",
    "mask_accuracy", "miou", "seg_frechet",
    "fd_efficientnet", "kd_efficientnet", "efficientnet_precision", "efficientnet_recall", "lpips",
]  # fmt: skip
NEEDS_INCEPTION: frozenset[str] = frozenset({"fid", "kid", "precision", "recall"})
NEEDS_EFFICIENTNET: frozenset[str] = frozenset(
    {"fd_efficientnet", "kd_efficientnet", "efficientnet_precision", "efficientnet_recall"}
)
NEEDS_LPIPS: frozenset[str] = frozenset({"lpips"})
PERCEPTUAL = {  # networks of losses -> their weight files
    "vgg19": "vgg19", "inception_v3": "inception_v3", "vgg16": "vgg16", "lpips_vgg": "vgg16", "lpips_alex": "alexnet",
    "efficientnet_lite0": "efficientnet_lite0",
}  # fmt: skip
NEEDS_SEGMENTER: frozenset[str] = frozenset({"mask_accuracy", "miou", "seg_frechet"})
Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]


def expanded(path: str) -> str:
    """A path with the home folder for `~` and values for `$NAME`; one that is there as it is written stays so."""
    if os.path.lexists(path):
        return path
    found = os.path.expandvars(os.path.expanduser(path))
    if unset := re.search(r"\$(\w+|\{[^}]*\})", found):
        raise ValueError(f"{path} names {unset[0]}, which is not set in the environment")
    if path.startswith("~") and found.startswith("~"):
        raise ValueError(f"{path} begins with {path.split('/')[0]}, whose home folder is not known")
    return found


PathText = Annotated[str, AfterValidator(expanded)]


def _choices(annotation: object) -> list[object]:
    """All literal values an option may have."""
    return [choice for part in get_args(annotation) for choice in (get_args(part) or [part])]


def _is_number(annotation: object) -> bool:
    """Whether an option takes numbers and no switch."""
    kinds = {annotation, *get_args(annotation)}
    return bool(kinds & {int, float}) and bool not in kinds


def _word(value: bool, switch: bool, number: bool) -> object:
    """What a truth value stands for in an option of `on` and `off`, or of numbers; itself elsewhere."""
    if switch:
        return "on" if value else "off"
    return str(value).lower() if number else value


class Section(BaseModel):
    """Base of all sections: unknown names are refused, values cannot change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def words_of_yaml(cls, value: object) -> object:
        """YAML 1.1 reads the bare words `on` and `off` as true and false, as names and as values.

        Where a number is wanted, true is none: it is left as the word, which is refused.
        """
        if not isinstance(value, dict):
            return value
        named = {"on" if key is True else key: item for key, item in value.items()}
        named |= {key: item for key, item in value.items() if key == "on"}  # in quotes, it is the one laid over
        words = {name for name, field in cls.model_fields.items() if {"on", "off"} & set(_choices(field.annotation))}
        numbers = {name for name, field in cls.model_fields.items() if _is_number(field.annotation)}
        return {k: v if not isinstance(v, bool) else _word(v, k in words, k in numbers) for k, v in named.items()}


class Data(Section):
    """Where the pairs lie and what the numbers in the label maps mean."""

    layout: Literal["competition", "folders", "ade20k", "ade20k-outdoor", "coco-stuff", "cityscapes", "facades"] = (
        Field("competition", description="how the files lie and what they mean; gives the options below their defaults")
    )
    root: PathText = Field("data", description="folder of the dataset, in which its layout's folders lie")
    train_images: PathText = Field("data/train/imgs", description="folder of training photographs")
    train_labels: PathText = Field("data/train/labels", description="folder of their label maps, same file stems")
    train_instances: PathText | None = Field(
        None, description="folder of their instance maps; null: the layout's, if any"
    )
    test_labels: PathText = Field("data/test/labels", description="folder of label maps to be turned into photographs")
    test_instances: PathText | None = Field(None, description="folder of their instance maps, likewise")
    exclude: PathText | None = Field(None, description="text file, one file stem per line: pairs left out of training")
    classes: list[str] = Field(list(CLASSES), min_length=2, max_length=255, description="class names in id order")
    label_offset: int = Field(0, description="added to every label pixel first (-1 where files count from 1)")
    ignore_label: int | None = Field(None, ge=0, description="label pixel value (as in the file) that means no class")
    width: Positive = Field(512, description="width of the generated photographs, pixels")
    height: Positive = Field(384, description="height of the generated photographs, pixels")
    load_width: Positive = Field(572, description="training photographs are resized to this width, then cropped")
    flip: bool = Field(True, description="mirror half of the training pairs")
    holdout: int = Field(500, ge=0, description="training pairs kept back to choose checkpoints and seeds on")

    @field_validator("classes")
    @classmethod
    def names_are_distinct(cls, names: list[str]) -> list[str]:
        """Two classes of one name cannot be told apart in tables."""
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"class name used twice: {', '.join(twice)}; give every class its own name")
        return names

    @property
    def load_height(self) -> int:
        """Height to which training photographs are resized (the winner's integer rule: 429 for 572)."""
        return self.load_width * self.height // self.width


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
    """Behaviour where the winner's code did something else than it meant to; unset switches follow `preset`."""

    preset: Literal["winner", "intended"] = Field("intended", description="as the winner ran, or as it was meant")
    spectral_norm: Literal["off", "on"] | None = Field(None, description="spectral normalisation of G, E and D")
    crop: Literal["top", "full"] | None = Field(None, description="rows the training crop may start from")
    grow_copy: Literal["every_forward", "once"] | None = Field(
        None, description="copying D into its successor at a fade"
    )
    full_order: Literal["reversed", "kept"] | None = Field(
        None, description="which D sees which size once all are grown"
    )
    loss_resize: Literal["bilinear", "area"] | None = Field(None, description="reducing photographs in pretraining")
    pool_padding: Literal["counted", "excluded"] | None = Field(None, description="padding in D's average pooling")
    seg_noise_init: Literal["xavier", "zero"] | None = Field(None, description="start of the noise convolutions")
    inception_norm: Literal["batch", "running"] | None = Field(None, description="statistics in the Inception loss")
    perceptual_input: Literal["raw", "imagenet"] | None = Field(
        None, description="scaling before vgg19, vgg16, inception_v3"
    )
    rounding: Literal["truncate", "round"] | None = Field(None, description="from [-1, 1] to 8 bits")

    def resolved(self) -> dict[str, str]:
        """Every switch with its value in force."""
        column = 0 if self.preset == "winner" else 1
        return {name: getattr(self, name) or values[column] for name, values in PARITY.items()}


class Perceptual(Section):
    """A perceptual loss on features of an ImageNet network."""

    net: Literal[
        "vgg19", "inception_v3", "vgg16", "lpips_vgg", "lpips_alex", "efficientnet_lite0", "none"
    ] = Field("none", description="network; its weights file must be there (docs/losses.md)")  # fmt: skip
    weight: Weight = Field(10.0, description="weight of the term")


class Training(Section):
    """What pretraining and fine-tuning have in common."""

    epochs: Positive = Field(description="epochs of this phase")
    batch: Positive = Field(description="pairs per step")
    lr_g: float = Field(1e-4, gt=0, description="learning rate of G and E")
    lr_d: float = Field(4e-4, gt=0, description="learning rate of the discriminators")
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's first decay rate")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second decay rate")
    lr_decay_epochs: int = Field(0, ge=0, description="fall linearly to zero over this many last epochs")
    gan: Literal["hinge", "ls", "bce", "w"] = Field(
        "hinge", description="adversarial loss of discriminators that score patches (all but oasis)"
    )
    feature_matching: Weight = Field(10.0, description="weight of the feature matching loss (all but oasis)")
    reconstruction: Weight = Field(0.0, description="weight of a plain L1 loss, for runs without perceptual weights")
    perceptual: Perceptual = Field(Perceptual(), description="perceptual loss")
    kl: Weight = Field(0.05, description="weight of the KL divergence of styles, with model.style_encoder")
    kl_reduction: Literal["sum", "mean"] = Field(
        "sum", description="sum of it over the batch, as GauGAN has it, or mean, which a larger batch leaves alone"
    )
    label_mix: Weight = Field(10.0, description="weight of LabelMix, with the discriminator oasis")
    snapshot_minutes: int = Field(10, ge=0, description="least time between two saved resume states")
    log_every: Positive = Field(10, description="steps between two looks at the losses, for which a GPU is waited for")
    processes: Positive = Field(1, description="processes that share every batch, by MPI; each has a GPU of its own")

    @model_validator(mode="after")
    def numbers_fit(self) -> Training:
        """Processes share a batch equally, and the rate cannot fall for longer than the phase lasts."""
        batch, processes = self.batch, self.processes
        if batch % processes:
            fits = -(-batch // processes) * processes
            raise ValueError(f"batch {batch} cannot be shared equally among {processes} processes: use {fits}")
        if self.lr_decay_epochs > self.epochs:
            raise ValueError(f"lr_decay_epochs {self.lr_decay_epochs} is more than epochs {self.epochs}")
        return self


class Pretrain(Training):
    """Pretraining: by APF-GAN and its bank one job per resolution, each faded in; by others one at full size."""

    epochs: Positive = Field(
        180, description="epochs over all resolutions; with the bank a multiple of discriminators - 1"
    )
    batch: Positive = Field(10, description="pairs per step")
    perceptual: Perceptual = Field(Perceptual(net="vgg19"), description="perceptual loss")


class Finetune(Training):
    """Augmented fine-tuning at full size."""

    epochs: Positive = Field(130, description="epochs after pretraining")
    batch: Positive = Field(5, description="pairs per step")
    perceptual: Perceptual = Field(Perceptual(net="inception_v3"), description="perceptual loss")
    augment: list[Literal["color", "crop", "translation"]] = Field(
        ["color", "crop", "translation"], description="DiffAugment operations, in this order"
    )
    seg_noise: bool = Field(True, description="noise whose strength depends on the class, in every SPADE layer (apf)")
    ema: float = Field(
        0.999, ge=0, lt=1, description="decay per step of an average of G and E kept beside them; 0: none"
    )


class Segmenter(Section):
    """The network that finds the given classes again in pictures; trained where a metric needs it."""

    weights: PathText | None = Field(
        None,
        description="a segmenter's file, as `import segformer` writes; builtin: DeepLab on ADE20K; null: train one",
    )
    width: Positive = Field(256, description="pictures are brought to this width for it, pixels")
    height: Positive = Field(192, description="and to this height; both multiples of 16")
    channels: Positive = Field(32, description="width of its first layers")
    epochs: Positive = Field(12, description="epochs over the training pairs")
    batch: Positive = Field(8, description="pairs per step")
    lr: float = Field(4e-3, gt=0, description="learning rate, falling to zero along a cosine")

    @field_validator("width", "height")
    @classmethod
    def sides_can_be_halved(cls, side: int) -> int:
        """Four halvings."""
        if side % 16:
            raise ValueError(f"{side} is not a multiple of 16")
        return side

    @model_validator(mode="after")
    def builtin_takes_the_size(self) -> Segmenter:
        """Five halvings."""
        if self.weights == BUILTIN and (self.width % 32 or self.height % 32):
            raise ValueError(f"weights builtin takes multiples of 32, not {self.width}x{self.height}")
        return self


class Generate(Section):
    """How pictures are written, for scoring and for the submission alike."""

    batch: Positive = Field(20, description="label maps per forward pass on a GPU; does not change the pictures")
    format: Literal["jpg", "png"] = Field("jpg", description="file type of the pictures")
    quality: int = Field(95, ge=1, le=100, description="JPEG quality")
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = Field("4:4:4", description="JPEG colour subsampling")


class Score(Section):
    """Which checkpoints are scored, and by what."""

    first: Positive = Field(271, description="first epoch that leaves a checkpoint to be scored")
    last: Positive = Field(310, description="last one")
    every: Positive = Field(1, description="epochs from one scored checkpoint to the next")
    metrics: list[Metric] = Field(
        ["fid", "kid", "mask_accuracy", "miou", "sharpness"], min_length=1, description="columns of the table"
    )
    rank_by: Metric | Literal["aesthetic", "board_a"] = Field("fid", description="the metric or score that chooses")
    seed: int = Field(0, ge=0, description="noise seed while checkpoints and averages are compared")
    aesthetic_command: str | None = Field(
        None, description="program that is called with a folder and prints CSV `name,score`, 0 to 10"
    )

    def epochs(self) -> list[int]:
        """The scored epochs, ascending."""
        return list(range(self.first, self.last + 1, self.every))


class Merge(Section):
    """Averages of checkpoints."""

    batch_norm: Literal["averaged", "estimated"] = Field(
        "averaged", description="running statistics: averaged like the weights, or estimated on training label maps"
    )
    label_maps: Positive = Field(200, description="so many label maps, in batches of finetune.batch")


class Select(Section):
    """Choosing."""

    on: Literal["holdout", "test", "train"] = Field("holdout", description="label maps whose pictures decide")
    top: int = Field(3, ge=1, le=6, description="best checkpoints of which every subset is averaged")
    soup: int = Field(8, ge=0, description="so many of the best checkpoints are tried for a greedy soup; 0: none")

    def tried(self) -> int:
        """So many of the best checkpoints are averaged with others."""
        return max(self.top, self.soup)


class Infer(Section):
    """Inference with several noise seeds."""

    seeds: list[Annotated[int, Field(ge=0)]] = Field([*range(19), 2433], min_length=1, description="noise seeds tried")

    @field_validator("seeds")
    @classmethod
    def seeds_are_distinct(cls, seeds: list[int]) -> list[int]:
        """A seed gives the same pictures every time."""
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is listed twice; every seed is tried once")
        return seeds


class Fuse(Section):
    """Label maps of nearly one class filled from a training photograph of that class."""

    enabled: bool = Field(True, description="off: the submission is purely generated")
    share: float = Field(0.98, gt=0.5, lt=1, description="share of pixels the class must exceed")


class Report(Section):
    """The HTML report."""

    samples: int = Field(6, ge=1, le=40, description="label maps shown in strips and sample grids")


class Landscapes(Section):
    """The embedded dataset, drawn before everything else; leave the section out to use your own pairs."""

    train: Positive = Field(description="pairs to draw for training")
    test: Positive = Field(description="label maps to draw for testing")
    width: Positive = Field(description="width of the drawings, pixels")
    height: Positive = Field(description="height of the drawings, pixels")
    pure: float = Field(0.03, ge=0, le=1, description="share of label maps of a single class")
