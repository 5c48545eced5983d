"""File names as text: compared in composed Unicode form, and printable whatever their bytes."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shanshui.errors import ShanshuiError, UsageError

GUESSES = ("gb18030", "shift_jis", "cp1252")


def normal(name: str) -> str:
    """The name in composed form (NFC): archives made on macOS hold `é` as two characters."""
    return unicodedata.normalize("NFC", name)


def stem(file: Path) -> str:
    """Return a file's name without suffix, in composed form."""
    return normal(file.stem)


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; Python holds the bytes of one that is not as lone surrogates."""
    return name.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def printable(text: object) -> str:
    r"""Text that can be written as UTF-8: bytes that are none become `\udcb7` and the like."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def check_plain(names: Iterable[str], source: object) -> None:
    """ShanshuiError where one of `names`, after which files are called, is none of a single file.

    `../x`, `/x` and `a/b` would be written elsewhere than where images go, over whatever lies there.
    """
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ShanshuiError(
                f"{source} names {name!r}, after which an image would be called",
                "names of files: not empty, without /",
                "give it a name without folder, such as scene_001",
            )


def at_home(value: Any) -> Any:
    """An argument with the home folder for `~` at the start of paths, which shells leave alone in `--out=~/x`.

    Paths, and texts `NAME=PATH` in lists, are looked at; a path that is there as it is written stays so. UsageError
    where the user whose home it would be is not known.
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


def _named_at_home(item: Any) -> Any:
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
