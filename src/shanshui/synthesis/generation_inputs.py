"""Input files of generation: label maps and instance maps in folders and manifests, and styles."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shanshui.data.listing import find_images
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.files import read_csv
from shanshui.storage.names import check_plain, normal, stem
from shanshui.synthesis.styles import blended, one_style, read_array

if TYPE_CHECKING:
    import numpy as np

    from shanshui.synthesis.synthesizer import Accepts, Synthesizer


class ImageInputs(NamedTuple):
    """Files that an image is generated from: label map, and instance map where there is one."""

    name: str
    label: Path
    instance: Path | None = None


def positive(text: str) -> int:
    """Parse a positive integer of a command line."""
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1")
    return int(text)


def label_files(source: Path, instances: Path | None = None) -> list[ImageInputs]:
    """List the label maps in a folder or manifest with their instance maps, sorted by name.

    Args:
        source: folder or manifest (CSV) of label maps.
        instances: folder of instance maps, named as the label maps; without it, those of the manifest are listed.

    Raises:
        ShanshuiError: there are no label maps, or two of one name.
    """
    if source.is_dir():
        found = [ImageInputs(stem(path), path) for path in find_images(source)]
    elif source.suffix == ".csv":
        rows = read_csv(source, ("name", "label"))
        check_plain((row["name"] for row in rows), source)
        if without := [row["name"] for row in rows if not row["label"]]:
            raise ShanshuiError(f"{source} has no label map for {without[0]}", "a file in the column label of each row")
        found = [
            ImageInputs(normal(row["name"]), Path(row["label"]), Path(map_) if (map_ := row.get("instance")) else None)
            for row in rows
        ]
    elif not source.exists():
        raise ShanshuiError(f"{source} does not exist", "a folder of label maps or a CSV file")
    else:
        raise ShanshuiError(
            f"{source} is neither a folder nor a CSV file", "a folder of label maps, or a CSV with name and label",
            "put a single label map into a folder of its own",
        )  # fmt: skip
    if not found:
        raise ShanshuiError(f"{source} holds no label maps", "at least one")
    if twice := repeated([one.name for one in found]):
        raise ShanshuiError(f"{source} holds {twice} twice", "one label map for each name: images are named so")
    if instances:
        by_name = {stem(path): path for path in find_images(instances)}
        found = [one._replace(instance=by_name.get(one.name)) for one in found]
    return sorted(found)


def repeated(names: Sequence[str]) -> str | None:
    """Return the first of `names` that occurs more than once; None if all are distinct."""
    return next((name for name, times in Counter(names).items() if times > 1), None)


def label_sources(parts: Sequence[str]) -> dict[str, Path]:
    """Parse arguments `PATH` and `SET=PATH` to folders and manifests by the name of their set, "" without one.

    Raises:
        UsageError: a set is named twice, or one of several has no name.
    """
    named = [part.partition("=")[::2] if "=" in part else ("", part) for part in parts]
    check_plain((part.partition("=")[0] for part in parts if "=" in part), "--labels SET=PATH")
    if twice := repeated([name for name, _ in named]):
        raise UsageError(f"--labels {twice}= twice", "a name of its own for each set")
    if len(named) > 1 and "" in dict(named):
        raise UsageError(f"--labels {' '.join(parts)}", "SET=PATH for each where there are several: test=a holdout=b")
    return {name: Path(path) for name, path in named}


def instance_maps(accepts: Accepts, files: Sequence[ImageInputs], given: bool) -> dict[Path, Path]:
    """Return the instance map of every label map if a folder of them is `given` or the weights require them, else none.

    Raises:
        UsageError: a folder is given for weights that use no edges.
        ShanshuiError: an instance map is missing.
    """
    if given and not accepts.edges:
        raise UsageError("--instances", "weights of a generator that sees edges")
    if not (given or accepts.instances):
        return {}
    found = {one.label: one.instance for one in files if one.instance}
    if absent := [one.name for one in files if one.label not in found]:
        raise ShanshuiError(
            f"no instance map of {absent[0]}, for a generator that sees edges of instances",
            "one for every label map, in --instances DIR or in the column `instance` of a manifest",
        )
    return found


def style_vector(
    synthesizer: Synthesizer, photographs: Sequence[Path], vectors: Sequence[Path], share: float | None
) -> np.ndarray | None:
    """Compute the style of all images from photographs or files of vectors; None where there is neither.

    Args:
        synthesizer: whose encoder reads photographs.
        photographs: one, or two to blend.
        vectors: one NPY file, or two to blend, instead.
        share: weight of the second of two styles, 0 to 1; None for a half.

    Raises:
        ShanshuiError: a share without two styles, or a file that cannot be used.
    """
    count = len(photographs) + len(vectors)
    if share is not None and count != 2:
        raise UsageError(f"--blend with {count} styles", "two, after --style or --z")
    if not count:
        return None
    found = [synthesizer.style_of(path) for path in photographs]
    found += [one_style(read_array(path), synthesizer.accepts.z, path) for path in vectors]
    return blended(found, 0.5 if share is None else share)
