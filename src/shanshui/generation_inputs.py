"""What pictures are generated from: weights, label maps, instances, photographs of a style, arrays."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from shanshui import checkpoint, images
from shanshui.data.labels import apply_label_rules
from shanshui.data.pairs import find_images
from shanshui.errors import ShanshuiError, UsageError
from shanshui.files import read_csv

Files = list[tuple[str, Path]]  # names and label maps
Size = tuple[int, int]  # width, height


def parse_size(text: str) -> Size:
    """`512x384` -> (512, 384)."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text}: expected WIDTHxHEIGHT, e.g. 512x384")
    return int(width), int(height)


def read_generator(path: Path) -> checkpoint.Checkpoint:
    """Weights of a generator and what is known of them; UsageError where the file holds something else."""
    weights = checkpoint.load(path)
    if weights.meta.get("kind") != "generator":
        raise UsageError(f"{path} holds no generator", "a checkpoint of pretraining or fine-tuning, or an average")
    return weights


def picture_size(meta: dict[str, Any], wanted: Size | None = None) -> Size | None:
    """The size wanted, or else the one trained at; None for imported weights: that of each label map."""
    trained = meta["data"]["width"], meta["data"]["height"]
    size = wanted or (trained if all(trained) else None)
    step = 2 ** meta["model"]["halvings"]
    if size and (size[0] % step or size[1] % step):
        raise UsageError(f"size {size[0]}x{size[1]}", f"sides that are multiples of {step} for this network")
    return size


def label_files(source: Path) -> Files:
    """(name, file) of every label map of a folder or manifest, sorted by name."""
    if source.is_dir():
        found = [(path.stem, path) for path in find_images(source)]
    elif source.suffix == ".csv":
        found = [(row["name"], Path(row["label"])) for row in read_csv(source)]
    else:
        raise ShanshuiError(f"{source} is neither a folder nor a manifest", "a folder of label maps or a CSV file")
    if not found:
        raise ShanshuiError(f"{source} holds no label maps", "at least one")
    return sorted(found)


def read_labels(path: Path, meta: dict[str, Any], target: Size | None) -> np.ndarray:
    """A label map uint8 at the wanted size (None: its own), by the rules of training; 255 is no class."""
    data = meta["data"]
    ids = images.read_label_map(path)
    ids = images.resize_label_map(ids, target) if target else ids
    return apply_label_rules(ids, len(data["classes"]), data["label_offset"], data["ignore_label"], path)


def read_instances(path: Path, target: Size | None) -> np.ndarray:
    """Numbers of instances (H, W) at the wanted size (None: its own)."""
    ids = images.read_label_map(path)
    return images.resize_label_map(ids, target) if target else ids


def read_style(path: Path, target: Size | None) -> np.ndarray:
    """Photo float32 (3, H, W) in [-1, 1], at the pictures' size as in training; an NPY of a picture as it is."""
    if path.suffix == ".npy":
        photo = read_array(path)
        if photo.ndim != 3 or photo.shape[0] != 3:
            raise UsageError(f"{path} has shape {photo.shape}", "a picture, float32 (3, H, W) in [-1, 1]")
        return photo.astype(np.float32)
    photo = images.read_photo(path)
    return images.to_float(images.resize_photo(photo, target) if target else photo)


def read_array(path: Path) -> np.ndarray:
    """The array of an NPY file."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ShanshuiError(f"{path} cannot be read: {error}", "an array saved by numpy.save") from None
