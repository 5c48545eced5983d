"""Measure the diversity of images of the same label maps: LPIPS between folders made with different seeds or styles.

    python -m shanshui diversity results/RUN/infer/MODEL/seed_0/test results/RUN/infer/MODEL/seed_1/test [MORE ...]

For every name that the folders have in common, which must be all of them, the mean of LPIPS (v0.1, AlexNet) over all
pairs of folders; then the mean over the names with its standard error. 0 stands for equal images. It needs
`python -m shanshui weights alexnet`.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from shanshui.storage.outputs import add_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: folders of images, and where the result is written."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="two folders or more, of the same names"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_file(parser, "--out", metavar="JSON", help="write the result to this file")


def measure(folders: Sequence[Path]) -> dict[str, object]:
    """Compute the mean LPIPS distance between images of equal names in different folders.

    Returns:
        `lpips`, its `standard_error` (None below 4 names), and the numbers of `names` and `folders`.

    Raises:
        ShanshuiError: the folders have different names, or images of different sizes.
    """
    import numpy as np
    from tqdm import tqdm

    from shanshui.errors import ShanshuiError
    from shanshui.evaluation.image_folder import list_image_files, match_names
    from shanshui.evaluation.network_features import LpipsFeatures
    from shanshui.metrics.estimate import mean_distance
    from shanshui.storage.images import read_photo
    from shanshui.storage.names import stem

    first, *others = ({stem(path): path for path in list_image_files(folder)} for folder in folders)
    for folder, files in zip(folders[1:], others, strict=True):
        match_names(files, first, folder)
    network, distances = LpipsFeatures(), []
    for name in tqdm(first, desc="diversity", unit="map"):
        generated = [read_photo(files[name]) for files in (first, *others)]
        if len({one.shape for one in generated}) > 1:
            raise ShanshuiError(f"{name} has different sizes in the folders", "images of one size")
        left, right = zip(*itertools.combinations(generated, 2), strict=True)
        distances.append(float(network(np.stack(left), np.stack(right)).mean()))
    found = mean_distance(np.array(distances))
    return {"lpips": found.value, "standard_error": found.standard_error, "names": len(first), "folders": len(folders)}


def run(args: argparse.Namespace) -> None:
    """Measure the diversity, and print or write it."""
    from shanshui.errors import UsageError
    from shanshui.storage.files import write_json
    from shanshui.storage.provenance import stamp

    if len(args.folders) < 2:
        raise UsageError("one folder", "two or more, with images of the same label maps")
    found = measure(args.folders)
    if args.out:
        write_json(args.out, stamp(**found))
    if args.json:
        print(json.dumps(found, indent=1, sort_keys=True))
    elif not args.out:
        error = "" if found["standard_error"] is None else f" +- {found['standard_error']:.2g}"
        print(f"LPIPS between the images of a label map: {found['lpips']:.4f}{error}, {found['names']} label maps in "
              f"{found['folders']} folders")  # fmt: skip
