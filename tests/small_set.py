"""A small, sound data set and the ways to break it, for the tests of validation."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.__main__ import main
from shanshui.storage.files import write_json

SIZE = (48, 36)


@dataclass
class Set:
    """A small, sound data set: 8 pairs, 3 test label maps, 3 classes; tests break it."""

    folder: Path
    settings: dict[str, object] = field(
        default_factory=lambda: {
            "seed": 1, "batch": 2, "classes": ["sky", "water", "tree"],
            "label_offset": 0, "ignore_label": None,
            "width": 32, "height": 24, "load_width": 36, "holdout": 2,
        }
    )  # fmt: skip
    exclude: Path | None = None

    def photo(self, name: str) -> Path:
        return self.folder / "imgs" / f"{name}.png"

    def label(self, name: str) -> Path:
        return self.folder / "labels" / f"{name}.png"

    def test(self, name: str) -> Path:
        return self.folder / "test" / f"{name}.png"

    def validate(self, *more: str) -> int:
        write_json(self.folder / "settings.json", self.settings)
        folders = {"train-images": "imgs", "train-labels": "labels", "test-labels": "test"}
        arguments = [f"--{option}={self.folder / name}" for option, name in folders.items()]
        arguments += [f"--exclude={self.exclude}"] if self.exclude else []
        out = self.folder / "out"
        return main(["validate", *arguments, f"--settings={self.folder / 'settings.json'}", f"--out={out}", *more])

    def report(self) -> str:
        return (self.folder / "out" / "report.md").read_text()


def draw_photo(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path)


def draw_label(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 3, size[::-1], np.uint8)).save(path)


def set_pixels(path: Path, value: int, count: int) -> Path:
    ids = np.asarray(Image.open(path)).copy()
    ids.flat[:count] = value
    Image.fromarray(ids).save(path)
    return path


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def convert(path: Path, *modes: str) -> Path:
    image: Image.Image = Image.open(path)
    for mode in modes:
        image = image.convert(mode)
    image.save(path)
    return path


def colour(path: Path) -> Path:
    """Paint a label map as one does for the eye."""
    ids = np.asarray(Image.open(path))
    Image.fromarray(np.stack([ids * 80, 255 - ids * 50, ids * 20], axis=-1)).save(path)
    return path


def to_jpeg(path: Path) -> Path:
    Image.open(path).save(path.with_suffix(".jpg"))
    return remove(path)


def remove(path: Path) -> Path:
    path.unlink()
    return path


def remove_folder(path: Path) -> Path:
    shutil.rmtree(path)
    return path


def reshape(path: Path, size: tuple[int, int]) -> Path:
    Image.open(path).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def reshape_pairs(data: Set, size: tuple[int, int]) -> list[Path]:
    return [reshape(path, size) for folder in ("imgs", "labels") for path in (data.folder / folder).iterdir()]


def count_from_one(data: Set) -> None:
    for path in (data.folder / "labels").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) + 1).save(path)


def add_twin(data: Set) -> None:
    shutil.copy(data.photo("p0"), data.photo("p8"))
    draw_label(data.label("p8"), 9)


def add_class(data: Set, pixels: int) -> None:
    data.settings["classes"] = ["sky", "water", "tree", "ship"]
    set_pixels(data.test("t1"), 3, pixels)


def small_set(tmp_path: Path) -> Set:
    made = Set(tmp_path)
    for folder in ("imgs", "labels", "test"):
        (tmp_path / folder).mkdir()
    for i in range(8):
        draw_photo(made.photo(f"p{i}"), i)
        draw_label(made.label(f"p{i}"), 100 + i)
    for i in range(3):
        draw_label(made.test(f"t{i}"), 200 + i)
    return made
