"""Render the embedded dataset: photorealistic landscapes with label maps, in the competition's layout.

python -m shanshui landscapes --train 400 --test 48 --width 160 --height 120 --out data/landscapes
python -m shanshui landscapes --settings settings.json --out data/landscapes

Writes train/imgs/<name>.jpg, train/labels/<name>.png, test/labels/<name>.png and landscapes.json. The same numbers
give the same bytes. What is given on the command line goes before the settings file.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from pydantic import Field

from shanshui.config.sections import Section
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import checked, read_settings
from shanshui.data.landscape_classes import CLASSES
from shanshui.data.workers import in_processes
from shanshui.storage.files import write_json
from shanshui.storage.folders import replaced
from shanshui.storage.images import write_image
from shanshui.storage.outputs import add_folder
from shanshui.storage.provenance import stamp
from shanshui.storage.size import Size

SPLITS = ("train", "test")


class DrawingSettings(Section):
    """Settings file of this stage, and what holds for what it leaves out."""

    train: int = Field(300, ge=1, description="pairs to draw for training")
    test: int = Field(60, ge=0, description="label maps to draw for testing")
    width: int = Field(256, ge=16, description="width of the drawings, pixels")
    height: int = Field(192, ge=16, description="height of the drawings, pixels")
    seed: int = Field(2022, ge=0, description="the same seed gives the same bytes")
    pure: float = Field(0.03, ge=0, le=1, description="share of label maps of a single class, 0..1")

    @property
    def size(self) -> Size:
        """Size of the drawings."""
        return Size(self.height, self.width)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    for name, field in DrawingSettings.model_fields.items():
        told = f"{field.description} [{field.default}]"
        parser.add_argument(f"--{name}", type=type(field.default), metavar="N", help=told)
    parser.add_argument("--settings", type=Path, help="JSON file with any of these numbers")
    add_folder(parser, "--out", required=True, help="folder to write; one that was written here is replaced")


def run(args: argparse.Namespace) -> None:
    """Draw the dataset into a temporary folder, and rename it when complete."""
    settings = _settings(args)
    with replaced(args.out, args.force) as staged:
        counts = {split: _draw(staged, split, settings) for split in SPLITS}
        used = sorted(set(counts["train"]) | set(counts["test"]))
        classes = {
            str(label): {"name": CLASSES[label], **{split: counts[split][label] for split in SPLITS}} for label in used
        }
        write_json(staged / "landscapes.json", stamp(settings=settings.model_dump(), classes=classes))
    print(f"{settings.train} pairs and {settings.test} label maps, {len(used)} classes: {args.out}", file=sys.stderr)


def _settings(args: argparse.Namespace) -> DrawingSettings:
    """Merge defaults, settings file and command line; raise UsageError if a number is out of range."""
    names = DrawingSettings.model_fields
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    file = read_settings(args.settings) if args.settings is not None else {}
    return checked(DrawingSettings, {**file, **given}, args.settings or "the command line")


def list_scenes(split: str, settings: DrawingSettings) -> list[tuple[str, int, str | None]]:
    """Return name, seed and scene (None: the seed chooses) of every image of a split.

    Single-class scenes alternate in the same order in both splits, so that a class in testing is also in training; they
    are spread over the split at random.
    """
    from shanshui.landscapes.scenes import PURE

    number = SPLITS.index(split)
    count = settings.train if split == "train" else settings.test
    seeds = np.random.SeedSequence([settings.seed, number]).generate_state(count)
    places = np.random.default_rng([settings.seed, number, 1]).permutation(count)[: round(settings.pure * count)]
    order = np.random.default_rng([settings.seed, 2]).permutation(list(PURE))
    scenes: dict[int, str] = {int(p): str(order[i % len(order)]) for i, p in enumerate(places)}
    return [(f"{split}_{i:05d}", int(seed), scenes.get(i)) for i, seed in enumerate(seeds)]


def _draw(folder: Path, split: str, settings: DrawingSettings) -> Counter[int]:
    """Draw and write one split on all cores; return the number of label maps in which each class appears."""
    for kind in ("imgs", "labels") if split == "train" else ("labels",):
        (folder / split / kind).mkdir(parents=True)
    draw_one = functools.partial(_draw_one, folder / split, settings.size)
    drawn = in_processes(draw_one, list_scenes(split, settings), f"drawing {split}", "image")
    return Counter(label for found in drawn for label in found)


def _draw_one(folder: Path, size: Size, scene: tuple[str, int, str | None]) -> list[int]:
    """Draw one scene, write it to a split's folder, and return its classes."""
    from shanshui.landscapes import draw_landscape

    name, seed, kind = scene
    photo, label_map = draw_landscape(seed, size, kind)
    if (folder / "imgs").is_dir():
        write_image(folder / "imgs" / f"{name}.jpg", photo)
    write_image(folder / "labels" / f"{name}.png", label_map)
    return [int(label) for label in np.unique(label_map)]


STAGE = Stage(
    after="",
    settings=lambda c: {"seed": c.seed, **(c.landscapes.model_dump() if c.landscapes else {})},
    section="landscapes",
    outputs=lambda run_paths: ["landscapes"] if run_paths.config.landscapes else [],
)
