"""Render one sheet of styles: the same label maps in the styles of photographs, interpolated, or random.

    python -m shanshui styles --weights W.safetensors --labels DIR --style DAY.jpg DUSK.jpg --out styles.png
    python -m shanshui styles --weights W.safetensors --labels DIR --seeds 0 1 2 3 --out styles.png

A line of images for each style, the photograph it is from first. `--between 2` adds two steps on the way from each
photograph to the next. Whole folders of images in one style: `generate --style PHOTO` or `--seed N`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from shanshui.data.palette import class_palette
from shanshui.errors import UsageError
from shanshui.storage import images
from shanshui.storage.outputs import add_file, check_inputs_stay
from shanshui.synthesis.generation_inputs import instance_maps, label_files, positive

if TYPE_CHECKING:
    from shanshui.synthesis.synthesizer import Synthesizer


class Look(TypedDict, total=False):
    """Arguments of `Synthesizer.generate` that choose a style: a seed, or a style vector (length,)."""

    seed: int
    z: np.ndarray


Line = tuple[str, np.ndarray | None, Look]  # caption, photograph (3, H, W) or None, seed or z


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: weights, label maps, styles, and the sheet to write."""
    parser.add_argument("--weights", required=True, type=Path, help="checkpoint or average (*.safetensors)")
    parser.add_argument("--labels", required=True, type=Path, metavar="PATH", help="folder or manifest of label maps")
    add_file(parser, "--out", ".png", ".jpg", ".jpeg", required=True, metavar="FILE", help="the sheet, PNG or JPEG")
    parser.add_argument(
        "--style",
        type=Path,
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="photographs, for weights with a style encoder",
    )
    parser.add_argument(
        "--between", type=int, default=0, metavar="N", help="steps between each photograph and the next [0]"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[], metavar="N", help="seeds of random styles or noise")
    parser.add_argument(
        "--instances", type=Path, metavar="DIR", help="instance maps named as the label maps, as for `generate`"
    )
    parser.add_argument("--columns", type=positive, default=4, metavar="N", help="label maps, evenly spread [4]")


def photo_lines(args: argparse.Namespace, synthesizer: Synthesizer) -> list[Line]:
    """Return a line per photograph's style, and `--between` interpolated ones between each and the next."""
    from shanshui.synthesis.styles import blended

    styles = [synthesizer.style_of(path) for path in args.style]
    lines: list[Line] = []
    for i, path in enumerate(args.style):
        lines.append((path.stem, synthesizer.read_photograph(path), {"z": styles[i]}))
        for step in range(1, args.between + 1 if i + 1 < len(styles) else 1):
            share = step / (args.between + 1)
            lines.append((f"{share:.2f}", None, {"z": blended(styles[i : i + 2], share)}))
    return lines


def run(args: argparse.Namespace) -> None:
    """Generate images of the same label maps in every style, and write them on one sheet."""
    if not (args.style or args.seeds):
        raise UsageError("no styles", "--style IMAGE ..., --seeds N ..., or both")
    if args.between < 0:
        raise UsageError(f"--between {args.between}", "0 or more steps")
    every = label_files(args.labels, args.instances)
    check_inputs_stay(args.out, "file", [one.label for one in every])

    from shanshui.logs import progress
    from shanshui.report.sheet import evenly_spaced, strip
    from shanshui.synthesis.synthesizer import Synthesizer

    files = evenly_spaced(every, args.columns)
    synthesizer = Synthesizer.load(args.weights)
    label_maps = [synthesizer.read_label_map(one.label) for one in files]
    maps = instance_maps(synthesizer.accepts, files, bool(args.instances))
    instances = [
        synthesizer.read_instance_map(maps[one.label], ids) if maps else None
        for one, ids in zip(files, label_maps, strict=True)
    ]
    palette = class_palette(list(synthesizer.classes.names))
    lines = [*photo_lines(args, synthesizer), *((f"seed {seed}", None, {"seed": seed}) for seed in args.seeds)]
    gap = [None] if args.style else []
    rows: list[tuple[str, list[np.ndarray | None]]] = [
        ("label map", [*gap, *(images.colour_label_map(ids, palette) for ids in label_maps)])
    ]
    with progress(len(lines) * len(files), "styles", "image") as bar:
        for caption, photo, look in lines:
            row: list[np.ndarray | None] = [None if photo is None else images.to_uint8(photo)] if args.style else []
            for (name, *_), ids, numbers in zip(files, label_maps, instances, strict=True):
                row.append(images.to_uint8(synthesizer.generate(ids, name, instances=numbers, **look)[0]))
                bar.update(1)
            rows.append((caption, row))
    images.write_image(args.out, strip(rows))
