"""All architectures, by the names the configuration has for them.

A module of this package declares its own with `architectures.base.architecture`, a plug-in through the entry point
group `shanshui.architectures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from shanshui.architectures import apf, ccfpse, oasis, pix2pixhd, spade
from shanshui.architectures.base import (
    DISCRIMINATORS,
    GENERATORS,
    SMALL_CLASSES,
    Context,
    Discriminator,
    Generator,
    Sections,
)
from shanshui.errors import ShanshuiError
from shanshui.plugins.discovery import load_plugins

SMALL_SIDE = 128  # which every network can halve
DECLARING = (apf, spade, ccfpse, oasis, pix2pixhd)  # importing them declares what they hold
load_plugins("shanshui.architectures")


def generator_of(meta: Mapping[str, Any], source: str = "the settings") -> Generator:
    """The generator in training's settings or a checkpoint's metadata; ShanshuiError where there is none known."""
    return _read(GENERATORS, meta, "generator", source)


def discriminator_of(meta: Mapping[str, Any], source: str = "the settings") -> Discriminator:
    """The discriminator, likewise."""
    return _read(DISCRIMINATORS, meta, "discriminator", source)


def _read(kinds: Mapping[str, Any], meta: Mapping[str, Any], part: str, source: str) -> Any:
    section = meta.get("model", {}).get(part, {})
    kind = kinds.get(section.get("name"))
    if kind is None:
        raise ShanshuiError(f"{source} describes a {part} of the name {section.get('name')}", ", ".join(kinds))
    try:
        return kind.model_validate(section).within(Context.of(meta))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("model", part, *wrong["loc"])))
        raise ShanshuiError(f"{source}: {place}: {wrong['msg']}", f"options of the {part} {section['name']}") from None


class Networks(NamedTuple):
    """What a configuration trains."""

    generator: Generator
    discriminator: Discriminator

    def sections(self) -> Sections:
        """Section `model` of settings and headers."""
        parts = {"generator": self.generator.section(), "discriminator": self.discriminator.section()}
        return {"model": {**parts, "edges": self.generator.context.edges}}

    def divisors(self) -> list[tuple[int, str]]:
        """Return the numbers of which the sides of images must be multiples, largest first, with reasons."""
        return sorted((self.generator.divisor(), self.discriminator.divisor()), reverse=True)

    def extra_kernels(self) -> Sections | None:
        """Return the networks whose kernels are not those of APF-GAN, which are always compiled; or None."""
        return None if self.discriminator.grows else self.minimal()

    def minimal(self) -> Sections:
        """Sections of networks as small as can be, which need the same kernels, and of their data."""
        small = Networks(self.generator.minimal(), self.discriminator.minimal())
        classes = [str(i) for i in range(SMALL_CLASSES)]
        return {"data": {"classes": classes, "width": SMALL_SIDE, "height": SMALL_SIDE}, **small.sections()}
