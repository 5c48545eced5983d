"""The section `model` of the configuration: which networks, how wide and deep, and what goes together.

What the networks know is in their declarations (`architectures.registry`). Imports pydantic only, like `sections`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, Field, model_validator

from shanshui.architectures.registry import DISCRIMINATORS, GENERATORS
from shanshui.config.sections import Positive, Section

NO_STYLE = "without model.style_encoder"
if TYPE_CHECKING:
    GeneratorName: TypeAlias = str
    DiscriminatorName: TypeAlias = str
else:
    GeneratorName, DiscriminatorName = Literal[tuple(GENERATORS)], Literal[tuple(DISCRIMINATORS)]


@dataclass(frozen=True)
class Use:
    """Which networks know an option: any of these generators or of these discriminators.

    Attributes:
        style: it concerns the style encoder, and needs one.
        neutral: values that say what is the case without such a network, and so are no mistake.
    """

    generators: tuple[str, ...] = ()
    discriminators: tuple[str, ...] = ()
    style: bool = False
    neutral: tuple[object, ...] = ()

    def lacking(self, model: Model) -> str:
        """Why the option has no effect in the networks of `model`; "" where it has one."""
        if self.style and not model.style_encoder:
            return NO_STYLE
        if self.style or model.generator in self.generators or model.discriminator in self.discriminators:
            return ""
        users = [", ".join(self.generators)] if self.generators else []
        users += [f"discriminator {', '.join(self.discriminators)}"] if self.discriminators else []
        chosen = f"generator {model.generator} and discriminator {model.discriminator}"
        return f"with {chosen}: it is for {' and for '.join(users)}"


OF_STYLE = {"style_norm", "kl", "kl_reduction"}  # options of the style encoder beyond its width
NEUTRAL: dict[str, tuple[object, ...]] = {
    "z_dim": (0,), "style_encoder": (0,), "edges": ("none",), "attention": ("none",), "feature_matching": (0.0,),
    "kl": (0.0,), "label_mix": (0.0,), "seg_noise": (False,),
}  # fmt: skip


def uses(of_generator: str, of_discriminator: str) -> dict[str, Use]:
    """Options that not all networks know, from the declarations' attributes of these names."""
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
        found[option] = Use(generators, discriminators, neutral=NEUTRAL.get(option, ()))
    return found


def of_style(options: set[str]) -> dict[str, Use]:
    """Those of them that concern the style encoder."""
    return {option: Use(style=True, neutral=NEUTRAL.get(option, ())) for option in sorted(OF_STYLE & options)}


# Options that not all networks know. All others of `model` and of the training phases concern every network.
USES = {
    "model": uses("options", "options") | of_style({"style_norm"}),
    "parity": uses("parity_options", "parity_options"),
    "pretrain": uses("", "loss_options") | of_style({"kl", "kl_reduction"}),
    "finetune": uses("training_options", "loss_options") | of_style({"kl", "kl_reduction"}),
}


def without_effect(model: Model, section: str) -> dict[str, str]:
    """Options of a section that the networks of `model` leave without effect, each with the reason."""
    found = {option: use.lacking(model) for option, use in USES[section].items()}
    return {option: reason for option, reason in found.items() if reason}


def ignored(model: Model, section: str, values: BaseModel, given: Mapping[str, object]) -> Iterator[str]:
    """Yield a message for every option that was set and that the chosen networks would ignore.

    An option counts as set where it is among `given`, what the user's own files and command line say, and where it
    differs from its default, wherever that was said.
    """
    reasons = without_effect(model, section)
    for option, field in type(values).model_fields.items():
        if option not in reasons:
            continue
        value, reason = getattr(values, option), reasons[option]
        if value not in USES[section][option].neutral and (option in given or value != field.default):
            yield f"{section}.{option} {value} has no effect {reason}"


class Model(Section):
    """Generator and discriminator: which ones, and their widths and depths."""

    generator: GeneratorName = Field("apf", description="generator network (docs/models.md)")
    discriminator: DiscriminatorName = Field(
        "bank", description="discriminator network; `bank` is APF-GAN's, which adds one for each new size"
    )
    base_channels: int = Field(64, ge=2, multiple_of=2, description="width of G's and E's first layers (ngf)")
    halvings: Literal[5, 6] = Field(
        6, description="times APF-GAN's E halves the label map; sides must be multiples of 2^halvings"
    )
    spade_hidden: Positive = Field(128, description="hidden channels inside every SPADE layer (apf, spade, oasis)")
    upsampling: Literal["normal", "more", "most"] = Field(
        "normal", description="5, 6 or 7 doublings of the first features (spade, clade; ccfpse 5 or 6)"
    )
    z_dim: int = Field(
        0, ge=0, description="length of each image's random vector; 0: none, G starts from the label map"
    )
    style_encoder: int = Field(
        0, ge=0, description="width of a VAE's encoder that reads the vector off a photograph (nef); 0: none"
    )
    style_norm: Literal["instance", "batch"] = Field(
        "instance", description="in that encoder; instance norm hides how bright and of what colour a photograph is"
    )
    edges: Literal["none", "label", "instance"] = Field(
        "none", description="boundaries of classes, or of instances, as one channel more"
    )
    norm: Literal["batch", "instance"] = Field(
        "batch", description="how G's features are standardised (spade, clade, pix2pixhd)"
    )
    activation: Literal["leaky_relu", "gelu"] = Field(
        "leaky_relu", description="in the blocks of spade and clade and in the multiscale discriminator"
    )
    attention: Literal["none", "simam"] = Field("none", description="after every such activation")
    discriminators: int = Field(
        4, ge=2, le=5, description="number of them in `bank`, with as many training resolutions, or in `multiscale`"
    )
    discriminator_channels: Positive = Field(64, description="width of the shallowest discriminator (ndf)")

    @property
    def sizes(self) -> int:
        """Training resolutions; 1 where the networks do not grow."""
        return self.discriminators if DISCRIMINATORS[self.discriminator].grows else 1

    @model_validator(mode="after")
    def networks_fit(self) -> Model:
        """What belongs together."""
        generator, discriminator = GENERATORS[self.generator], DISCRIMINATORS[self.discriminator]
        if discriminator.grows and not generator.grows:
            *others, last = (name for name, kind in DISCRIMINATORS.items() if not kind.grows)
            raise ValueError(
                f"discriminator {self.discriminator} needs a generator that grows, as APF-GAN's does: with generator "
                f"{self.generator} use {', '.join(others)} or {last}"
            )
        if reason := generator.refuse(self.model_dump()):
            raise ValueError(reason)
        if self.style_encoder and not self.z_dim and not USES["model"]["style_encoder"].lacking(self):
            raise ValueError("style_encoder needs a z_dim, the length of the styles it finds (256 in the paper)")
        return self
