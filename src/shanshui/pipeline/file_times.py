"""Record the times of a run's files, and restore them where a file was touched or copied without a change of content.

Snakemake makes a file again when one of its inputs is newer, and looks at contents of small inputs alone. So, when a
workflow ends, times, sizes and SHA-256 of all files it knows are written down; before the next one is planned, a file
of another time and the same content gets the time that was written down. A workflow that was killed leaves the list
marked as open: times are then what they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from shanshui.errors import ShanshuiError
from shanshui.storage.files import read_json, sha256, write_json
from shanshui.storage.folders import LIST

TIMES = ".state/times.json"
STAMP = ".snakemake_timestamp"  # the time of a folder that a job makes, for Snakemake
PASSED = {"logs", "benchmarks", "samples"}  # no inputs of any job
READERS = 4


def _watched(run_folder: Path) -> Iterator[Path]:
    """Files of a run that Snakemake may look at; of a folder that a job makes, its time stamp alone."""
    for place, inner, names in os.walk(run_folder):
        if STAMP in names:
            inner.clear()
            yield Path(place, STAMP)
            continue
        inner[:] = sorted(name for name in inner if name not in PASSED and not name.startswith("."))
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _content(path: Path) -> str:
    """Digest of a file's content; for a folder's stamp, of the list of what is in it, "" where it has none."""
    listed = path.with_name(LIST)
    if path.name == STAMP:
        return sha256(listed) if listed.is_file() else ""
    return sha256(path)


def _read(run_folder: Path) -> dict[str, Any]:
    try:
        found = read_json(run_folder / TIMES)
    except ShanshuiError:
        return {}
    return found if isinstance(found, dict) else {}


def begin(run_folder: Path) -> None:
    """Mark the list as open: files are being made."""
    write_json(run_folder / TIMES, {**_read(run_folder), "open": True})


def record(run_folder: Path) -> None:
    """Write down the times of all files, and contents of those that are new; the list is closed."""
    known: dict[str, list[Any]] = _read(run_folder).get("files", {})
    listed: dict[str, list[Any]] = {}
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
    """Give files whose content is as it was written down their time back; how many that were.

    What this user may not set the time of stays as it is.
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
            moved.append((path, time, found.st_atime_ns, digest))
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
