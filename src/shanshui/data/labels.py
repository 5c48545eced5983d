"""Conversion of label values to class ids 0 .. num_classes - 1, and 255 for "no class"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

import numpy as np

from shanshui.errors import ShanshuiError

NO_CLASS = 255


def outside(
    counts: Mapping[int, int], num_classes: int, label_offset: int = 0, ignore_label: int | None = None
) -> dict[int, int]:
    """Select the pixel values that are neither class id nor `ignore_label`.

    Args:
        counts: number of pixels by value in the file.
        num_classes: number of classes.
        label_offset: is added to a value to get its class id.
        ignore_label: value in the file for pixels without a class.
    """
    return {
        value: pixels
        for value, pixels in sorted(counts.items())
        if value != ignore_label and not 0 <= value + label_offset < num_classes
    }


def value_counts(raw: np.ndarray) -> dict[int, int]:
    """Count the pixels of each value in an array of any integer type."""
    if raw.dtype == np.uint8:
        counts = np.bincount(raw.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    values, pixels = np.unique(raw, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, pixels, strict=True)}


def apply_label_rules(
    raw: np.ndarray,
    num_classes: int,
    label_offset: int = 0,
    ignore_label: int | None = None,
    source: object = "a label map",
) -> np.ndarray:
    """Convert pixel values of a label map file, any shape, to uint8 class ids, with 255 for no class.

    Args:
        raw: integers as stored in the file.
        num_classes: 1 to 255.
        label_offset: is added to every value but `ignore_label`.
        ignore_label: value in the file for pixels without a class; None if there is none.
        source: how the error message calls the file.

    Raises:
        ShanshuiError: a value is no class; the message lists all of them with their numbers of pixels.
        ValueError: `num_classes` is out of range.
    """
    if not 1 <= num_classes <= NO_CLASS:
        raise ValueError(f"num_classes {num_classes} is not in 1 .. {NO_CLASS}")
    ids = raw.astype(np.int32) + label_offset
    nothing = raw == ignore_label if ignore_label is not None else np.zeros(raw.shape, bool)
    wrong = ((ids < 0) | (ids >= num_classes)) & ~nothing
    if wrong.any():
        found = ", ".join(f"{value} ({pixels} pixels)" for value, pixels in value_counts(raw[wrong]).items())
        raise ShanshuiError(
            f"{source} holds pixel values that are no class: {found}",
            f"class ids 0 to {num_classes - 1} after adding data.label_offset ({label_offset}); "
            f"data.ignore_label is {'null' if ignore_label is None else ignore_label}",
            "correct the file, data.classes, data.label_offset or data.ignore_label",
        )
    ids[nothing] = NO_CLASS
    return ids.astype(np.uint8)


class LabelEntry(TypedDict):
    """Entry `data` of settings and headers, as far as label maps depend on it."""

    classes: list[str]
    label_offset: NotRequired[int]
    ignore_label: NotRequired[int | None]


@dataclass(frozen=True)
class Classes:
    """The classes of a dataset, and the meaning of the values in its label map files.

    Attributes:
        names: by class id, 0 to len(names) - 1.
        label_offset: is added to a value in a file to get its class id.
        ignore_label: value in files for pixels without a class; None if every pixel has a class.
    """

    names: tuple[str, ...]
    label_offset: int = 0
    ignore_label: int | None = None

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Classes:
        """Create them from a `data` section, of settings or of a checkpoint."""
        entry = cast("LabelEntry", data)
        return cls(tuple(entry["classes"]), entry.get("label_offset", 0), entry.get("ignore_label"))

    @property
    def no_class(self) -> int | None:
        """The id of pixels without a class, 255; None where every pixel has a class."""
        return None if self.ignore_label is None else NO_CLASS

    def ids(self, raw: np.ndarray, source: object = "a label map") -> np.ndarray:
        """Convert values of a label map file to class ids by `apply_label_rules`."""
        return apply_label_rules(raw, len(self.names), self.label_offset, self.ignore_label, source)


def one_hot(label_map: np.ndarray, num_classes: int) -> np.ndarray:
    """Encode class ids, uint8 (N, H, W), as float32 (N, num_classes, H, W); all zero where the id is 255."""
    n, height, width = label_map.shape
    segmap = np.empty((n, num_classes, height, width), np.float32)
    ids = np.arange(num_classes, dtype=np.uint8).reshape(1, -1, 1, 1)
    np.equal(label_map[:, None], ids, out=segmap)
    return segmap
