"""The section `model` of the configuration: which networks, how wide and deep, and what goes together.

Imports pydantic only, like `sections`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from shanshui.sections import Positive, Section

UPSAMPLINGS = {"normal": 5, "more": 6, "most": 7}  # doublings of the first features
CLADES = ("clade", "clade_icpe")
SPADES = ("spade", *CLADES)  # of one trunk
USED_BY = {
    # option of `model`: (value without effect, generators and discriminators in which others have one)
    "upsampling": ("normal", (*SPADES, "ccfpse")),
    "z_dim": (0, (*SPADES, "ccfpse", "oasis")),
    "style_encoder": (0, (*SPADES, "ccfpse")),
    "style_norm": ("instance", (*SPADES, "ccfpse")),
    "edges": ("none", (*SPADES, "ccfpse", "pix2pixhd")),
    "norm": ("batch", (*SPADES, "pix2pixhd")),
    "activation": ("leaky_relu", (*SPADES, "multiscale")),
    "attention": ("none", (*SPADES, "multiscale")),
}


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
        """Options that one of the chosen networks must know, and what belongs together."""
        if self.discriminator == "bank" and self.generator != "apf":
            raise ValueError(
                f"discriminator bank judges pictures that grow, as APF-GAN's do: with generator {self.generator} use "
                "multiscale, fpse or oasis"
            )
        for option, (neutral, users) in USED_BY.items():
            value = getattr(self, option)
            if value != neutral and not {self.generator, self.discriminator} & set(users):
                raise ValueError(
                    f"{option} {value} has no effect with generator {self.generator} and discriminator "
                    f"{self.discriminator}: it is for {', '.join(users)}"
                )
        if self.generator == "ccfpse" and self.upsampling == "most":
            raise ValueError("upsampling most is not known for ccfpse, whose label pyramid has 5 or 6 halvings")
        if self.style_encoder and not self.z_dim:
            raise ValueError("style_encoder needs a z_dim, the length of the styles it finds (256 in the paper)")
        if self.style_norm != "instance" and not self.style_encoder:
            raise ValueError(f"style_norm {self.style_norm} has no effect without a style_encoder")
        return self

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
