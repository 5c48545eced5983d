"""Describe the type of a file by its first bytes, for messages on files that are not what was asked for."""

from __future__ import annotations

import os
import re
from pathlib import Path

HEAD = 4096
ZIP = "a zip archive"
BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: `git lfs pull` fetches it"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", ZIP),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x93NUMPY", "an array of NumPy (NPY)"),
    (b"MATLAB", "a file of MATLAB"),
    (b"\x89HDF", "an HDF5 file"),
    (b"8BPS", "a Photoshop file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"SQLite format 3", "a database of SQLite"),
    (b"v/1\x01", "an OpenEXR file"),
    (b"qoif", "a QOI image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\x00\x05\x16\x07", "a file of attributes of macOS (AppleDouble)"),
)
HEIC = re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.DOTALL)
MARKUP = re.compile(rb"\s*<(!doctype html|html|svg|\?xml)", re.IGNORECASE)


def recognised(head: bytes) -> str:
    """Describe the type of a file that begins with `head`, if it has a format's signature; else empty."""
    if found := next((words for beginning, words in BEGINNINGS if head.startswith(beginning)), ""):
        return found
    if HEIC.match(head):
        return "a HEIC photograph; convert it to JPEG or PNG"
    return "a tar archive" if head[257:262] == b"ustar" else ""


def what_it_is(head: bytes) -> str:
    """Describe the type of a file that begins with `head`, text included; empty if unknown."""
    if found := recognised(head):
        return found
    if MARKUP.match(head):
        return "a web page or another text in XML, perhaps the answer to a failed download"
    text = head[:60].decode("utf-8", errors="ignore")
    if not text or not text.replace("\n", "").replace("\t", "").isprintable():
        return ""
    return f"text, beginning {text[:40]!r}" + (", perhaps a link that was copied as text" if "/" in text else "")


def kind_of(path: str | Path) -> str:
    """Describe the file type of `path` from its first bytes; empty if unknown or unreadable."""
    try:
        with open(path, "rb") as handle:
            head = handle.read(HEAD)
    except IsADirectoryError:
        return "a folder"
    except OSError:
        return ""
    return what_it_is(head) if head else "empty, 0 bytes"


def why_no_folder(path: Path) -> str:
    """Describe what `path` is instead of a folder, as text that follows its name in a message."""
    if path.is_symlink() and not path.exists():
        return f"is a link to {os.readlink(path)}, where nothing is"
    if not path.exists():
        return "does not exist"
    kind = kind_of(path)
    return f"is no folder but a file{f', {kind}' if kind else ''}"
