"""Settings of a stage as one typed object, checked once where the stage reads its file.

A settings file holds what a stage's record cuts out of the configuration (`config.stages`). An unknown, missing or
wrong entry is refused here by its name; below the stage nothing reads dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from shanshui.architectures.registry import Networks, discriminator_of, generator_of
from shanshui.config.section import Positive, Section, Weight
from shanshui.config.sections import Perceptual
from shanshui.config.settings import CODE, read_settings
from shanshui.data.labels import Classes
from shanshui.errors import UsageError
from shanshui.storage.size import Size

Phase = Literal["pretrain", "finetune"]
Kind = TypeVar("Kind", bound=Section)
NETWORKS = "model"  # the section that `architectures.registry` reads and checks


def checked(kind: type[Kind], settings: Mapping[str, Any], source: object) -> Kind:
    """Convert the content of a settings file, or a section of it, to its type; the code digest is left out.

    Args:
        kind: the type.
        settings: the content.
        source: how the message calls the file.

    Raises:
        UsageError: names every entry that is unknown, missing or wrong.
    """
    try:
        return kind.model_validate({name: value for name, value in settings.items() if name != CODE})
    except ValidationError as error:
        wrong = "; ".join(_said(dict(item)) for item in error.errors(include_url=False))
        raise UsageError(
            f"{source}: {wrong}", "settings as Snakemake writes them for this stage", "let Snakemake write them again"
        ) from None


def read_checked(kind: type[Kind], path: str | Path) -> Kind:
    """Read the settings file of a stage as its type; raises as `read_settings` and `checked` do."""
    return checked(kind, read_settings(path), path)


def _said(error: Mapping[str, Any]) -> str:
    """Say what is wrong with one entry."""
    place = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] == "missing":
        return f"{place} is missing"
    if error["type"] == "extra_forbidden":
        return f"{place} is not known"
    return f"{place} is {error['input']!r}: {error['msg']}"


class LabelSettings(Section):
    """Classes, and the meaning of the values in label map files."""

    classes: list[str]
    label_offset: int
    ignore_label: int | None

    @property
    def labels(self) -> Classes:
        """The same, ready to convert label maps."""
        return Classes(tuple(self.classes), self.label_offset, self.ignore_label)


class ImageSettings(LabelSettings):
    """Classes, and the size of the generated images."""

    width: Positive
    height: Positive

    @property
    def size(self) -> Size:
        """Size of the generated images."""
        return Size(self.height, self.width)


class DataSettings(ImageSettings):
    """Section `data` of a training stage."""

    load_width: Positive
    flip: bool


class MetricSettings(Section):
    """What `reference` and `score` depend on; `size` and `segmenter_size` are (width, height)."""

    metrics: tuple[str, ...] = ()
    size: tuple[Positive, Positive] | None = None
    seed: int | None = None
    classes: list[str] | None = None
    label_offset: int | None = None
    ignore_label: int | None = None
    segmenter_size: tuple[Positive, Positive] | None = None

    @property
    def size_of_images(self) -> Size | None:
        """Size at which images are compared."""
        return Size.of_width_first(self.size) if self.size else None

    @property
    def size_of_segmenter(self) -> Size | None:
        """Size at which the built-in segmenter works; files of others have their own."""
        return Size.of_width_first(self.segmenter_size) if self.segmenter_size else None

    @property
    def label_rules(self) -> dict[str, int | None] | None:
        """Meaning of the values in label map files; None where nothing is said of it."""
        if self.label_offset is None:
            return None
        return {"label_offset": self.label_offset, "ignore_label": self.ignore_label}


class Switches(Section):
    """Switches of the section `parity` with their effective values."""

    spectral_norm: Literal["off", "on"]
    crop: Literal["top", "full"]
    grow_copy: Literal["every_forward", "once"]
    full_order: Literal["reversed", "kept"]
    loss_resize: Literal["bilinear", "area"]
    pool_padding: Literal["counted", "excluded"]
    seg_noise_init: Literal["xavier", "zero"]
    inception_norm: Literal["batch", "running"]
    perceptual_input: Literal["raw", "imagenet"]


class PhaseSettings(Section):
    """Options of a training phase; what its networks do not know is left out of the file and neutral here."""

    epochs: Positive | None = None
    batch: Positive
    lr_g: float
    lr_d: float
    beta1: float
    beta2: float
    lr_decay_epochs: int
    gan: Literal["hinge", "ls", "bce", "w"] = "hinge"
    feature_matching: Weight = 0.0
    reconstruction: Weight
    perceptual: Perceptual
    kl: Weight = 0.0
    kl_reduction: Literal["sum", "mean"] = "sum"
    label_mix: Weight = 0.0
    processes: Positive
    augment: tuple[Literal["color", "crop", "translation"], ...] = ()
    seg_noise: bool = False
    ema: float = 0.0


class PretrainSettings(PhaseSettings):
    """Options of pretraining, whose number of epochs makes its schedule."""

    epochs: Positive


class FinetuneSettings(PhaseSettings):
    """Options of fine-tuning; its epochs are known where learning rates fall at their end."""

    augment: tuple[Literal["color", "crop", "translation"], ...]
    ema: float


class _TrainingFile(Section):
    """Settings file of a training stage, but for the sections of the networks."""

    seed: int
    data: DataSettings
    parity: Switches
    preset: Literal["winner", "intended"]
    pretrain_epochs: Positive
    pretrain: PretrainSettings | None = None
    finetune: FinetuneSettings | None = None


@dataclass(frozen=True)
class TrainingConfig:
    """What one phase of training depends on.

    Attributes:
        phase: "pretrain" or "finetune".
        seed: of the run.
        data: classes, sizes and flip.
        networks: generator with encoder, and discriminator.
        parity: switches between the winner's code and the intended one.
        pretrain_epochs: epochs of pretraining.
        options: those of the phase.
        source: the settings as they stand in the file, which headers of weights repeat and resume keys digest.
    """

    phase: Phase
    seed: int
    data: DataSettings
    networks: Networks
    parity: Switches
    pretrain_epochs: int
    options: PhaseSettings
    source: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path, phase: Phase) -> TrainingConfig:
        """Read and check the settings file of a training stage.

        Raises:
            ShanshuiError: it cannot be read, or an entry is unknown, missing or wrong.
        """
        return cls.of(read_settings(path), phase, str(path))

    @classmethod
    def of(cls, settings: Mapping[str, Any], phase: Phase, source: str = "the settings") -> TrainingConfig:
        """Check settings of a training stage, as `read` does.

        Args:
            settings: the content of the file.
            phase: of the stage.
            source: how messages call the file.
        """
        file = checked(_TrainingFile, {k: v for k, v in settings.items() if k != NETWORKS}, source)
        options = file.pretrain if phase == "pretrain" else file.finetune
        if options is None or (file.pretrain and file.finetune):
            found = [name for name in ("pretrain", "finetune") if name in settings]
            raise UsageError(f"{source} has the sections {', '.join(found) or 'of no phase'}", f"{phase} alone")
        if NETWORKS not in settings:
            raise UsageError(f"{source}: model is missing", "settings as Snakemake writes them for this stage")
        networks = Networks(generator_of(settings, source), discriminator_of(settings, source))
        return cls(phase, file.seed, file.data, networks, file.parity, file.pretrain_epochs, options, settings)
