"""Resize all training pairs once and store them as memory maps, so that training never decodes a file."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from shanshui.config.settings import LABELS, SIZE
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import LoadSettings, read_checked
from shanshui.data.pairs import Pair, read_manifest
from shanshui.data.prepared import write_digests
from shanshui.data.workers import in_threads
from shanshui.errors import ShanshuiError
from shanshui.storage.files import atomic, write_json
from shanshui.storage.images import read_label_map, read_photo
from shanshui.storage.outputs import add_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--pairs", type=Path, required=True, metavar="CSV", help="manifest of the training pairs")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="settings of this stage (JSON)")
    add_file(parser, "--photos", required=True, metavar="NPY", help="photographs, uint8 (N, H, W, 3)")
    add_file(parser, "--label-maps", required=True, metavar="NPY", help="class ids, uint8 (N, H, W), 255 = no class")
    add_file(
        parser, "--instances", metavar="NPY", help="instance maps, ids unique within each, uint16 (N, H, W); optional"
    )
    add_file(parser, "--names", required=True, metavar="JSON", help="names of the pairs in this order")
    add_file(parser, "--digests", metavar="JSON", help="SHA-256 of the memory maps, for training; if wanted")


def check_space(folder: Path, needed: int) -> None:
    """Check that `folder` has `needed` free bytes: a memory map on a full disk kills the process.

    Raises:
        ShanshuiError: it has fewer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ShanshuiError(
            f"{folder} has {free / 2**30:.1f} GiB free",
            f"{needed / 2**30:.1f} GiB for the prepared pairs",
            "free some space, or lower data.load_width",
        )


def load_pair(pair: Pair, data: LoadSettings) -> tuple[np.ndarray, np.ndarray]:
    """Read a pair at load size: photograph uint8 (H, W, 3) and class ids uint8 (H, W).

    Raises:
        ShanshuiError: there is no photograph, or a file cannot be read.
    """
    if pair.image is None:
        raise ShanshuiError(f"{pair.name} has no photograph", "a manifest of training pairs, such as train.csv")
    raw = read_label_map(pair.label, data.load_size)
    return read_photo(pair.image, data.load_size), data.labels.ids(raw, pair.label)


def load_instances(pair: Pair, data: LoadSettings) -> np.ndarray:
    """Read the instance map of a pair at load size, uint16 (H, W), with ids from 0.

    Raises:
        ShanshuiError: there is none, or it cannot be read.
    """
    if pair.instance is None:
        raise ShanshuiError(f"{pair.name} has no instance map", "one for every pair, of which edges are made")
    ids = read_label_map(pair.instance, data.load_size)
    _, numbers = np.unique(ids, return_inverse=True)
    return numbers.reshape(ids.shape).astype(np.uint16)


def fill_instances(file: Path, pairs: list[Pair], data: LoadSettings) -> None:
    """Write the memory map of all instance maps."""
    with atomic(file) as staged:
        shape = (len(pairs), *data.load_size)
        maps = open_memmap(staged, mode="w+", dtype=np.uint16, shape=shape)

        def fill(index: int) -> None:
            maps[index] = load_instances(pairs[index], data)

        in_threads(fill, range(len(pairs)), "preparing instance maps")
        maps.flush()


def run(args: argparse.Namespace) -> None:
    """Write the memory maps of all pairs, with a few pairs in memory at a time."""
    data = read_checked(LoadSettings, args.settings)
    pairs = read_manifest(args.pairs)
    shape = (len(pairs), *data.load_size)
    check_space(args.photos.parent, (6 if args.instances else 4) * int(np.prod(shape)))
    with atomic(args.photos) as staged_photos, atomic(args.label_maps) as staged_label_maps:
        photos = open_memmap(staged_photos, mode="w+", dtype=np.uint8, shape=(*shape, 3))
        label_maps = open_memmap(staged_label_maps, mode="w+", dtype=np.uint8, shape=shape)

        def fill(index: int) -> None:
            photos[index], label_maps[index] = load_pair(pairs[index], data)

        in_threads(fill, range(len(pairs)), "preparing pairs")
        photos.flush()
        label_maps.flush()
    if args.instances:
        fill_instances(args.instances, pairs, data)
    if args.digests:
        write_digests(args.digests, [args.photos, args.label_maps, *([args.instances] if args.instances else [])])
    write_json(args.names, [pair.name for pair in pairs])


STAGE = Stage(
    after="validate",
    settings=lambda c: c.data.model_dump(include=LABELS | SIZE | {"load_width"}),
    section="data",
    outputs=lambda run_paths: ["prepare/names.json"],
    report_as="other",
)
