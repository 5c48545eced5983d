"""Names of files as text: equal where they look equal, and printable whatever bytes they are made of."""

from __future__ import annotations

import unicodedata
from pathlib import Path

GUESSES = ("gb18030", "shift_jis", "cp1252")


def normal(name: str) -> str:
    """The name in composed form (NFC): archives made on macOS hold `é` as two characters."""
    return unicodedata.normalize("NFC", name)


def stem(file: Path) -> str:
    """What a file is called, less its suffix, in composed form."""
    return normal(file.stem)


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; Python holds the bytes of one that is not as lone surrogates."""
    return name.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def printable(text: object) -> str:
    r"""Text that can be written as UTF-8: bytes that are none become `\udcb7` and the like."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def guess(name: str) -> str:
    """What the bytes of a name that is not UTF-8 may mean, and in which encoding; empty where no guess fits."""
    raw = name.encode("utf-8", "surrogateescape")
    for encoding in GUESSES:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.isprintable():
            return f"{text} in {encoding.upper()}"
    return ""
