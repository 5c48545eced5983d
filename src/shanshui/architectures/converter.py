"""Conversion of weights of other implementations: what an architecture declares, and what it gets and returns.

A generator lists in `converters` the implementations whose weights it takes, each with a function from their state
dicts to ours; those of segmenters are in `segmenters.CONVERTERS`. `shanshui import` offers them by these names, reads
the files, checks that the built networks accept every array, and writes a checkpoint. Importing this module loads
neither Jittor nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.size import Size
from shanshui.weights.classes import class_names

if TYPE_CHECKING:
    from shanshui.architectures.base import Generator
    from shanshui.storage.checkpoint import Arrays, Meta

Entry = TypeVar("Entry")
Option = Literal["classes", "unknown_class", "edges", "size", "upsampling", "spectral_norm"]
VECTORS = ("weight_u", "weight_v")  # of spectral norm, at the end of their names
NO_LABEL = 255  # in label maps


@dataclass(frozen=True)
class Given:
    """Weights of another implementation, and what the user says of them, where arrays do not tell it.

    Attributes:
        states: state dicts by letter: "G" generator, "E" encoder, "D" discriminator, "S" segmenter.
        files: how messages call their files.
        classes: names in id order.
        unknown_class: the last class is that of unlabelled pixels.
        edges: label maps have one channel more, of edges.
        size: of the images.
        upsampling: of the generator: "normal", "more" or "most".
        spectral_norm: it is applied, not only stored.
    """

    states: Mapping[str, Arrays]
    files: Mapping[str, str]
    classes: Sequence[str] | None = None
    unknown_class: bool = False
    edges: bool = False
    size: Size | None = None
    upsampling: str | None = None
    spectral_norm: bool = True

    def data(self, channels: int, size: Size | None) -> Meta:
        """Return the section `data` of a checkpoint for label maps of `channels` classes, an unknown one included.

        Raises:
            UsageError: `classes` has another number of names.
        """
        names = class_names(self.classes, channels - self.unknown_class, self.files["G"])
        height, width = size or (None, None)
        ignored = NO_LABEL if self.unknown_class else None
        return {"classes": names, "width": width, "height": height, "label_offset": 0, "ignore_label": ignored}

    def meta(self, data: Meta, networks: Meta, edges: bool) -> Meta:
        """Return the metadata of a checkpoint of one image size, from its section `data` and those of its networks."""
        model = {**networks, "edges": "label" if edges else "none", "unknown_class": self.unknown_class}
        return {"data": data, "model": model, "seg_noise": False, "level": None, "alpha": 0.0}

    def check_styles(self, found: int, wanted: int) -> None:
        """Check that the encoder's styles have the length that the generator takes (0: it takes none).

        Raises:
            UsageError: they have not.
        """
        if found != wanted:
            raise UsageError(
                f"{self.files['E']} makes styles of {found} numbers",
                f"as {self.files['G']} takes: {wanted or 'none, it starts from the label map'}",
            )

    def check_channels(self, found: int, wanted: int) -> None:
        """Check that the discriminator sees label maps of as many channels as the generator.

        Raises:
            UsageError: it does not.
        """
        if found != wanted:
            raise UsageError(f"{self.files['D']} sees {found} channels", f"{wanted} as {self.files['G']}")


@dataclass(frozen=True)
class Converted:
    """Arrays by letter of the network and by our names, the metadata of their checkpoint, and what to tell the user."""

    arrays: Mapping[str, Arrays]
    meta: Meta
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Converter:
    """Conversion of the weights of one implementation.

    Attributes:
        title: implementation and files, for `import --help`.
        convert: computes arrays and metadata; raises ShanshuiError where arrays are those of something else, UsageError
            where networks or arguments do not fit together.
        required: letters of the networks that must be given.
        optional: letters of those that may be.
        options: attributes of `Given` that the user may set.
        kind: of the checkpoint.
    """

    title: str
    convert: Callable[[Given], Converted]
    required: str = "G"
    optional: str = "ED"
    options: frozenset[Option] = frozenset()
    kind: Literal["generator", "segmenter"] = "generator"


def converters_of(
    declared: Iterable[type[Generator]], others: Mapping[str, Converter] | None = None
) -> dict[str, Converter]:
    """Collect the converters of declared generators, and `others`, by their names.

    Raises:
        ShanshuiError: two have the same name.
    """
    found: dict[str, Converter] = {}
    for converters in [*(kind.converters for kind in declared), others or {}]:
        for name, converter in converters.items():
            if found.setdefault(name, converter) is not converter:
                raise ShanshuiError(f"two converters of the name {name}", "one name for each", "rename one of them")
    return found


def translate(entries: Mapping[str, Entry], rule: Callable[[str], str | None]) -> dict[str, Entry]:
    """Rename the entries of a foreign state dict; what the rule does not need is left out."""
    return {ours: entry for key, entry in entries.items() if (ours := rule(key)) is not None}
