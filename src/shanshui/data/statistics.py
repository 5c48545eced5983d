"""Class frequencies and brightness of a dataset: computation, table and plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shanshui.data.palette import class_palette
from shanshui.data.scan import LabelFacts, PhotoFacts

CLASS_COLUMNS = (
    "id", "name", "train_pixels", "train_share", "train_images", "train_mean_share",
    "test_pixels", "test_share", "test_images", "test_mean_share",
)  # fmt: skip


@dataclass(frozen=True)
class ClassStatistics:
    """Frequencies of the classes in a set of label maps; arrays have length num_classes.

    Attributes:
        images: number of label maps.
        pixels: number of pixels.
        share: share of all pixels that have a class.
        present: number of label maps that contain the class.
        mean_share: mean share of all pixels, in the label maps that contain the class.
        no_class: share of all pixels that have no class.
    """

    images: int
    pixels: np.ndarray
    share: np.ndarray
    present: np.ndarray
    mean_share: np.ndarray
    no_class: float


def class_counts(facts: LabelFacts, num_classes: int, label_offset: int, ignore_label: int | None) -> np.ndarray:
    """Count the pixels per class id, int64 (num_classes + 1,); the last entry counts pixels without a class."""
    counts = np.zeros(num_classes + 1, np.int64)
    for value, pixels in facts.counts.items():
        known = value != ignore_label and 0 <= value + label_offset < num_classes
        counts[value + label_offset if known else num_classes] += pixels
    return counts


def class_statistics(counts: Sequence[np.ndarray], num_classes: int) -> ClassStatistics:
    """Compute the statistics of label maps given by their `class_counts`; all zero without label maps."""
    table = np.array(counts, np.int64).reshape(-1, num_classes + 1)
    classes = table[:, :-1]
    pixels, present = classes.sum(0), (classes > 0).sum(0)
    of_image = classes / np.maximum(table.sum(1, keepdims=True), 1)
    return ClassStatistics(
        images=len(table),
        pixels=pixels,
        share=pixels / max(int(pixels.sum()), 1),
        present=present,
        mean_share=of_image.sum(0) / np.maximum(present, 1),
        no_class=float(table[:, -1].sum() / max(int(table.sum()), 1)),
    )


def pixel_statistics(photos: Sequence[PhotoFacts]) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and standard deviation of R, G and B over all pixels of `photos`, on the scale 0 .. 255."""
    pixels = sum(p.size.pixels for p in photos)
    sums = sum((p.sums for p in photos), np.zeros((2, 3))) / max(pixels, 1)
    return sums[0], np.sqrt(np.maximum(sums[1] - sums[0] ** 2, 0))


def class_rows(names: Sequence[str], train: ClassStatistics, test: ClassStatistics) -> list[dict[str, object]]:
    """Return the rows of classes.csv in id order; shares have six decimals."""
    rows: list[dict[str, object]] = []
    for i, name in enumerate(names):
        row: dict[str, object] = {"id": i, "name": name}
        for split, found in (("train", train), ("test", test)):
            row |= {
                f"{split}_pixels": int(found.pixels[i]),
                f"{split}_share": f"{found.share[i]:.6f}",
                f"{split}_images": int(found.present[i]),
                f"{split}_mean_share": f"{found.mean_share[i]:.6f}",
            }
        rows.append(row)
    return rows


def plot_classes(path: Path, names: Sequence[str], train: ClassStatistics, test: ClassStatistics) -> None:
    """Draw, per class, its share of the pixels (logarithmic) and of the images that contain it."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    order = np.argsort(train.share, kind="stable")
    places = np.arange(len(order))
    colours = class_palette(list(names))[order] / 255
    figure = Figure(figsize=(11, 1.6 + 0.26 * len(order)), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, of_train, of_test, title in (
        (left, train.share, test.share, "share of the pixels"),
        (
            right,
            train.present / max(train.images, 1),
            test.present / max(test.images, 1),
            "images that contain it",
        ),
    ):
        axes.barh(places, 100 * of_train[order], color=colours, edgecolor="0.4", linewidth=0.5)
        axes.plot(100 * of_test[order], places, "D", color="black", markeredgecolor="white", clip_on=False)
        axes.set_title(title, fontsize=11)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_xscale("symlog", linthresh=0.1, linscale=0.5)
    left.set_xlim(0, 100)
    left.set_xticks([0, 0.1, 1, 10, 100])
    right.set_xlim(0, 100)
    for axes in (left, right):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    left.set_yticks(places, [f"{names[i]}  {i}" for i in order])
    left.set_ylim(-0.6, len(order) - 0.4)
    figure.suptitle(f"Classes in {train.images} training pairs (bars) and {test.images} test label maps (diamonds)")
    figure.savefig(path)
