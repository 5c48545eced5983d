"""Digests of many files, cached as long as size, modification time and inode are unchanged."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from shanshui.data.workers import in_threads
from shanshui.errors import ShanshuiError
from shanshui.storage.files import read_json, sha256, write_text

FRESH = 2 * 10**9  # nanoseconds in which a file may change again without its time telling
MANY = 100 * 10**6  # bytes that take long enough to say so


def content_digests(files: Iterable[Path], memory: Path) -> dict[str, str]:
    """Compute the SHA-256 of every file, by path; only files changed since the last call are read.

    Args:
        files: paths, which need not exist.
        memory: cache file for digests between calls. If it cannot be written, all files are read every time.
    """
    known = _remembered(memory)
    now = time.time_ns()
    marks = {str(file): _mark(file) for file in files}
    new = [path for path, mark in marks.items() if path not in known or known[path][:3] != mark]
    size = sum(marks[path][0] for path in new)
    if size > MANY:
        print(f"reading {len(new)} new or changed files, {size / 1e9:.1f} GB, to know their contents", file=sys.stderr)
        digests = in_threads(_digest, new, "contents")
    else:
        digests = [_digest(path) for path in new]
    found = {path: [*marks[path], digest] for path, digest in zip(new, digests, strict=True)}
    current = {path: found.get(path) or known[path] for path in marks}
    settled = {path: entry for path, entry in current.items() if 0 < marks[path][1] < now - FRESH}
    if settled != known:
        with contextlib.suppress(OSError):
            write_text(memory, json.dumps(settled, sort_keys=True))
    return {path: str(entry[3]) for path, entry in current.items()}


def _mark(file: Path) -> list[int]:
    """Return size in bytes, modification time in ns and inode; zeros if there is no file."""
    try:
        at = file.stat()
    except OSError:
        return [0, 0, 0]
    return [at.st_size, at.st_mtime_ns, at.st_ino]


def _digest(path: str) -> str:
    """Compute the SHA-256 of a file; "unreadable" if it cannot be read, which the stage that needs it reports."""
    try:
        return sha256(path) if os.path.isfile(path) else "unreadable"  # a pipe would be waited for
    except OSError:
        return "unreadable"


def _remembered(memory: Path) -> dict[str, list[int | str]]:
    """Read the cache of the last call; empty if missing or unreadable."""
    if not memory.is_file():
        return {}
    try:
        listed = read_json(memory)
    except (ShanshuiError, OSError):
        return {}
    return listed if isinstance(listed, dict) else {}
