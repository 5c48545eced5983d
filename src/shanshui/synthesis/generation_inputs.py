"""What pictures are generated from: weights, label maps, instances, photographs of a style, arrays."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shanshui.data.labels import apply_label_rules
from shanshui.data.pairs import find_images
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint, images
from shanshui.storage.files import read_csv
from shanshui.storage.names import check_plain, normal, stem

Files = list[tuple[str, Path]]  # names and label maps
Size = tuple[int, int]  # width, height


def parse_size(text: str) -> Size:
    """`512x384` -> (512, 384)."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text}: expected WIDTHxHEIGHT, e.g. 512x384")
    return int(width), int(height)


def positive(text: str) -> int:
    """A whole number from 1."""
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1")
    return int(text)


def read_generator(path: Path) -> checkpoint.Checkpoint:
    """Weights of a generator and what is known of them; UsageError where the file holds something else."""
    weights = checkpoint.load(path)
    if weights.meta.get("kind") != "generator":
        raise UsageError(f"{path} holds no generator", "a checkpoint of pretraining or fine-tuning, or an average")
    if wrong := _undescribed(weights.meta):
        raise ShanshuiError(
            f"{path} does not say as this version does what it holds: {', '.join(wrong)} in its metadata, written by "
            f"{weights.meta.get('shanshui', 'another program')}",
            "a checkpoint of this version",
            "write it again by this version, or read it by the one that wrote it",
        )
    single = {name: _single(array) for name, array in weights.arrays.items()}
    if odd := [name for name, array in single.items() if array.dtype != np.float32]:
        raise ShanshuiError(f"{path}: {odd[0]} holds numbers of type {single[odd[0]].dtype}", "real numbers")
    return checkpoint.Checkpoint(single, weights.meta)


def _single(array: np.ndarray) -> np.ndarray:
    """Real numbers in single precision, with which networks work; others as they are."""
    return array.astype(np.float32) if array.dtype in (np.float16, np.float64) else array


def _undescribed(meta: Mapping[str, Any]) -> list[str]:
    """What is missing in the metadata of a generator, or is of another kind than it is read as."""
    data, side = meta.get("data"), (int, type(None))
    if not isinstance(data, dict) or not isinstance(meta.get("model"), dict):
        return [name for name in ("data", "model") if not isinstance(meta.get(name), dict)]
    wanted: dict[str, tuple[object, type | tuple[type, ...]]] = {
        "data.classes": (data.get("classes"), list), "data.label_offset": (data.get("label_offset"), int),
        "data.ignore_label": (data.get("ignore_label", ""), side), "data.width": (data.get("width", ""), side),
        "data.height": (data.get("height", ""), side), "model.halvings": (meta["model"].get("halvings"), int),
        "seg_noise": (meta.get("seg_noise"), bool), "level": (meta.get("level", ""), side),
        "alpha": (meta.get("alpha"), (int, float)),
    }  # fmt: skip
    if "kind" not in meta["model"]:  # APF-GAN
        wanted |= {"parity": (meta.get("parity"), dict), "heads": (meta.get("heads"), int)}
    return [name for name, (value, kind) in wanted.items() if not isinstance(value, kind)]


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
        found = [(stem(path), path) for path in find_images(source)]
    elif source.suffix == ".csv":
        rows = read_csv(source, ("name", "label"))
        check_plain((row["name"] for row in rows), source)
        if without := [row["name"] for row in rows if not row["label"]]:
            raise ShanshuiError(f"{source} has no label map for {without[0]}", "a file in the column label of each row")
        found = [(normal(row["name"]), Path(row["label"])) for row in rows]
    elif not source.exists():
        raise ShanshuiError(f"{source} does not exist", "a folder of label maps or a CSV file")
    else:
        raise ShanshuiError(
            f"{source} is neither a folder nor a CSV file", "a folder of label maps, or a CSV with name and label",
            "put a single label map into a folder of its own",
        )  # fmt: skip
    if not found:
        raise ShanshuiError(f"{source} holds no label maps", "at least one")
    if twice := repeated([name for name, _ in found]):
        raise ShanshuiError(f"{source} holds {twice} twice", "one label map for each name: pictures are named so")
    return sorted(found)


def repeated(names: Sequence[str]) -> str | None:
    """The first of `names` that stands there more than once."""
    return next((name for name, times in Counter(names).items() if times > 1), None)


def label_sources(parts: Sequence[str]) -> dict[str, Path]:
    """Folders and manifests by the name of their set, "" for the one without, from arguments `PATH` and `SET=PATH`."""
    named = [part.partition("=")[::2] if "=" in part else ("", part) for part in parts]
    check_plain((part.partition("=")[0] for part in parts if "=" in part), "--labels SET=PATH")
    if twice := repeated([name for name, _ in named]):
        raise UsageError(f"--labels {twice}= twice", "a name of its own for each set")
    if len(named) > 1 and "" in dict(named):
        raise UsageError(f"--labels {' '.join(parts)}", "SET=PATH for each where there are several: test=a holdout=b")
    return {name: Path(path) for name, path in named}


def read_labels(path: Path, meta: dict[str, Any], target: Size | None) -> np.ndarray:
    """A label map uint8 at the wanted size (None: its own), by the rules of training; 255 is no class."""
    data = meta["data"]
    ids = images.read_label_map(path)
    ids = images.resize_label_map(ids, target) if target else ids
    return apply_label_rules(ids, len(data["classes"]), data["label_offset"], data["ignore_label"], path)


def instance_files(
    model: Mapping[str, Any], files: Files, folder: Path | None, manifests: Iterable[Path]
) -> dict[Path, Path]:
    """Instance map of every label map, from `folder`, or from manifests where the weights want some; else none."""
    if folder and not model.get("edges"):
        raise UsageError("--instances", "weights of a generator that sees edges")
    if folder:
        by_name = {stem(path): path for path in find_images(folder)}
        found = {path: by_name[name] for name, path in files if name in by_name}
    elif model.get("instances"):
        rows = [row for manifest in manifests for row in read_csv(manifest) if row.get("instance")]
        found = {Path(row["label"]): Path(row["instance"]) for row in rows}
    else:
        return {}
    if absent := [name for name, path in files if path not in found]:
        raise ShanshuiError(
            f"no instance map of {absent[0]}, for a generator that sees edges of instances",
            "one for every label map, in --instances DIR or in the column `instance` of a manifest",
        )
    return found


def read_instances(path: Path, target: Size | None, label_map: np.ndarray) -> np.ndarray:
    """Numbers of instances (H, W) at the wanted size, or the label map's own (None)."""
    ids = images.read_label_map(path)
    ids = images.resize_label_map(ids, target) if target else ids
    if ids.shape != label_map.shape:
        (height, width), (wanted_height, wanted_width) = ids.shape, label_map.shape
        raise ShanshuiError(f"{path} is {width}x{height}", f"its label map's size, {wanted_width}x{wanted_height}")
    return ids


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
