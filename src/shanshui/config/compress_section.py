"""The section `compress` of the configuration: small generators of the chosen model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from shanshui.architectures.base import INIT_GAIN
from shanshui.config.section import Positive, Section, Weight
from shanshui.config.sections import Perceptual

PERCENT = 100
Share = Annotated[float, Field(gt=0, lt=1)]


def is_percent(share: float) -> bool:
    """Return whether a share is a whole number of percent, by which students are named."""
    return abs(PERCENT * share - round(PERCENT * share)) < 1e-9


class Alignment(Section):
    """Kernel alignment of features of student and teacher."""

    weight: Weight = Field(0.5, description="weight of kernel alignment of three layers")
    by: Literal["position", "image"] = Field("position", description="its rows: positions, or, as published, images")


class Compress(Section):
    """Small generators, the students, that learn from the chosen model, their teacher."""

    shares: list[Share] = Field(
        [], description="students, each by its share of the teacher's multiply-accumulates; none: no such stage"
    )
    count: Literal["dense", "patches"] = Field(
        "dense", description="multiply-accumulates that count: dense, or on distinct patches of labels, as on CPUs"
    )
    method: Literal["narrow", "prune", "cat"] = Field(
        "narrow",
        description="fewer channels everywhere; the teacher without its least important channels; widths that CAT's "
        "search finds for an inception_spade",
    )
    epochs: Positive = Field(40, description="epochs over the training pairs")
    batch: Positive = Field(4, description="pairs per step")
    lr: float = Field(2e-4, gt=0, description="learning rate; it falls linearly to 0 in the second half of the epochs")
    init_gain: float = Field(INIT_GAIN, gt=0, description="factor of the initial weights' deviation, as in pretraining")
    alignment: Alignment = Field(Alignment(), description="kernel alignment")
    similarity: Weight = Field(10.0, description="weight of 1 - SSIM of the student's and the teacher's image")
    reconstruction: Weight = Field(0.0, description="weight of L1 between them")
    perceptual: Perceptual = Field(Perceptual(net="efficientnet_lite0"), description="perceptual loss between them")
    photographs: bool = Field(
        True, description="add the losses of fine-tuning, with photographs and a discriminator; off: the teacher alone"
    )
    control: bool = Field(True, description="also train the same networks without the teacher, for comparison")
    submit: Share | None = Field(
        None, description="one of the shares: the submission's images are that student's; null: the teacher's"
    )

    @field_validator("shares")
    @classmethod
    def shares_are_percents(cls, shares: list[float]) -> list[float]:
        """Refuse shares that are no whole percents, or are listed twice."""
        if odd := [share for share in shares if not is_percent(share)]:
            raise ValueError(f"{odd[0]:g} is not a whole number of percent, by which students are named, such as 0.25")
        if len({round(PERCENT * share) for share in shares}) < len(shares):
            raise ValueError("a share is listed twice")
        return shares

    @model_validator(mode="after")
    def losses_fit(self) -> Compress:
        """Check that there is a loss, that kernel alignment can have a gradient, and that a student can submit."""
        if self.submit is not None and self.submit not in self.shares:
            raise ValueError(f"submit {self.submit:g} is not among shares {self.shares}: add it, or null")
        if self.alignment.by == "image" and self.alignment.weight and self.batch < 2:
            raise ValueError(
                "alignment.by image with batch 1: of a single image the alignment is always 1, without gradient; "
                "batch 2 or more, or by position"
            )
        if not (self.photographs or self.alignment.weight or self.of_images):
            raise ValueError("all weights are 0: at least one loss, or photographs true")
        if self.control and not (self.photographs or self.of_images):
            raise ValueError(
                "control without photographs compares images alone, and the weights of similarity, reconstruction and "
                "perceptual are 0: give one, or control false"
            )
        return self

    @property
    def of_images(self) -> bool:
        """Return whether a loss compares images."""
        perceptual = self.perceptual.weight if self.perceptual.net != "none" else 0.0
        return bool(self.similarity or self.reconstruction or perceptual)
