"""Sample images: of the same label maps after every epoch, in files and in a grid with label maps and photographs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shanshui.config.typed_settings import ImageSettings
from shanshui.data.palette import class_palette
from shanshui.storage import images
from shanshui.storage.files import read_csv
from shanshui.storage.size import Size

SAMPLES = 6
DIFFERENT = 0.1  # share of pixels in which two label maps differ that are to give different images
GREYS = 127.5  # grey levels for a difference of 1 between images in [-1, 1]


@dataclass(frozen=True)
class Samples:
    """Fixed label maps, uint8 (N, H, W), with their photographs, uint8 (N, H, W, 3); perhaps none.

    `instances` (N, H, W) number their instances, for generators that use instance edges.
    """

    names: list[str]
    label_maps: np.ndarray
    photos: np.ndarray
    palette: np.ndarray
    instances: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def grid(self, fakes: np.ndarray) -> np.ndarray:
        """Arrange label maps, fakes (N, 3, h, w) enlarged to full size, and photographs in three rows."""
        size = Size.of_maps(self.label_maps)
        return images.grid([
            self.coloured(),
            [images.resize_photo(images.to_uint8(fake), size) for fake in fakes],
            list(self.photos),
        ])  # fmt: skip

    def coloured(self) -> list[np.ndarray]:
        """Return the label maps in the colours of their classes, uint8 (H, W, 3) each."""
        return [images.colour_label_map(label_map, self.palette) for label_map in self.label_maps]

    def write(self, place: Path, fakes: np.ndarray) -> None:
        """Write fakes (N, 3, h, w) in [-1, 1] to `<place>/<name>.jpg`, and the grid to `<place>.png`."""
        for name, fake in zip(self.names, fakes, strict=True):
            images.write_image(place / f"{name}.jpg", images.to_uint8(fake))
        images.write_image(place.with_suffix(".png"), self.grid(fakes))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Compute the mean absolute difference of two arrays of one shape."""
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).mean())


def variety(samples: Samples, fakes: np.ndarray) -> float | None:
    """Compute the diversity of generated images relative to that of their photographs.

    It is the mean difference over pairs of label maps that differ in a tenth of their pixels; None if there are none.

    Args:
        samples: N label maps and photographs.
        fakes: generated images (N, 3, h, w) in [-1, 1] of the N samples.
    """
    maps = samples.label_maps
    pairs = [(i, j) for i, j in itertools.combinations(range(len(maps)), 2) if (maps[i] != maps[j]).mean() > DIFFERENT]
    of_photos = sum(difference(samples.photos[i], samples.photos[j]) / GREYS for i, j in pairs)
    return sum(difference(fakes[i], fakes[j]) for i, j in pairs) / of_photos if of_photos else None


def read_samples(manifest: str | Path, data: ImageSettings, limit: int = SAMPLES, instances: bool = False) -> Samples:
    """Read up to `limit` pairs of a manifest at full size, spread evenly over it."""
    rows: Sequence[dict[str, str]] = [row for row in read_csv(manifest) if row["image"]]
    rows = (
        [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(int))] if rows else []
    )
    classes, size = data.labels, data.size
    raw = [images.read_label_map(row["label"], size) for row in rows]
    label_maps = [classes.ids(numbers, row["label"]) for numbers, row in zip(raw, rows, strict=True)]
    photos = [images.read_photo(row["image"], size) for row in rows]
    numbers = [images.read_label_map(row["instance"], size) for row in rows if instances]
    return Samples(
        [row["name"] for row in rows], np.array(label_maps), np.array(photos), class_palette(data.classes),
        np.array(numbers) if numbers else None,
    )  # fmt: skip
