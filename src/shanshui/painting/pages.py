"""The files of the page: a fixed table that is read once, so that no path of a request reaches the file system."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".json": "application/json", ".svg": "image/svg+xml",
}  # fmt: skip
INDEX = "index.html"


@dataclass(frozen=True)
class PageFile:
    """Content, content type and ETag of a file."""

    content: bytes
    kind: str
    tag: str


def page_files(folder: Path = FOLDER) -> Mapping[str, PageFile]:
    """Read the files of the page by their names below the folder, with / between folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in TYPES:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            found[path.relative_to(folder).as_posix()] = PageFile(content, TYPES[path.suffix], tag)
    return found
