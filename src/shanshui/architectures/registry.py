"""All architectures, by the names the configuration has for them and by the sections of settings and headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from shanshui.architectures.apf import Apf, ProgressiveDiscriminators
from shanshui.architectures.base import SMALL_CLASSES, Discriminator, Generator, Network, Sections
from shanshui.architectures.ccfpse import Ccfpse, Fpse
from shanshui.architectures.oasis import Oasis, PixelClassifier
from shanshui.architectures.pix2pixhd import Pix2pixHD
from shanshui.architectures.spade import Clade, CladeIcpe, Multiscale, Spade
from shanshui.errors import ShanshuiError
from shanshui.storage.size import Size

Kind = TypeVar("Kind", bound=type[Network])
SMALL_SIDE = 128  # which every network can halve


def named(kinds: Iterable[Kind]) -> dict[str, Kind]:
    """By their names."""
    return {kind.name: kind for kind in kinds}


GENERATORS: dict[str, type[Generator]] = named([Apf, Spade, Clade, CladeIcpe, Ccfpse, Oasis, Pix2pixHD])
DISCRIMINATORS: dict[str, type[Discriminator]] = named([ProgressiveDiscriminators, Multiscale, Fpse, PixelClassifier])


def generator_of(meta: Mapping[str, Any], source: str = "the settings") -> Generator:
    """The generator in training's settings or a checkpoint's metadata; ShanshuiError where there is none known."""
    return _read(GENERATORS, meta, "model", source)


def discriminator_of(meta: Mapping[str, Any], source: str = "the settings") -> Discriminator:
    """The discriminator, likewise."""
    return _read(DISCRIMINATORS, meta, "discriminator", source)


def _read(kinds: Mapping[str, Any], meta: Mapping[str, Any], name: str, source: str) -> Any:
    section = meta.get(name, {})
    for kind in kinds.values():
        if all(section.get(entry) == value for entry, value in kind.header.items()):
            try:
                return kind.read(meta)
            except ValidationError as error:
                wrong = error.errors(include_url=False)[0]
                place = ".".join(map(str, (name, *wrong["loc"])))
                raise ShanshuiError(f"{source}: {place}: {wrong['msg']}", f"a {name} of {kind.name}") from None
    raise ShanshuiError(f"{source} describes a {name} of kind {section.get('kind')}", ", ".join(kinds))


class Networks(NamedTuple):
    """What a configuration trains."""

    generator: Generator
    discriminator: Discriminator

    def sections(self) -> Sections:
        """Of settings and headers, by their names."""
        found = self.generator.sections()
        for name, section in self.discriminator.sections().items():
            found[name] = found.get(name, {}) | section
        return found

    def divisors(self) -> list[tuple[int, str]]:
        """Return the numbers of which the sides of images must be multiples, largest first, with reasons."""
        return sorted((self.generator.divisor(), self.discriminator.divisor()), reverse=True)

    def extra_kernels(self) -> Sections | None:
        """Return the networks whose kernels are not those of APF-GAN, which are always compiled; or None."""
        return None if self.discriminator.grows else self.minimal()

    def minimal(self) -> Sections:
        """Sections of networks as small as can be, which need the same kernels, and of their data."""
        small = Networks(self.generator.minimal(), self.discriminator.minimal_for(self.generator))
        classes = [str(i) for i in range(SMALL_CLASSES)]
        return {"data": {"classes": classes, "width": SMALL_SIDE, "height": SMALL_SIDE}, **small.sections()}


def configured(options: Mapping[str, Any], classes: int, parity: Mapping[str, str], size: Size) -> Networks:
    """The networks that the configuration's section `model` names.

    Args:
        options: the whole section.
        classes: of the label maps.
        parity: switches of the section `parity`.
        size: of the images.
    """
    generator, discriminator = GENERATORS[options["generator"]], DISCRIMINATORS[options["discriminator"]]
    return Networks(
        generator.configured(options, classes, parity, size), discriminator.configured(options, classes, parity)
    )
