"""Settings of the training stages as one typed object; it names networks, so only stages that train import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shanshui.architectures.base import INIT_GAIN
from shanshui.architectures.registry import Networks, discriminator_of, generator_of
from shanshui.backend.arithmetic import Arithmetic, Precision
from shanshui.config.section import Positive, Section, Weight
from shanshui.config.sections import Perceptual
from shanshui.config.typed_settings import DataSettings, checked, read_settings
from shanshui.errors import UsageError

Phase = Literal["pretrain", "finetune"]
NETWORKS = "model"  # the section that `architectures.registry` reads and checks


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
    accumulate: Positive = 1
    reuse_fakes: bool = False
    precision: Precision = "fp32"
    deterministic: bool = False
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
    init_gain: float = INIT_GAIN
    augment: tuple[Literal["color", "crop", "translation"], ...] = ()
    seg_noise: bool = False
    ema: float = 0.0

    @property
    def arithmetic(self) -> Arithmetic:
        """Arithmetic of the networks."""
        return Arithmetic(self.precision, self.deterministic)


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
