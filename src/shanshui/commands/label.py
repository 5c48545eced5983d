"""Predict label maps for photographs that have none, with a segmenter, so that they can be trained on.

    python -m shanshui label --photographs DIR --out DIR
    python -m shanshui label --segmenter segmenter.safetensors --photographs DIR --out DIR

writes `<name>.png` of class ids for every photograph, and `label.json`: the segmenter's digest and classes. Existing
label maps are kept, so that a new call continues. The built-in segmenter is the default: it knows 31 classes of
ADE20K, and writes 255 for what is none of the label maps' classes where these have no `other`. Train on the maps with
`data.layout: folders` (docs/datasets.md).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shanshui.architectures.segmenters import BATCH, Segmenter, describe_segmenter, load_segmenter
from shanshui.data.listing import find_images
from shanshui.data.pairs import ambiguous_files
from shanshui.errors import ShanshuiError
from shanshui.storage.files import read_json, write_json
from shanshui.storage.images import read_photo, resize_label_map, resize_photo, write_image
from shanshui.storage.names import number, some
from shanshui.storage.outputs import add_shared_folder
from shanshui.storage.provenance import stamp
from shanshui.storage.size import Size
from shanshui.weights.builtin import BUILTIN
from shanshui.weights.classes import class_list
from shanshui.weights.deeplab import REST

MANIFEST = "label.json"
SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a segmenter, photographs, and the folder of label maps."""
    parser.add_argument(
        "--segmenter", default=BUILTIN, type=Path, metavar="FILE",
        help="file of the stage `segmenter` (results/<run>/segmenter/) or of `import segformer`; default: builtin",
    )  # fmt: skip
    parser.add_argument("--classes", type=class_list, metavar="NAME,NAME,...",
                        help="class names in id order (default: the segmenter's; built in: the contest's)")  # fmt: skip
    parser.add_argument("--photographs", required=True, type=Path, metavar="DIR", help="photographs without label maps")
    add_shared_folder(
        parser, "--out", MANIFEST, required=True, metavar="DIR", help="folder of the label maps; may exist"
    )


def photographs(folder: Path) -> list[Path]:
    """List the photographs in `folder`.

    Raises:
        ShanshuiError: there are none, or two of one name.
    """
    found = find_images(folder)
    if not found:
        raise ShanshuiError(f"{folder} holds no photographs (sub-folders are not searched)", "one image or more")
    if twice := ambiguous_files(found):
        names = some([str(path) for path in twice], SHOWN)
        raise ShanshuiError(f"names used twice: {number(len(twice), 'file')}{names}", "one photograph per stem")
    return found


def check_folder(out: Path, identity: str) -> None:
    """Check that `out` has no label maps but those of the segmenter with this `identity`.

    Raises:
        ShanshuiError: it has.
    """
    manifest = out / MANIFEST
    if manifest.is_file():
        other = read_json(manifest).get("segmenter")
        if other != identity:
            found = f"{out} holds label maps of another segmenter, {str(other)[:12]}"
            raise ShanshuiError(found, f"those of {identity[:12]}, or none", "name another folder with --out")
    elif out.is_dir() and find_images(out):
        raise ShanshuiError(f"{out} holds images of unknown origin", "an empty folder, or one with label.json",
                            "name another folder with --out")  # fmt: skip


def label_maps(segmenter: Segmenter, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Predict class ids, uint8 (H, W), for photographs, uint8 (H, W, 3), each at its own size."""
    ids, _ = segmenter.segment(np.stack([resize_photo(photo, segmenter.size) for photo in photos]))
    return [resize_label_map(found, Size.of(photo)) for found, photo in zip(ids, photos, strict=True)]


def label_all(segmenter: Segmenter, files: Sequence[Path], out: Path) -> list[str]:
    """Write the label maps of `files`; return a line for each photograph that cannot be read."""
    from tqdm import tqdm

    broken = []
    with tqdm(total=len(files), desc="label maps", unit="img", file=sys.stderr) as bar:
        for start in range(0, len(files), BATCH):
            read = {}
            for file in files[start : start + BATCH]:
                try:
                    read[file.stem] = read_photo(file)
                except ShanshuiError as error:
                    broken.append(error.found)
            for name, ids in zip(read, label_maps(segmenter, list(read.values())) if read else [], strict=True):
                write_image(out / f"{name}.png", ids)
            bar.update(len(files[start : start + BATCH]))
    return broken


def run(args: argparse.Namespace) -> None:
    """Label the photographs that have no label map yet.

    The manifest is written first, so that label maps of a killed call are recognised.

    Raises:
        ShanshuiError: some photographs cannot be read; all others are labelled.
    """
    segmenter = load_segmenter(args.segmenter, args.classes)
    files = photographs(args.photographs)
    check_folder(args.out, segmenter.identity)
    manifest: dict[str, object] = {"segmenter": segmenter.identity, **segmenter.facts}
    write_json(args.out / MANIFEST, stamp(**manifest))
    todo = [file for file in files if not (args.out / f"{file.stem}.png").exists()]
    broken = label_all(segmenter, todo, args.out)
    names = [file.stem for file in files if (args.out / f"{file.stem}.png").exists()]
    write_json(args.out / MANIFEST, stamp(**manifest, label_maps=names))
    if broken:
        found = f"not labelled, for they cannot be read: {number(len(broken), 'photograph')}{some(broken, SHOWN)}"
        raise ShanshuiError(found, "complete image files", "replace or remove them, and call again")
    if never := [name for name in segmenter.facts.get("unjudged", []) if name.casefold() != REST]:
        print(f"never in these label maps, for the segmenter does not know them: {', '.join(never)}")
    made, whose = number(len(todo), "label map"), describe_segmenter(segmenter.identity, segmenter.facts)
    print(f"{made} written to {args.out}, {len(files) - len(todo)} were there; by {whose}")
