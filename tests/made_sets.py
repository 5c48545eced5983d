"""Real pairs where they are, else made ones in the same form: folders, sizes, classes, kinds of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

STREET = np.array([2, 0, 1, 4, 5, 6, 7, 3, 8], np.uint8)  # classes of CamVid for the numbers of `areas`
STUFF = np.array([0, 105, 94, 123, 140, 157, 168, 181, 255], np.uint8)  # and of COCO-Stuff, with pixels of no class


def areas(seed: int, size: tuple[int, int] = (96, 72)) -> np.ndarray:
    """A label map as people draw them: areas of numbers 0 to 8 with round borders, and thin objects."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    ids = np.where(y > size[1] / 3 + 9 * np.sin(x / 13 + seed), 7, 1).astype(np.uint8)
    for number in rng.permutation([0, 2, 3, 4, 5, 6, 8]):
        left, top, radius = rng.integers(0, size[0]), rng.integers(0, size[1]), rng.integers(5, 16)
        ids[(x - left) ** 2 + (y - top) ** 2 < radius**2] = number
    for number in (3, 8):
        column = int(rng.integers(2, size[0] - 3))
        ids[size[1] // 4 :, column : column + 2] = number  # a pole
    return ids


def photograph(ids: np.ndarray, seed: int) -> Image.Image:
    """Every number in a colour of its own, with noise."""
    colours = np.random.default_rng(9).integers(0, 256, (256, 3))
    noise = np.random.default_rng(seed).integers(-20, 20, (*ids.shape, 1))
    return Image.fromarray(np.clip(colours[ids] + noise, 0, 255).astype(np.uint8))


def camvid(root: Path) -> None:
    """Thirty pairs of 480x360 and thirty label maps to draw from."""
    for part, suffix in (("train/imgs", "jpg"), ("train/labels", "png"), ("test/labels", "png")):
        (root / part).mkdir(parents=True)
        for i in range(30):
            ids = areas(i + 100 * part.startswith("test"), (480, 360))
            image = photograph(ids, i) if suffix == "jpg" else Image.fromarray(STREET[ids])
            image.save(root / part / f"0001TP_{i:06d}.{suffix}")


def coco_stuff_sample(root: Path) -> None:
    """Thirteen and eight triples of photograph, label map and 16-bit map of instances, lying and standing."""
    for phase, count in (("train", 13), ("val", 8)):
        for kind in ("img", "label", "inst"):
            (root / f"{phase}_{kind}").mkdir(parents=True)
        for i in range(count):
            ids = areas(i + 100 * (phase == "val"), (96, 72) if i % 2 else (72, 96))
            objects = ids + 300 * (np.arange(ids.shape[1]) // 17).astype(np.uint16)
            photograph(ids, i).save(root / f"{phase}_img" / f"{i:012d}.jpg")
            Image.fromarray(STUFF[ids]).save(root / f"{phase}_label" / f"{i:012d}.png")
            Image.fromarray(objects).save(root / f"{phase}_inst" / f"{i:012d}.png")


MADE: dict[str, Callable[[Path], None]] = {"camvid": camvid, "coco_stuff_sample": coco_stuff_sample}


class Pairs:
    """Folders of pairs by name, real or made."""

    def __init__(self, references: Path | None, scratch: Path) -> None:
        self.real = references / "data" if references else None
        self.scratch = scratch

    def __call__(self, name: str) -> Path:
        if self.real:
            return self.real / name
        if not (self.scratch / name).is_dir():
            MADE[name](self.scratch / name)
        return self.scratch / name

    @property
    def names(self) -> list[str]:
        real = ["stanford_background", "sflckr_sample", "landscapes"]
        return [*MADE, *(real if self.real else [])]
