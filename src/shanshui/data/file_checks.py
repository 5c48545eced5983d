"""Check unused files in the data folders, file names, and how photographs are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from shanshui.data.findings import Finding, error, note, warning
from shanshui.data.folders import Folder
from shanshui.data.listing import RENAME, Passed, grouped
from shanshui.data.scan import LabelFacts, PhotoFacts
from shanshui.storage.names import guess, is_text, number


def _passed(folders: Sequence[Folder]) -> list[Passed]:
    """Return the files that no option uses, each once even if several options share a folder."""
    taken = {path for folder in folders for path in folder.files or []}
    entries = {entry.path: entry for folder in reversed(folders) for entry in folder.passed}
    return [entry for path, entry in sorted(entries.items()) if path not in taken]


def passed_over(folders: Sequence[Folder]) -> list[Finding]:
    """Report everything in the data folders that is not used, grouped by reason."""
    found = []
    for (reason, weight), paths in grouped(_passed(folders)).items():
        what = f"passed over, {reason}: {len(paths)}"
        if weight == "lost":
            do = "nothing, if they do not belong to the data; else convert, unpack or move what is in them"
            found.append(warning(what, "images alone in the folders of the data", do, paths))
        else:
            found.append(note(what, "", "", paths))
    return found


def names_are_text(folders: Sequence[Folder]) -> list[Finding]:
    """Report files whose names, or whose folders' names, are not UTF-8."""
    paths = dict.fromkeys(path for folder in folders for path in folder.files or [] if not is_text(str(path)))
    if not paths:
        return []
    lines = (f"{path}" + (f": {text}" if (text := guess(path.name)) else "") for path in paths)
    return [error(f"names that are not UTF-8: {number(len(paths), 'file')}", "names in UTF-8", RENAME, lines)]


def names_differ_in_more_than_case(folders: Sequence[Folder]) -> list[Finding]:
    """Report files of one folder whose names differ in case only, which collide on macOS and Windows."""
    lines = []
    for folder in folders:
        same: dict[tuple[Path, str], set[str]] = {}
        for path in folder.files or []:
            same.setdefault((path.parent, path.stem.casefold()), set()).add(path.stem)
        lines += [f"{key[0]}: {', '.join(sorted(stems))}" for key, stems in same.items() if len(stems) > 1]
    if not lines:
        return []
    what = f"names that differ in case only: {number(len(lines), 'group')}"
    do = "nothing on Linux; on macOS or Windows, also in a zip unpacked there, one takes the other's place"
    return [warning(what, "names that differ in more", do, dict.fromkeys(lines))]


def turned(facts: Iterable[PhotoFacts] | Iterable[LabelFacts], thing: str, other: str) -> list[Finding]:
    """Report files that are rotated or flipped by their EXIF orientation, which some programs ignore."""
    mine = [f.path for f in facts if f.turned]
    if not mine:
        return []
    what = f"turned as their EXIF orientation says: {number(len(mine), thing)}"
    do = f"nothing, if the {other} fit them as a viewer shows them; else turn the pixels and remove the tag"
    return [warning(what, "pixels stored as they are shown", do, mine)]


def as_shown(photos: Iterable[PhotoFacts]) -> list[Finding]:
    """Report photographs whose colour profile, gamma or transparency could not be applied."""
    lines = [f"{photo.path}: {said}" for photo in photos for said in photo.notes]
    if not lines:
        return []
    what = f"not read as a viewer may show them: {number(len(lines), 'training photograph')}"
    return [warning(what, "opaque pixels in sRGB, or a profile that can be applied", "save them so", lines)]
