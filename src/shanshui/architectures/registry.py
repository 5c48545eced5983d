"""All architectures, by their names in the configuration.

A module of this package declares its own with `architectures.base.architecture`, a plug-in through the entry point
group `shanshui.architectures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar, cast

from pydantic import ValidationError

from shanshui.architectures import apf, ccfpse, inception_spade, oasis, pix2pixhd, spade
from shanshui.architectures.base import (
    DISCRIMINATORS,
    GENERATORS,
    SMALL_CLASSES,
    Discriminator,
    Generator,
    Network,
)
from shanshui.architectures.context import Context, Sections
from shanshui.errors import ShanshuiError
from shanshui.plugins.discovery import load_plugins

SMALL_SIDE = 128  # which every network can halve
Part = Literal["generator", "discriminator"]
Kind = TypeVar("Kind", bound=Network)
DECLARING = (apf, spade, ccfpse, oasis, pix2pixhd, inception_spade)  # importing them declares what they hold
load_plugins("shanshui.architectures")


def generator_of(meta: Mapping[str, object], source: str = "the settings") -> Generator:
    """Return the generator in training's settings or a checkpoint's metadata.

    Raises:
        ShanshuiError: there is none known.
    """
    return _read(GENERATORS, meta, "generator", source)


def discriminator_of(meta: Mapping[str, object], source: str = "the settings") -> Discriminator:
    """Return the discriminator in training's settings or a checkpoint's metadata.

    Raises:
        ShanshuiError: there is none known.
    """
    return _read(DISCRIMINATORS, meta, "discriminator", source)


def _read(kinds: Mapping[str, type[Kind]], meta: Mapping[str, object], part: Part, source: str) -> Kind:
    sections = cast("Sections", meta)
    section = sections.get("model", {}).get(part, {})
    name = str(section.get("name"))
    kind = kinds.get(name)
    if kind is None:
        raise ShanshuiError(f"{source} describes a {part} of the name {name}", ", ".join(kinds))
    try:
        return kind.model_validate(section).within(Context.of(sections))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("model", part, *wrong["loc"])))
        raise ShanshuiError(f"{source}: {place}: {wrong['msg']}", f"options of the {part} {name}") from None


class Networks(NamedTuple):
    """The networks that a configuration trains."""

    generator: Generator
    discriminator: Discriminator

    def sections(self) -> Sections:
        """Return the section `model` of settings and headers."""
        return {
            "model": {
                "generator": self.generator.section(),
                "discriminator": self.discriminator.section(),
                "edges": self.generator.context.edges,
            }
        }

    def divisors(self) -> list[tuple[int, str]]:
        """List the numbers of which the images' sides must be multiples, each with the reason; the largest first."""
        return sorted((self.generator.divisor(), self.discriminator.divisor()), reverse=True)

    def minimal(self) -> Sections:
        """Return the sections of networks at their smallest widths, which need the same kernels, and of their data."""
        small = Networks(self.generator.minimal(), self.discriminator.minimal())
        classes = [str(i) for i in range(SMALL_CLASSES)]
        return {"data": {"classes": classes, "width": SMALL_SIDE, "height": SMALL_SIDE}, **small.sections()}
