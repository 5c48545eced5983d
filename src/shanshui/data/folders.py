"""The folders of a dataset and their contents."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from shanshui.data.layouts import Layout
from shanshui.data.listing import Passed

HOLDS = {
    "train_images": "training photographs",
    "train_labels": "training label maps",
    "train_instances": "training instance maps",
    "test_labels": "test label maps",
    "test_instances": "test instance maps",
}


@dataclass(frozen=True)
class Folder:
    """A folder of the data: its path, the option that names it, what it holds, and its images (None: no such folder).

    `indoor` counts images that are not among `files` since the layout takes outdoor scenes only. `passed` lists the
    other files there.
    """

    path: Path
    option: str
    holds: str
    files: list[Path] | None
    indoor: int = 0
    passed: tuple[Passed, ...] = ()


def look(layout: Layout, path: Path, option: str) -> Folder:
    """List the files of a folder without opening them."""
    if not path.is_dir():
        return Folder(path, option, HOLDS[option], None)
    found = layout.listing(path, option)
    return Folder(path, option, HOLDS[option], found.taken, passed=tuple(found.passed))


def only(folder: Folder, names: Collection[str], layout: Layout) -> Folder:
    """Return the folder with only the files that belong to the pairs `names`."""
    files = [file for file in folder.files or [] if layout.name(file) in names]
    return dataclasses.replace(folder, files=files, indoor=len(folder.files) - len(files)) if folder.files else folder
