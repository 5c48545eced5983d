"""Folders of images: their files, checked against the expected names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from shanshui.errors import ShanshuiError
from shanshui.storage.images import IMAGE_SUFFIXES
from shanshui.storage.kinds import why_no_folder
from shanshui.storage.names import is_text, printable, stem


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:4]) + (f", ... ({len(listed)} in all)" if len(listed) > 4 else "")


def list_image_files(folder: str | Path) -> list[Path]:
    """List all images directly in `folder`, sorted by name; hidden files are ignored.

    Raises:
        ShanshuiError: where the folder is missing or empty, or holds anything that is not an image, a name that is not
            UTF-8, or two images of one stem.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ShanshuiError(f"{root} {why_no_folder(root)}", "a folder of images")
    files = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    foreign = [printable(path.name) for path in files if path.suffix.lower() not in IMAGE_SUFFIXES or path.is_dir()]
    if foreign:
        raise ShanshuiError(
            f"{root} holds other things than images: {_some(foreign)}",
            "images only",
            "move them elsewhere",
        )
    if foreign := [printable(path.name) for path in files if not is_text(path.name)]:
        raise ShanshuiError(f"{root} holds names that are not UTF-8: {_some(foreign)}", "names in UTF-8", "rename them")
    if not files:
        raise ShanshuiError(f"{root} is empty", f"images ({', '.join(IMAGE_SUFFIXES)})")
    stems = [stem(path) for path in files]
    if len(set(stems)) < len(stems):
        twice = {name for name in stems if stems.count(name) > 1}
        raise ShanshuiError(f"{root} holds several images of one name: {_some(twice)}", "one image a name")
    return files


def match_names(stems: Iterable[str], names: Iterable[str], folder: str | Path) -> None:
    """Check that the stems of a folder's images are exactly `names`.

    Raises:
        ShanshuiError: where a name is missing, or an image has another name.
    """
    found, wanted = set(stems), set(names)
    missing, extra = wanted - found, found - wanted
    if missing or extra:
        parts = [f"missing: {_some(missing)}"] if missing else []
        parts += [f"not on the list: {_some(extra)}"] if extra else []
        raise ShanshuiError(
            f"{folder} does not hold one image for every label map; {'; '.join(parts)}",
            f"exactly the {len(wanted)} names of the list",
            "generate the images again",
        )
