"""The configuration: one section per part of `config.yaml`, and the constraints between sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationInfo, create_model, field_validator, model_validator

from shanshui.architectures.context import SWITCHES, Context
from shanshui.architectures.registry import Networks
from shanshui.config.compress_section import Compress
from shanshui.config.model_section import USES, Model, ignored
from shanshui.config.section import NonNegative, Positive, Section
from shanshui.config.sections import (
    Data,
    Finetune,
    Fuse,
    Generate,
    Infer,
    Landscapes,
    Merge,
    Parity,
    Pretrain,
    Report,
    Score,
    Segmenter,
    Select,
)
from shanshui.config.stages import plugin_sections
from shanshui.metrics.registry import METRICS, need_photographs


class Config(Section):
    """The whole configuration of a run."""

    run: str = Field(
        "leaderboard", pattern=r"^\w[\w.-]*$", description="name of the run, and of its folder under results/"
    )
    gpus: Literal["auto", 0] | Annotated[list[NonNegative], Field(min_length=1)] = Field(
        "auto", description="all visible GPUs, none (0), or a list of indices; without a GPU the CPU is used"
    )
    jobs_per_gpu: Positive = Field(1, description="number of jobs that may share one GPU")
    seed: int = Field(2022, ge=0, description="seed of all random numbers of the run")
    retention: Literal["all", "best"] = Field(
        "all", description="which weights, states and images to keep after the run (docs/disk.md)"
    )
    landscapes: Landscapes | None = Field(None, description="render the embedded dataset; null: use your own pairs")
    data: Data = Data()
    model: Model = Model()
    parity: Parity = Parity()
    pretrain: Pretrain = Pretrain()
    finetune: Finetune = Finetune()
    segmenter: Segmenter = Segmenter()
    generate: Generate = Generate()
    score: Score = Score()
    merge: Merge = Merge()
    select: Select = Select()
    infer: Infer = Infer()
    compress: Compress = Compress()
    fuse: Fuse = Fuse()
    report: Report = Report()

    def networks(self) -> Networks:
        """Return the trained networks, generator with encoder and discriminator, with their effective options."""
        parity = self.parity.resolved()
        context = Context(
            len(self.data.classes), self.data.size, edges=self.model.edges,
            parity={name: parity[name] for name in SWITCHES},
        )  # fmt: skip
        return Networks(self.model.generator.within(context), self.model.discriminator.within(context))

    @field_validator("gpus", mode="before")
    @classmethod
    def gpus_are_numbers(cls, gpus: object) -> object:
        """Refuse values other than "auto", 0 or a list of GPU indices, with a single message."""
        numbers = isinstance(gpus, list) and gpus and all(type(one) is int and one >= 0 for one in gpus)
        if not numbers and (isinstance(gpus, bool) or gpus not in ("auto", 0)):
            raise ValueError(f"auto, 0 for none, or a list of their numbers such as [0] or [0, 1], found {gpus!r}")
        return gpus

    @field_validator("gpus")
    @classmethod
    def gpus_are_distinct(cls, gpus: object) -> object:
        """Refuse duplicate GPU indices."""
        if isinstance(gpus, list) and len(set(gpus)) != len(gpus):
            raise ValueError("a GPU is listed twice; several jobs share one by jobs_per_gpu")
        return gpus

    @field_validator("parity", mode="before")
    @classmethod
    def preset_alone(cls, value: object) -> object:
        """Expand `parity: winner` to `parity: {preset: winner}`."""
        return {"preset": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def gpus_can(self) -> Config:
        """Check that a precision of GPUs is not asked for without GPUs."""
        for name in ("pretrain", "finetune", "generate"):
            if self.gpus == 0 and (precision := getattr(self, name).precision) != "fp32":
                raise ValueError(f"{name}.precision {precision} needs a GPU, and gpus is 0: fp32, or other gpus")
        return self

    @model_validator(mode="after")
    def sizes_fit(self) -> Config:
        """Check the sides against the downsampling of the networks, the crop and the discriminators."""
        data, model = self.data, self.model
        networks = self.networks()
        for step, reason in networks.divisors():
            for name, side in (("data.width", data.width), ("data.height", data.height)):
                if side % step:
                    below, above = side // step * step, (side // step + 1) * step
                    raise ValueError(
                        f"{name} {side} is not a multiple of {step} ({reason}): use {below or above} or {above}"
                    )
        for name, side in (("data.width", data.width), ("data.height", data.height)):
            if side < networks.generator.least_side:
                least = networks.generator.least_side
                raise ValueError(f"{name} {side} is too small for generator {model.generator.name}: {least} or more")
        if data.load_width < data.width or data.load_height < data.height:
            raise ValueError(
                f"data.load_width {data.load_width} gives {data.load_size}, smaller than the crop "
                f"{data.size}: use {data.width} or more"
            )
        return self

    @model_validator(mode="after")
    def schedule_fits(self) -> Config:
        """Check the epochs of both phases against the resolutions and the range of scored epochs."""
        stages = self.model.sizes - 1
        epochs = self.pretrain.epochs
        if stages and (epochs % stages or epochs < 2 * stages):
            raise ValueError(
                f"pretrain.epochs {epochs} cannot be shared among model.discriminator.count - 1 = {stages} stages "
                f"of at least 2 epochs: use a multiple of {stages}, e.g. {max(2, round(epochs / stages)) * stages}"
            )
        last = epochs + self.finetune.epochs
        score = self.score
        if not epochs < score.first <= score.last <= last:
            raise ValueError(
                f"score.first {score.first} to score.last {score.last} must lie in the epochs of fine-tuning, "
                f"{epochs + 1} to {last} (pretrain.epochs {epochs} + finetune.epochs {self.finetune.epochs})"
            )
        return self

    @model_validator(mode="after")
    def merge_fits(self) -> Config:
        """Check that instance edges are available and that there are batch norm statistics to estimate."""
        if self.model.edges == "instance" and self.merge.batch_norm == "estimated":
            raise ValueError(
                "merge.batch_norm estimated works on label maps alone: with model.edges instance: averaged"
            )
        if not self.model.generator.has_batch_norm and self.merge.batch_norm == "estimated":
            raise ValueError(
                "merge.batch_norm estimated has no effect with model.generator.norm instance, which keeps no "
                "statistics: averaged"
            )
        return self

    @model_validator(mode="after")
    def students_fit(self) -> Config:
        """Check that the generator has layers for kernel alignment, where students are compared by it."""
        compress, generator = self.compress, self.model.generator
        if compress.shares and compress.alignment.weight and not generator.aligned:
            raise ValueError(
                f"compress.alignment: generator {generator.name} declares no layers for it: weight 0, or another one"
            )
        return self

    @model_validator(mode="after")
    def options_have_an_effect(self, info: ValidationInfo) -> Config:
        """Refuse options that neither of the chosen networks uses.

        `given` in the context has the options that the user set, above the defaults of other files
        (`settings.validate`).
        """
        given = (info.context or {}).get("given", {})
        said: list[str] = []
        for section in USES:
            named = given.get(section)
            named = named if isinstance(named, Mapping) else {}
            said += ignored(self.model, section, getattr(self, section), named)
        if said:
            raise ValueError("; ".join(said) + ". Leave out what has no effect")
        return self

    @model_validator(mode="after")
    def choices_fit(self) -> Config:
        """Check that `rank_by` is among the computed metrics and that the hold-out fits `select.on`."""
        score = self.score
        if score.rank_by in ("aesthetic", "board_a") and not score.aesthetic_command:
            raise ValueError(f"score.rank_by {score.rank_by} needs score.aesthetic_command")
        needed = {"aesthetic": [], "board_a": ["fid", "mask_accuracy"]}.get(score.rank_by, [score.rank_by])
        if lacking := [metric for metric in needed if metric not in score.metrics]:
            raise ValueError(
                f"score.rank_by {score.rank_by}: {', '.join(lacking)} is not among score.metrics {score.metrics}"
            )
        if (paired := need_photographs(score.metrics)) and (self.select.on == "test" or not self.data.holdout):
            raise ValueError(
                f"score.metrics {', '.join(paired)} compares with the photograph of the label map: use data.holdout of "
                "2 pairs or more, and select.on holdout or train"
            )
        if score.rank_by in METRICS and METRICS[score.rank_by].lower_is_better is None:
            name = score.rank_by
            raise ValueError(f"score.rank_by {name}: {name} has no better or worse end, rank by another metric")
        if self.select.on == "holdout" and self.data.holdout < 2:
            raise ValueError("select.on holdout needs data.holdout of 2 pairs or more; or use `select: {on: test}`")
        if self.select.top > len(self.score.epochs()):
            raise ValueError(
                f"select.top {self.select.top} is more than the {len(self.score.epochs())} scored checkpoints"
            )
        return self


if not TYPE_CHECKING and (_added := plugin_sections()):
    Config = create_model("Config", __base__=Config, **{name: (section, section()) for name, section in _added.items()})
