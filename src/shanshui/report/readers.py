"""Readers of a run's results: images, training logs, benchmarks, statistics."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shanshui.config.sections import Data
from shanshui.data.labels import apply_label_rules
from shanshui.data.palette import class_palette
from shanshui.errors import ShanshuiError
from shanshui.evaluation.image_folder import list_image_files
from shanshui.logs import StatsLine
from shanshui.report.page import ClassShares, Frame, Sample
from shanshui.report.sheet import evenly_spaced
from shanshui.report.timing import StageTime, kinds, stage_times
from shanshui.storage.files import read_csv, read_json
from shanshui.storage.images import colour_label_map, read_label_map, read_photo, resize_photo
from shanshui.storage.names import stem
from shanshui.storage.size import Size
from shanshui.training.samples import Samples

Colour = tuple[int, int, int]
NamedColour = tuple[str, Colour]
Film = tuple[list[Frame], list[np.ndarray], list[np.ndarray]]


def _colours(names: list[str]) -> list[Colour]:
    return [(int(r), int(g), int(b)) for r, g, b in class_palette(names)]


def read_samples(table: Path, images: Path, data: Data, most: int) -> tuple[list[Sample], list[NamedColour]]:
    """Read up to `most` evenly spaced label maps of a table with the images generated from them.

    Args:
        table: CSV with the columns name, image and label.
        images: folder of generated images.
        data: class names and the meaning of label values.
        most: number of label maps.

    Returns:
        The samples, and (name, colour) of the classes in them, most frequent first.

    Raises:
        ShanshuiError: where `table` is empty or `images` lacks an image.
    """
    rows = read_csv(table)
    if not rows:
        raise ShanshuiError(f"{table} lists nothing to show", "one or more label maps")
    names = data.classes
    generated = {stem(path): path for path in list_image_files(images)}
    samples, present = [], np.zeros(256, np.int64)
    for row in evenly_spaced(sorted(rows, key=lambda row: row["name"]), most):
        if row["name"] not in generated:
            raise ShanshuiError(f"{images} has no image of {row['name']}", f"one for every line of {table}")
        ours = read_photo(generated[row["name"]])
        raw = read_label_map(row["label"])
        ids = apply_label_rules(raw, len(names), data.label_offset, data.ignore_label, row["label"])
        present += np.bincount(ids.ravel(), minlength=256)
        photo = resize_photo(read_photo(row["image"]), Size.of(ours)) if row["image"] else None
        samples.append(Sample(row["name"], colour_label_map(ids, class_palette(names)), ours, photo))
    colours = _colours(names)
    order = np.argsort(-present[: len(names)], kind="stable")
    return samples, [(names[i], colours[i]) for i in order if present[i]]


def read_stats(folder: Path) -> list[StatsLine]:
    """Read all `stats.jsonl` below `folder` in order of epochs; the later file wins if an epoch comes twice."""
    lines: dict[int, StatsLine] = {}
    for path in sorted(folder.rglob("stats.jsonl"), key=lambda path: (path.stat().st_mtime, str(path))):
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # the last line of a job that was killed while writing
            lines[int(line["epoch"])] = line
    return [lines[epoch] for epoch in sorted(lines)]


def _resolution(line: StatsLine) -> str:
    """Format `064x048` as `64x48`."""
    return "x".join(str(int(side)) for side in re.findall(r"\d+", str(line.get("resolution", ""))))


def read_frames(folder: Path, samples: Samples, stats: Sequence[StatsLine], frames: int, most: int) -> Film:
    """Read the images that training generated from the same label maps, `samples/<phase>/epoch_NNN/<name>.jpg`.

    Args:
        folder: the run's.
        samples: label maps and photographs that training had.
        stats: lines of `stats.jsonl`, for the resolutions.
        frames: largest number of epochs, evenly spaced.
        most: largest number of label maps, evenly spaced.

    Returns:
        Epochs with their images, label maps and photographs; all empty without an image of every epoch.
    """
    files = {int(path.name[6:]): path for path in folder.glob("samples/*/epoch_*") if path.name[6:].isdigit()}
    epochs = evenly_spaced(sorted(files), frames)
    common = [i for i, name in enumerate(samples.names) if all((files[e] / f"{name}.jpg").is_file() for e in epochs)]
    if not epochs or not common:
        return [], [], []
    shown = evenly_spaced(common, most)
    resolutions = {line["epoch"]: _resolution(line) for line in stats}
    coloured = samples.coloured()
    return (
        [Frame(e, resolutions.get(e, ""), [read_photo(files[e] / f"{samples.names[i]}.jpg") for i in shown])
         for e in epochs],
        [coloured[i] for i in shown],
        [samples.photos[i] for i in shown],
    )  # fmt: skip


def read_classes(path: Path, names: list[str]) -> list[ClassShares]:
    """Read the share of the pixels per class, in training and in testing, and add the class's colour."""
    colours = _colours(names)
    return [
        {
            "name": row["name"], "colour": colours[int(row["id"])],
            "train_share": float(row["train_share"]), "test_share": float(row["test_share"]),
        }
        for row in read_csv(path)
    ]  # fmt: skip


def read_found(path: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    """Read share of the pixels, accuracy and IoU per set and class from a score file; empty without them."""
    sets = read_json(path)["sets"]
    return {name: part["per_class"] for name, part in sets.items() if "per_class" in part}


def read_with_and_without(score: Path, fused: Path) -> list[tuple[str, float | None, float | None]]:
    """Read per metric its value on the test label maps without and with pixels of photographs, from two score files."""
    without, with_pixels = (read_json(path)["sets"]["test"]["metrics"] for path in (score, fused))
    return [(metric, value, with_pixels[metric]) for metric, value in without.items() if metric in with_pixels]


def read_benchmarks(folder: Path) -> Sequence[StageTime]:
    """Read the time per rule from all `*.tsv` below `folder`."""
    files = []
    for path in sorted(folder.rglob("*.tsv")):
        with open(path, newline="", encoding="utf-8") as handle:
            files.append((path.relative_to(folder).as_posix(), list(csv.DictReader(handle, delimiter="\t"))))
    return stage_times(files, list(kinds()))
