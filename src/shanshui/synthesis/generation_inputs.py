"""Input files of generation: label maps and instance maps in folders and manifests."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.data.pairs import find_images
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.files import read_csv
from shanshui.storage.names import check_plain, normal, stem

if TYPE_CHECKING:
    from shanshui.synthesis.synthesizer import Accepts

Files = list[tuple[str, Path]]  # names and label maps


def positive(text: str) -> int:
    """Parse a positive integer of a command line."""
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1")
    return int(text)


def label_files(source: Path) -> Files:
    """List name and file of every label map in a folder or manifest, sorted by name.

    Raises:
        ShanshuiError: there are none, or two of one name.
    """
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
        raise ShanshuiError(f"{source} holds {twice} twice", "one label map for each name: images are named so")
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


def instance_files(accepts: Accepts, files: Files, folder: Path | None, manifests: Iterable[Path]) -> dict[Path, Path]:
    """Find the instance map of every label map, in `folder`, or in manifests if the weights require some; else none.

    Raises:
        UsageError: `folder` is given for weights that use no edges.
        ShanshuiError: an instance map is missing.
    """
    if folder and not accepts.edges:
        raise UsageError("--instances", "weights of a generator that sees edges")
    if folder:
        by_name = {stem(path): path for path in find_images(folder)}
        found = {path: by_name[name] for name, path in files if name in by_name}
    elif accepts.instances:
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
