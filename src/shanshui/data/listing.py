"""List a folder: the images that are used, and everything else with the reason why it is not."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from shanshui.errors import ShanshuiError
from shanshui.storage.images import IMAGE_SUFFIXES
from shanshui.storage.kinds import why_no_folder
from shanshui.storage.names import SHOWN_IN_MESSAGE, is_text, number, printable, some

SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store"}
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"}
OTHER_IMAGES = {
    ".gif", ".jp2", ".j2k", ".heic", ".heif", ".avif", ".jxl", ".jfif", ".jpe", ".pgm", ".pbm", ".pnm", ".tga", ".dng",
    ".cr2", ".nef", ".arw", ".psd", ".exr", ".hdr", ".npy", ".mat", ".svg", ".ico", ".apng", ".dib",
}  # fmt: skip
RENAME = "rename them, e.g. `convmv -f gb18030 -t utf-8 -r --notest FOLDER`, or unpack the archive in its own encoding"
Weight = Literal["lost", "aside"]  # perhaps data that is missed now; or nothing that belongs to the data


@dataclass(frozen=True)
class Passed:
    """A file or folder in a folder of the data that is not used, and the reason."""

    path: Path
    reason: str
    weight: Weight


@dataclass(frozen=True)
class Listing:
    """The images of a folder in natural order, and the other files in it."""

    taken: list[Path] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that compares runs of digits as numbers: a2 before a10."""
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _reason(file: Path, pattern: str) -> tuple[str, Weight]:
    """Return the reason why a file is not used; empty if it is."""
    name, suffix = file.name, file.suffix.lower()
    if name.startswith("._"):
        return "metadata file of macOS", "aside"
    if name.lower() in SYSTEM:
        return "files of an operating system", "aside"
    if name.startswith("."):
        return "hidden files", "aside"
    if suffix in ARCHIVES:
        return "archives, which are not unpacked", "lost"
    if suffix in OTHER_IMAGES:
        return f"images of formats that are not taken ({', '.join(IMAGE_SUFFIXES)} are)", "lost"
    if suffix not in IMAGE_SUFFIXES and file.is_symlink() and not file.exists():
        return "links to where nothing is", "lost"
    if suffix not in IMAGE_SUFFIXES:
        return "files whose names do not end as those of images do", "aside"
    if not fnmatchcase(file.stem + suffix, pattern):
        return f"images that are not named {pattern}", "aside"
    return "", "aside"


def walk(place: Path, deep: bool) -> Iterator[Path | Passed]:
    """Yield the files of a folder, following links to folders, and the folders that are not searched, with the reason.

    Yields nothing if there is no such folder.

    Raises:
        ShanshuiError: `place` cannot be opened.
    """
    broken: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(place, followlinks=True, onerror=broken.append):
        yield from (Path(parent, name) for name in names)
        for name in list(folders):
            folder = Path(parent, name)
            why = _why_not_searched(folder, deep, seen)
            if why:
                folders.remove(name)
                yield Passed(folder, *why)
    for error in broken:
        where = Path(error.filename)
        if where == place and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return
        if where == place:
            raise ShanshuiError(f"{place} cannot be opened: {error.strerror}", "a folder that may be read")
        yield Passed(where, f"folders that cannot be opened ({error.strerror})", "lost")


def _why_not_searched(folder: Path, deep: bool, seen: set[tuple[int, int]]) -> tuple[str, Weight] | None:
    if folder.name.startswith(".") or folder.name == "__MACOSX":
        return "hidden folders", "aside"
    if not deep:
        return "sub-folders, which are not searched", "lost"
    try:
        status = folder.stat()
    except OSError:
        return None  # os.walk says why
    if (status.st_dev, status.st_ino) in seen:
        return "links to a folder that is searched already", "aside"
    seen.add((status.st_dev, status.st_ino))
    return None


def list_images(places: Sequence[Path], pattern: str = "*", deep: bool = False) -> Listing:
    """List the images in `places` whose names match `pattern`, whether readable or not, and all other files."""
    taken, passed = [], []
    for place in places:
        for entry in walk(place, deep):
            if isinstance(entry, Passed):
                passed.append(entry)
            elif reason := _reason(entry, pattern)[0]:
                passed.append(Passed(entry, reason, _reason(entry, pattern)[1]))
            else:
                taken.append(entry)
    order = sorted(taken, key=lambda path: (natural_key(path.name), str(path)))
    return Listing(order, sorted(passed, key=lambda entry: str(entry.path)))


def grouped(passed: Sequence[Passed]) -> dict[tuple[str, Weight], list[Path]]:
    """Group paths by reason and weight."""
    found: dict[tuple[str, Weight], list[Path]] = {}
    for entry in passed:
        found.setdefault((entry.reason, entry.weight), []).append(entry.path)
    return found


def find_images(folder: Path) -> list[Path]:
    """List the image files directly in `folder`, in natural order; other files are counted on the screen.

    Raises:
        ShanshuiError: there is no such folder, or a name in it is not UTF-8.
    """
    if not folder.is_dir():
        raise ShanshuiError(f"{folder} {why_no_folder(folder)}", "a folder of images")
    found = list_images([folder])
    if foreign := [path for path in found.taken if not is_text(path.name)]:
        raise ShanshuiError(
            f"{printable(folder)}: {number(len(foreign), 'name')} that are not UTF-8"
            + some([printable(path.name) for path in foreign], SHOWN_IN_MESSAGE),
            "names in UTF-8",
            RENAME,
        )
    for (reason, _), paths in grouped(found.passed).items():
        shown = some([printable(path.name) for path in paths], SHOWN_IN_MESSAGE)
        print(f"{printable(folder)}: {len(paths)} passed over, {reason}{shown}", file=sys.stderr)
    return found.taken
