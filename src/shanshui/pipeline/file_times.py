"""Record the times of a run's files, and restore them if a file was touched or copied with unchanged content.

Snakemake makes a file again when one of its inputs is newer, and compares only the contents of small inputs. When a
workflow ends, times, sizes and SHA-256 of all its files are therefore recorded; before the next one is planned, files
with another time but the same content get the recorded time. A workflow that was killed leaves the list marked as open:
times are then not changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict, cast

from shanshui.errors import ShanshuiError
from shanshui.storage.files import read_json, sha256, write_json
from shanshui.storage.folders import LIST

TIMES = ".state/times.json"
STAMP = ".snakemake_timestamp"  # the time of a folder that a job makes, for Snakemake
PASSED = {"logs", "benchmarks", "samples", "progress.html"}  # no inputs of any job
READERS = 4


def _watched(run_folder: Path) -> Iterator[Path]:
    """Yield the files of a run that Snakemake may check; of folders made by a job, only their time stamp."""
    for place, inner, names in os.walk(run_folder):
        if STAMP in names:
            inner.clear()
            yield Path(place, STAMP)
            continue
        inner[:] = sorted(name for name in inner if name not in PASSED and not name.startswith("."))
        yield from (Path(place, name) for name in names if name not in PASSED and not name.startswith("."))


def _content(path: Path) -> str:
    """Compute the SHA-256 of a file; for a folder's time stamp, that of the list of its files, "" without one."""
    listed = path.with_name(LIST)
    if path.name == STAMP:
        return sha256(listed) if listed.is_file() else ""
    return sha256(path)


class Times(TypedDict, total=False):
    """The list: time in ns, size in bytes and SHA-256 of every file by name; whether files are being made."""

    files: dict[str, list[int | str]]
    open: bool


def _read(run_folder: Path) -> Times:
    try:
        found = read_json(run_folder / TIMES)
    except ShanshuiError:
        return {}
    return cast("Times", found) if isinstance(found, dict) else {}


def begin(run_folder: Path) -> None:
    """Mark the list as open: files are being made."""
    write_json(run_folder / TIMES, {**_read(run_folder), "open": True})


def record(run_folder: Path) -> None:
    """Record the times of all files and the contents of new ones, and close the list."""
    known = _read(run_folder).get("files", {})
    listed: dict[str, list[int | str]] = {}
    unknown = []
    for path in _watched(run_folder):
        name, found = str(path.relative_to(run_folder)), path.stat()
        before = known.get(name)
        if before and before[:2] == [found.st_mtime_ns, found.st_size]:
            listed[name] = before
        else:
            unknown.append((name, path, found))
    with ThreadPoolExecutor(READERS) as pool:
        digests = list(pool.map(lambda entry: _content(entry[1]), unknown))
    for (name, _, found), digest in zip(unknown, digests, strict=True):
        listed[name] = [found.st_mtime_ns, found.st_size, digest]
    write_json(run_folder / TIMES, {"files": listed, "open": False})


def restore(run_folder: Path) -> int:
    """Restore the recorded time of files whose content is unchanged; return their number.

    Files whose time this user may not set stay as they are.
    """
    kept = _read(run_folder)
    if kept.get("open"):
        return 0
    moved = []
    for name, (time, size, digest) in kept.get("files", {}).items():
        path = run_folder / name
        try:
            found = path.stat()
        except OSError:
            continue
        if found.st_mtime_ns != time and found.st_size == size:
            moved.append((path, int(time), found.st_atime_ns, digest))
    with ThreadPoolExecutor(READERS) as pool:
        same = list(pool.map(lambda entry: _content(entry[0]) == entry[3], moved))
    return sum(
        _set_time(path, time, seen) for (path, time, seen, _), is_same in zip(moved, same, strict=True) if is_same
    )


def _set_time(path: Path, time: int, seen: int) -> bool:
    try:
        os.utime(path, ns=(seen, time))
    except OSError:
        return False
    return True
