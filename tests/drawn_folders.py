"""Cheap commands that write a folder or a file, in a working folder with a home beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.__main__ import main

DRAW = ["landscapes", "--train", "1", "--test", "1", "--width", "16", "--height", "16"]


def draw(out: str | Path, *more: str) -> int:
    return main([*DRAW, "--out", str(out), *more])


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def pictures(folder: Path) -> str:
    place = folder / "pictures"
    place.mkdir(exist_ok=True)
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"p{i}.png")
    return str(place)


def score(folder: Path, out: str, *more: str) -> int:
    place = pictures(folder)
    return main(["score", place, place, "--metrics", "sharpness", "--out", out, *more])
