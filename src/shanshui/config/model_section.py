"""The section `model` of the configuration: which networks, their options, and what goes together.

The sections of the networks are their declarations (`architectures.registry`). Imports pydantic only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, field_validator, model_validator

from shanshui.architectures.apf import Apf, ProgressiveDiscriminators
from shanshui.architectures.base import Discriminator, Generator, Network, SpectrallyNormed
from shanshui.architectures.context import Edges
from shanshui.architectures.registry import DISCRIMINATORS, GENERATORS
from shanshui.config.section import Section

NO_STYLE = "without model.generator.style_encoder"
PARTS: dict[str, Mapping[str, type[Network]]] = {"generator": GENERATORS, "discriminator": DISCRIMINATORS}
if TYPE_CHECKING:
    GeneratorSection: TypeAlias = Generator
    DiscriminatorSection: TypeAlias = Discriminator
else:
    GeneratorSection = Annotated[reduce(or_, GENERATORS.values()), Field(discriminator="name")]
    DiscriminatorSection = Annotated[reduce(or_, DISCRIMINATORS.values()), Field(discriminator="name")]


@dataclass(frozen=True)
class Use:
    """Which networks know an option: any of these generators or of these discriminators.

    Attributes:
        style: it concerns the style encoder, and needs one.
        own: the networks' own option that takes its place where it is set; "" where they have none.
        neutral: values that say what is the case without such a network, and so are no mistake.
    """

    generators: tuple[str, ...] = ()
    discriminators: tuple[str, ...] = ()
    style: bool = False
    own: str = ""
    neutral: tuple[object, ...] = ()

    def lacking(self, model: Model) -> str:
        """Explain why the option has no effect in the networks of `model`; "" if it has one."""
        generator, discriminator = model.generator.name, model.discriminator.name
        if self.style and not model.generator.has_style_encoder:
            return NO_STYLE
        if self.own and (values := own_values(model, self.own)) and None not in values.values():
            return f"with {' and '.join(f'{place} {value}' for place, value in values.items())}, which take its place"
        if self.style or generator in self.generators or discriminator in self.discriminators:
            return ""
        users = [", ".join(self.generators)] if self.generators else []
        users += [f"discriminator {', '.join(self.discriminators)}"] if self.discriminators else []
        chosen = f"generator {generator} and discriminator {discriminator}"
        return f"with {chosen}: it is for {' and for '.join(users)}"


def own_values(model: Model, option: str) -> dict[str, object]:
    """Return the values of an option that several networks have, by its place in the configuration; None if not set."""
    generator, discriminator = model.generator, model.discriminator
    sections: dict[str, Section | None] = {
        "model.generator": generator, "model.discriminator": discriminator,
        "model.generator.style_encoder": getattr(generator, "style_encoder", None),
    }  # fmt: skip
    return {f"{place}.{option}": getattr(section, option)
            for place, section in sections.items() if section and hasattr(section, option)}  # fmt: skip


NEUTRAL: dict[str, tuple[object, ...]] = {
    "edges": ("none",), "feature_matching": (0.0,), "kl": (0.0,), "label_mix": (0.0,), "seg_noise": (False,),
    "spectral_norm": (None,),
}  # fmt: skip


def uses(of_generator: str, of_discriminator: str) -> dict[str, Use]:
    """Collect the options that not all networks have, from these attributes of their declarations."""
    known_to: list[dict[str, frozenset[str]]] = [
        {name: getattr(kind, of_generator, frozenset()) for name, kind in GENERATORS.items()},
        {name: getattr(kind, of_discriminator, frozenset()) for name, kind in DISCRIMINATORS.items()},
    ]
    every = sorted({option for known in known_to for options in known.values() for option in options})
    found = {}
    for option in every:
        generators, discriminators = (
            tuple(n for n, options in known.items() if option in options) for known in known_to
        )
        own = option if option in SpectrallyNormed.model_fields else ""
        found[option] = Use(generators, discriminators, own=own, neutral=NEUTRAL.get(option, ()))
    return found


OF_STYLE = {option: Use(style=True, neutral=NEUTRAL.get(option, ())) for option in ("kl", "kl_reduction")}
# Options beyond the networks' own sections that not all networks know. All others of the training phases concern all.
USES = {
    "model": uses("inputs", ""),
    "parity": uses("parity_options", "parity_options"),
    "pretrain": uses("", "loss_options") | OF_STYLE,
    "finetune": uses("training_options", "loss_options") | OF_STYLE,
}


def without_effect(model: Model, section: str) -> dict[str, str]:
    """Return the options of a section that have no effect with the networks of `model`, each with the reason."""
    found = {option: use.lacking(model) for option, use in USES[section].items()}
    return {option: reason for option, reason in found.items() if reason}


def ignored(model: Model, section: str, values: BaseModel, given: Mapping[str, object]) -> Iterator[str]:
    """Yield a message for every option that was set and that the chosen networks would ignore.

    An option counts as set if it is in `given`, the user's own files and command line, or differs from its default.
    """
    reasons = without_effect(model, section)
    for option, field in type(values).model_fields.items():
        if option not in reasons:
            continue
        value, reason = getattr(values, option), reasons[option]
        if value not in USES[section][option].neutral and (option in given or value != field.default):
            yield f"{section}.{option} {value} has no effect {reason}"


def misplaced(part: str, name: str, option: str) -> str:
    """Explain that a network lacks an `option`, which options it has, and which networks have that one."""
    own = [field for field in PARTS[part][name].model_fields if field != "name"]
    owners = [other for other, kind in PARTS[part].items() if option in kind.model_fields]
    belongs = f"; it is an option of {', '.join(owners)}" if owners else ""
    return f"{part} {name} has no option {option}{belongs}. It has {', '.join(own)}"


def owners_of(option: str) -> Iterator[str]:
    """Yield the parts of `model` that have an option of this name, each with the networks that have it."""
    for part, kinds in PARTS.items():
        if names := [name for name, kind in kinds.items() if option in kind.model_fields and option != "name"]:
            yield f"`{part}:` ({', '.join(names)})"


class Model(Section):
    """Generator and discriminator: which ones, with their own options, and what both are shown."""

    generator: GeneratorSection = Field(Apf(), description="generator network, with its own options (docs/models.md)")
    discriminator: DiscriminatorSection = Field(
        ProgressiveDiscriminators(),
        description="discriminator network; `progressive` is APF-GAN's, which adds one for each new size",
    )
    edges: Edges = Field("none", description="boundaries of classes, or of instances, as one channel more")

    @field_validator("generator", "discriminator", mode="before")
    @classmethod
    def name_alone(cls, value: Any) -> Any:
        """Expand `generator: spade` to `generator: {name: spade}`."""
        return {"name": value} if isinstance(value, str) else value

    @property
    def sizes(self) -> int:
        """Training resolutions; 1 where the networks do not grow."""
        return self.discriminator.output_sizes

    @model_validator(mode="after")
    def networks_fit(self) -> Model:
        """Refuse several training resolutions for a generator that does not grow."""
        if self.sizes == 1 or self.generator.grows:
            return self
        what = f"discriminator {self.discriminator.name}"
        if self.discriminator.grows:
            *others, last = (name for name, kind in DISCRIMINATORS.items() if not kind.grows)
            do = f"use {', '.join(others)} or {last}"
        else:
            what, do = f"{what} with count {self.sizes}", "set its count to 1"
        raise ValueError(
            f"{what} needs a generator that grows, as APF-GAN's does: with generator {self.generator.name} {do}"
        )
