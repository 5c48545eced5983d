"""File names as text: compared in composed Unicode form (NFC), printable whatever their bytes, listed in messages."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from shanshui.errors import ShanshuiError, UsageError

GUESSES = ("gb18030", "shift_jis", "cp1252")
SHOWN_IN_MESSAGE = 3  # names in a message; the rest is a number


def normal(name: str) -> str:
    """Normalise a name to composed form (NFC): archives made on macOS hold `é` as two characters."""
    return unicodedata.normalize("NFC", name)


def stem(file: Path) -> str:
    """Return a file's name without suffix, in composed form."""
    return normal(file.stem)


def is_text(name: str) -> bool:
    """Test whether a name is UTF-8; Python represents other bytes as lone surrogates."""
    return name.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def printable(text: object) -> str:
    r"""Convert to text that can be written as UTF-8: other bytes become `\udcb7` and the like."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def some(files: Sequence[str], most: int) -> str:
    """Format the first `most` files as indented lines, and the number of the rest."""
    lines = [f"\n    {file}" for file in files[:most]]
    more = len(files) - most
    return "".join(lines) + (f"\n    ... and {more} more" if more > 0 else "")


def number(count: int, thing: str) -> str:
    """Format a count with its noun: `1 pair`, `2 pairs`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def check_plain(names: Iterable[str], source: object) -> None:
    """Check that each name is that of a single file, with no folder in it.

    Images are written to files of these names; `../x`, `/x` and `a/b` would overwrite files elsewhere.

    Raises:
        ShanshuiError: a name is empty, `.` or `..`, or has a slash or a zero byte.
    """
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ShanshuiError(
                f"{source} names {name!r}, after which an image would be called",
                "names of files: not empty, without /",
                "give it a name without folder, such as scene_001",
            )


def home_folder() -> Path:
    """Return the user's home folder.

    Raises:
        UsageError: HOME is not set, and the system has no entry of the user.
    """
    try:
        return Path.home()
    except (RuntimeError, KeyError):
        raise UsageError(
            f"user {os.getuid()} has no home folder: HOME is not set, and the system has no entry of this user",
            "a folder for what is compiled",
            "name one: export SHANSHUI_CACHE=/some/folder, or export HOME=/some/folder",
        ) from None


def at_home(value: object) -> object:
    """Expand a leading `~` in an argument to the home folder, which shells do not do in `--out=~/x`.

    Args:
        value: a path, or a list of paths and of texts `NAME=PATH`; anything else is returned as it is, and so is a path
            that exists as written.

    Raises:
        UsageError: the home folder is not known.
    """
    if isinstance(value, list):
        return [at_home(Path(item)) if isinstance(item, Path) else _named_at_home(item) for item in value]
    if not isinstance(value, Path) or not str(value).startswith("~") or os.path.lexists(value):
        return value
    found = Path(os.path.expanduser(value))
    if str(found).startswith("~"):
        raise UsageError(
            f"{value} begins with {value.parts[0]}, whose home folder is not known",
            "~ for your own home folder, or ~NAME of a user of this machine",
            f"write ./{value} for a folder that is called so",
        )
    return found


def _named_at_home(item: object) -> object:
    found = re.fullmatch(r"([^=/~]*=|)(~.*)", item) if isinstance(item, str) else None
    return f"{found[1]}{at_home(Path(found[2]))}" if found else item


def guess(name: str) -> str:
    """Guess the text of a name that is not UTF-8, and its encoding; empty if no guess fits."""
    raw = name.encode("utf-8", "surrogateescape")
    for encoding in GUESSES:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.isprintable():
            return f"{text} in {encoding.upper()}"
    return ""
