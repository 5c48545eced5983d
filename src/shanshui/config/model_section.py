"""The section `model` of the configuration: which networks, how wide and deep, and what goes together.

Imports pydantic only, like `sections`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from shanshui.config.sections import Positive, Section

UPSAMPLINGS = {"normal": 5, "more": 6, "most": 7}  # doublings of the first features
CLADES = ("clade", "clade_icpe")
SPADES = ("spade", *CLADES)  # of one trunk
PATCHES = ("bank", "multiscale", "fpse")  # discriminators that score patches
NO_STYLE = "without model.style_encoder"


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


PHASE = {
    "gan": Use((), PATCHES),
    "feature_matching": Use((), PATCHES, neutral=(0.0,)),
    "kl": Use(style=True, neutral=(0.0,)),
    "kl_reduction": Use(style=True),
    "label_mix": Use((), ("oasis",), neutral=(0.0,)),
}
# Options that not all networks know. All others of `model` and of the training phases concern every network.
USES = {
    "model": {
        "halvings": Use(("apf",)),
        "spade_hidden": Use(("apf", "spade", "oasis")),
        "upsampling": Use((*SPADES, "ccfpse")),
        "z_dim": Use((*SPADES, "ccfpse", "oasis"), neutral=(0,)),
        "style_encoder": Use((*SPADES, "ccfpse"), neutral=(0,)),
        "style_norm": Use(style=True),
        "edges": Use((*SPADES, "ccfpse", "pix2pixhd"), neutral=("none",)),
        "norm": Use((*SPADES, "pix2pixhd")),
        "activation": Use(SPADES, ("multiscale",)),
        "attention": Use(SPADES, ("multiscale",), neutral=("none",)),
        "discriminators": Use((), ("bank", "multiscale")),
    },
    "parity": {
        **dict.fromkeys(("grow_copy", "full_order", "loss_resize", "pool_padding"), Use((), ("bank",))),
        "seg_noise_init": Use(("apf",)),
    },
    "pretrain": PHASE,
    "finetune": PHASE | {"seg_noise": Use(("apf",), neutral=(False,))},
}


def without_effect(model: Model, section: str) -> dict[str, str]:
    """Options of a section that the networks of `model` leave without effect, each with the reason."""
    found = {option: use.lacking(model) for option, use in USES[section].items()}
    return {option: reason for option, reason in found.items() if reason}


def ignored(model: Model, section: str, values: BaseModel, given: Mapping[str, object]) -> Iterator[str]:
    """A sentence for every option that was set and that the chosen networks would ignore.

    An option counts as set where it is among `given`, what the user's own files and command line say, and where it
    differs from its default, wherever that was said.
    """
    for option, reason in without_effect(model, section).items():
        value, field = getattr(values, option), type(values).model_fields[option]
        if value not in USES[section][option].neutral and (option in given or value != field.default):
            yield f"{section}.{option} {value} has no effect {reason}"


class Model(Section):
    """Generator and discriminator: which ones, and their widths and depths."""

    generator: Literal["apf", "spade", "clade", "clade_icpe", "ccfpse", "oasis", "pix2pixhd"] = Field(
        "apf", description="what makes the pictures (docs/models.md)"
    )
    discriminator: Literal["bank", "multiscale", "fpse", "oasis"] = Field(
        "bank", description="what judges them; `bank`, APF-GAN's, wakes one discriminator for each new size"
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
        0, ge=0, description="length of each picture's random vector; 0: none, G starts from the label map"
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
        return self.discriminators if self.discriminator == "bank" else 1

    @model_validator(mode="after")
    def networks_fit(self) -> Model:
        """What belongs together."""
        if self.discriminator == "bank" and self.generator != "apf":
            raise ValueError(
                f"discriminator bank judges pictures that grow, as APF-GAN's do: with generator {self.generator} use "
                "multiscale, fpse or oasis"
            )
        if self.generator == "ccfpse" and self.upsampling == "most":
            raise ValueError("upsampling most is not known for ccfpse, whose label pyramid has 5 or 6 halvings")
        if self.style_encoder and not self.z_dim and not USES["model"]["style_encoder"].lacking(self):
            raise ValueError("style_encoder needs a z_dim, the length of the styles it finds (256 in the paper)")
        return self

    def least_side(self) -> int:
        """Below it a network has too few pixels to mirror at its smallest size."""
        return 32 if self.generator == "pix2pixhd" else 1

    def multiples(self) -> list[tuple[int, str]]:
        """Of what the pictures' sides must be multiples, each with the reason."""
        doublings = UPSAMPLINGS[self.upsampling]
        of_generator = {
            "apf": (2**self.halvings, f"model.halvings {self.halvings} halves it {self.halvings} times"),
            "oasis": (32, "generator oasis doubles its first features 5 times"),
            "pix2pixhd": (16, "generator pix2pixhd halves it 4 times"),
        }
        usual = 2**doublings, f"model.upsampling {self.upsampling} doubles the first features {doublings} times"
        of_discriminator = {
            "fpse": (32, "discriminator fpse halves it 5 times"),
            "oasis": (64, "discriminator oasis halves it 6 times"),
        }
        wanted = [of_generator.get(self.generator, usual), of_discriminator.get(self.discriminator, (1, ""))]
        return sorted(wanted, reverse=True)
