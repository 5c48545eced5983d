"""Tiny datasets, drawn in every layout, for the tests of layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 20)
PAIRS, TESTS = 4, 2
SCENES = {
    "ADE_train_00000001": "street",
    "ADE_train_00000002": "bathroom",
    "ADE_train_00000003": "bazaar/outdoor",
    "ADE_train_00000004": "forest_path",
    "ADE_val_00000001": "mountain_snowy",
    "ADE_val_00000002": "bedroom",
}


@dataclass(frozen=True)
class Tree:
    """Paths of a dataset below its root. `name(phase, i)` is that of a pair, `values` are pixel values in its files."""

    name: Callable[[str, int], str]
    photo: str
    label: str
    instances: str
    phases: tuple[str, str]
    values: tuple[int, ...]


def _number(phase: str, i: int) -> str:
    return f"{phase[0]}{i:03d}"


def _ade(phase: str, i: int) -> str:
    return f"ADE_{'train' if phase.startswith('train') else 'val'}_{i:08d}"


def _city(phase: str, i: int) -> str:
    return f"{'aachen' if phase == 'train' else 'munster'}_{i:06d}_000019"


_ADE = ("training", "validation")
_CITY = "gtFine/{phase}/{city}/{name}_gtFine_"

TREES = {
    "competition": Tree(
        _number, "{phase}/imgs/{name}.jpg", "{phase}/labels/{name}.png", "", ("train", "test"), (0, 28)
    ),
    "folders": Tree(
        _number, "{phase}_a/{name}.jpg", "{phase}_b/{name}.png", "{phase}_c/{name}.png", ("x", "y"), (0, 2)
    ),
    "ade20k": Tree(_ade, "images/{phase}/{name}.jpg", "annotations/{phase}/{name}.png", "", _ADE, (0, 1, 150)),
    "ade20k-outdoor": Tree(_ade, "{phase}/{name}.jpg", "{phase}/{name}.png", "", _ADE, (0, 1, 150)),
    "coco-stuff": Tree(
        _number, "{phase}_img/{name}.jpg", "{phase}_label/{name}.png", "{phase}_inst/{name}.png", ("train", "val"),
        (0, 181, 255),
    ),
    "cityscapes": Tree(
        _city, "leftImg8bit/{phase}/{city}/{name}_leftImg8bit.png", f"{_CITY}labelIds.png", f"{_CITY}instanceIds.png",
        ("train", "val"), (0, 7, 33),
    ),
    "facades": Tree(_number, "{phase}_img/{name}.jpg", "{phase}_label/{name}.png", "", ("train", "val"), (1, 12)),
}  # fmt: skip


def ids(seed: int, values: tuple[int, ...]) -> np.ndarray:
    """Blocks of 4x4 pixels of the given values, every one of them present; never the same twice."""
    width, height = SIZE[0] // 4, SIZE[1] // 4
    blocks = np.random.default_rng(seed).choice(values, (height, width))
    blocks.flat[: len(values)] = values
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def file(tree: Tree, kind: str, root: Path, phase: str, i: int) -> Path:
    """Path of one file: `kind` is photo, label or instances."""
    name = tree.name(phase, i)
    return root / getattr(tree, kind).format(phase=phase, name=name, city=name.split("_")[0])


def save(path: Path, pixels: np.ndarray) -> None:
    """Write an array as an image, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def plant(layout: str, root: Path) -> Tree:
    """Draw a dataset of PAIRS pairs and TESTS label maps in a layout."""
    tree = TREES[layout]
    rng = np.random.default_rng(0)
    for phase, count in zip(tree.phases, (PAIRS, TESTS), strict=True):
        for i in range(1, count + 1):
            label = ids(100 * len(phase) + i, tree.values)
            save(file(tree, "photo", root, phase, i), rng.integers(0, 256, (*SIZE[::-1], 3), np.uint8))
            save(file(tree, "label", root, phase, i), label.astype(np.uint8))
            if tree.instances:  # 16 bits, as Cityscapes has them; one object more in the first row of blocks
                numbers = label.astype(np.uint16) * 1000
                numbers[:4, :2] += 1
                save(file(tree, "instances", root, phase, i), numbers)
    if layout == "ade20k-outdoor":
        (root / "sceneCategories.txt").write_text("".join(f"{name} {scene}\n" for name, scene in SCENES.items()))
    return tree
