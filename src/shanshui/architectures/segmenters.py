"""Segmenters: networks that find the given classes in images: trained or imported files, and a built-in one.

A module of an architecture has `build(meta)`, which returns a network with `segment`: photographs float32 (N, 3, h, w)
in [-1, 1] -> logits (N, num_classes, h', w') of any size, and features (N, d) averaged over the image. Where the
metadata have a `translation`, the logits are of the network's own classes, which it maps to those of the label maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

import numpy as np

from shanshui.architectures.segformer_weights import HUGGING_FACE
from shanshui.backend.lazy import jt
from shanshui.data.landscape_classes import CLASSES
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint
from shanshui.storage.checkpoint import Arrays
from shanshui.storage.files import digest, sha256
from shanshui.storage.images import to_float
from shanshui.storage.size import Size
from shanshui.weights.builtin import BUILTIN

if TYPE_CHECKING:
    from shanshui.architectures.deeplab import DeepLab
    from shanshui.architectures.segformer import SegFormer
    from shanshui.architectures.segformer_weights import SegFormerSizes
    from shanshui.architectures.segmenter import UNet


KIND = "segmenter"
BATCH = 16
LARGE = {"deeplab": 4}  # images a batch where logits have the size of the images
BUILTIN_SIZE = Size(288, 384)  # by default


class SegmenterFacts(TypedDict):
    """What is stored of a segmenter with scores: its classes, and its accuracy on `n` real photographs, if measured."""

    architecture: str
    classes: list[str]
    real: dict[str, float] | None
    unjudged: NotRequired[list[str]]


class SegmenterMeta(TypedDict):
    """Metadata of a segmenter's file; `channels` of a U-Net, `model` and `grouping` of a SegFormer."""

    architecture: str
    classes: list[str]
    width: int
    height: int
    real: NotRequired[dict[str, float] | None]
    unjudged: NotRequired[list[str]]
    translation: NotRequired[list[int]]
    channels: NotRequired[int]
    model: NotRequired[SegFormerSizes]
    grouping: NotRequired[list[int]]


def _unet(meta: SegmenterMeta) -> UNet:
    from shanshui.architectures.segmenter import build

    return build(meta)


def _segformer(meta: SegmenterMeta) -> SegFormer:
    from shanshui.architectures.segformer import build

    return build(meta)


def _deeplab(meta: SegmenterMeta) -> DeepLab:
    from shanshui.architectures.deeplab import build

    return build(meta)


BUILDERS: dict[str, Callable[[SegmenterMeta], UNet | SegFormer | DeepLab]] = {
    "unet": _unet, "segformer": _segformer, "deeplab": _deeplab,
}  # fmt: skip
CONVERTERS = {"segformer": HUGGING_FACE}  # of other implementations' weights, by the names `import` offers
NAMES = {
    "unet": "our own U-Net", "segformer": "an imported SegFormer", "deeplab": "the built-in DeepLabV3+ of ADE20K",
}  # fmt: skip


@dataclass(frozen=True)
class Segmenter:
    """A segmenter's weights and metadata; the network is built when it is first needed.

    Args:
        arrays: weights.
        meta: `architecture`, `classes` (names in id order), `width` and `height` of its input images, further entries
            of the architecture, and `real`: its `mask_accuracy` and `miou` on `n` real photographs
            that it was not trained on, or None. `unjudged`, where present, names classes it cannot find.
        source: name of the file, for messages.
        identity: digest of the weights.
    """

    arrays: Arrays
    meta: SegmenterMeta
    source: str
    identity: str

    @property
    def classes(self) -> list[str]:
        """Return the names of the classes in id order."""
        return list(self.meta["classes"])

    @property
    def size(self) -> Size:
        """Return the size of its input images."""
        return Size(int(self.meta["height"]), int(self.meta["width"]))

    @property
    def facts(self) -> SegmenterFacts:
        """Return what is stored with scores: architecture, classes, and its own accuracy on real photographs."""
        found: SegmenterFacts = {
            "architecture": self.meta["architecture"], "classes": self.meta["classes"], "real": self.meta.get("real"),
        }  # fmt: skip
        return {**found, "unjudged": self.meta["unjudged"]} if self.meta.get("unjudged") else found

    @property
    def judged(self) -> np.ndarray | None:
        """Return which of the classes it can find, (num_classes,) bool; None: all."""
        unjudged = self.meta.get("unjudged")
        return np.array([name not in unjudged for name in self.classes]) if unjudged else None

    @cached_property
    def _net(self) -> UNet | SegFormer | DeepLab:
        from shanshui.backend.modules import restore

        net = BUILDERS[self.meta["architecture"]](self.meta)
        restore(net, self.arrays, self.source)
        net.eval()
        return net

    def segment(self, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Segment photographs uint8 (N, height, width, 3) of its input size.

        Returns:
            Class ids uint8 (N, height, width), 255 for what is no class of the label maps; and features
            float32 (N, d).
        """
        if photos.shape[1:] != (*self.size, 3):
            raise ValueError(f"images of shape {photos.shape[1:]}, the segmenter takes {(*self.size, 3)}")
        batch = LARGE.get(self.meta["architecture"], BATCH)
        parts = [self._see_batch(photos[start : start + batch]) for start in range(0, len(photos), batch)]
        return np.concatenate([ids for ids, _ in parts]), np.concatenate([features for _, features in parts])

    def _see_batch(self, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from shanshui.nn.resize import bilinear

        with jt.no_grad():
            logits, features = self._net.segment(jt.array(np.stack([to_float(photo) for photo in photos])))
            ids = bilinear(logits, self.size).argmax(1)[0]
            jt.sync([ids, features])
        found, translation = ids.numpy().astype(np.uint8), self.meta.get("translation")
        if translation:
            found = np.array(translation, np.uint8)[found]
        return found, features.numpy().reshape(len(photos), -1)


def builtin_segmenter(classes: Sequence[str], size: Size = BUILTIN_SIZE) -> Segmenter:
    """Create the segmenter included in the package, for `classes`, on images resized to `size`.

    Raises:
        UsageError: it knows none of the classes or cannot use the size.
    """
    from shanshui.weights import deeplab

    if any(side % deeplab.SIDE_STEP for side in size):
        raise UsageError(f"the built-in segmenter at {size}", f"sides that are multiples of {deeplab.SIDE_STEP}")
    meta: SegmenterMeta = {
        "architecture": "deeplab", "classes": list(classes), "width": size.width, "height": size.height, "real": None,
        "translation": deeplab.translation(classes), "unjudged": deeplab.unjudged(classes),
    }  # fmt: skip
    return Segmenter(deeplab.read_weights(), meta, "the built-in segmenter", digest([sha256(deeplab.FILE), meta]))


def wrong_description(meta: Mapping[str, object]) -> list[str]:
    """List the entries of a segmenter's metadata that are missing or have a wrong type."""
    classes = meta.get("classes")
    names = isinstance(classes, list) and bool(classes) and all(isinstance(name, str) for name in classes)
    sides = [name for name in ("width", "height") if not (isinstance(side := meta.get(name), int) and side > 0)]
    return ([] if names else ["classes"]) + sides


def load_segmenter(path: str | Path, classes: Sequence[str] | None = None, size: Size | None = None) -> Segmenter:
    """Read a segmenter's file, for `classes` where they are given; or create the built-in one.

    Args:
        path: the file, or the word "builtin".
        classes: names in id order; by default the built-in one takes the contest's.
        size: at which the built-in one works; files have their own.

    Raises:
        ShanshuiError: the file is of another kind or architecture, or its classes are not `classes`.
    """
    if str(path) == BUILTIN:
        return builtin_segmenter(classes or CLASSES, size or BUILTIN_SIZE)
    do = "give a file of `python -m shanshui segmenter` or `python -m shanshui import segformer`, or: builtin"
    loaded = checkpoint.load(path)
    kind, architecture = loaded.meta.get("kind"), loaded.meta.get("architecture")
    if kind != KIND:
        raise ShanshuiError(f"{path} is a checkpoint of kind {kind!r}", f"a checkpoint of kind {KIND!r}", do)
    if architecture not in BUILDERS:
        raise ShanshuiError(f"{path} has architecture {architecture!r}", f"one of {', '.join(BUILDERS)}", do)
    if wrong := wrong_description(loaded.meta):
        raise ShanshuiError(f"{path} does not say as this version does: {', '.join(wrong)}", "a whole description", do)
    segmenter = Segmenter(loaded.arrays, cast("SegmenterMeta", loaded.meta), str(path), sha256(path))
    check_classes(segmenter.classes, classes, str(path))
    return segmenter


def check_classes(found: Sequence[str], wanted: Sequence[str] | None, source: str) -> None:
    """Check that a segmenter's classes are exactly the wanted ones, in this order; None accepts any.

    Raises:
        ShanshuiError: they differ.
    """
    if wanted is None or list(found) == list(wanted):
        return
    differing = [i for i, (one, other) in enumerate(zip(found, wanted, strict=False)) if one != other]
    place = differing[0] if differing else min(len(found), len(wanted))
    ours, theirs = (names[place] if place < len(names) else "nothing" for names in (found, wanted))
    raise ShanshuiError(
        f"{source} is a segmenter of other classes: {len(found)}, with {ours!r} as number {place}",
        f"the {len(wanted)} of data.classes, with {theirs!r} as number {place}",
        "use the segmenter that was trained on these classes, or train one",
    )


def describe_segmenter(identity: str, facts: SegmenterFacts) -> str:
    """Describe a segmenter and its accuracy as text."""
    name, real = f"{NAMES[facts['architecture']]} {identity[:12]}", facts.get("real")
    if unjudged := facts.get("unjudged"):
        name += f" (not scored: {', '.join(unjudged)})"
    if not real:
        return f"{name}, whose accuracy on real photographs was not measured"
    return f"{name}, right in {real['mask_accuracy']:.1%} of the pixels of {real['n']} real photographs it never saw"
