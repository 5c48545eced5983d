"""Check whether a run fits on the disk: required, existing and free space, and possible savings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from shanshui.config.schema import Config
from shanshui.errors import ShanshuiError
from shanshui.pipeline.disk_estimate import Part, count_images, estimate
from shanshui.pipeline.retention import read_removed

CHOOSING = {"select_checkpoints", "select_model", "select_seed"}
AFTER_CHOICES = {"merge", "generate", "infer", "score", "fuse"}  # not planned before the choices are made


def _size(path: Path) -> int:
    """Return the bytes of a file or of all files in a folder; files removed meanwhile count as 0."""
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    found = 0
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder) / name
            found += file.stat().st_size if file.is_file() else 0
    return found


def there_already(folder: Path, parts: Sequence[Part]) -> dict[str, int]:
    """Return the bytes of each part in the run's folder, including files that `retention` removed."""
    removed = read_removed(folder)
    found = {}
    for part in parts:
        present = sum(_size(path) for pattern in part.folders for path in folder.glob(pattern))
        gone = sum(size for name, size in removed.items() if any(_below(name, pattern) for pattern in part.folders))
        found[part.name] = present + gone
    return found


def _below(name: str, pattern: str) -> bool:
    """Test whether the file `name` matches `pattern` or is in a folder that does."""
    path = Path(name)
    return any(candidate.match(pattern) for candidate in (path, *path.parents) if candidate.name)


def bytes_to_write(folder: Path, parts: Sequence[Part], rules: Collection[str] | None = None) -> float:
    """Return the bytes that a run may still write; with planned `rules`, only those and what choices lead to."""
    if rules is not None:
        counted = {*rules, *(AFTER_CHOICES if CHOOSING & set(rules) else ())}
        parts = [part for part in parts if part.rule in counted]
    there = there_already(folder, parts)
    return sum(max(0.0, part.most - there[part.name]) for part in parts)


def gigabytes(size: float) -> str:
    """Format bytes as `1.3 GB`, `12 MB` or `8 kB`."""
    if size >= 0.1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def disk_table(parts: Sequence[Part]) -> str:
    """Format the estimate as a table."""
    rows = [(p.name, str(p.count), gigabytes(p.each), gigabytes(p.most), gigabytes(p.final)) for p in parts]
    most, final = sum(p.most for p in parts), sum(p.final for p in parts)
    rows = [
        ("", "files", "each", "at most", "in the end"), *rows,
        ("in all", "", "", gigabytes(most), gigabytes(final)),
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        row[0].ljust(widths[0]) + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def sentence(config: Config, folder: Path, parts: Sequence[Part], free: int) -> str:
    """Return one line with the largest and final size of the run, its existing files, and the free space."""
    most, final = sum(p.most for p in parts), sum(p.final for p in parts)
    there = sum(there_already(folder, parts).values())
    return (
        f"{config.run} takes about {gigabytes(most)} at most and {gigabytes(final)} in the end; "
        f"{gigabytes(there)} there, {gigabytes(free)} free"
    )


def free_at(folder: Path) -> int:
    """Return the free bytes of the disk that holds, or will hold, `folder`."""
    present = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(present).free


def check(config: Config, folder: Path, rules: Collection[str] | None = None) -> str:
    """Check that the run, or its planned `rules`, fits on the disk; return the text of `sentence`.

    Raises:
        ShanshuiError: it does not fit; the message says how to reduce what is needed.
    """
    parts = estimate(config, count_images(config))
    free = free_at(folder)
    needed = bytes_to_write(folder, parts, rules)
    said = sentence(config, folder, parts, free)
    if needed <= free:
        return said
    raise ShanshuiError(
        f"{said}; {gigabytes(needed)} still to be written will not fit",
        f"{gigabytes(needed)} free at {folder.absolute()}",
        advice(config, parts),
    )


def advice(config: Config, parts: Sequence[Part]) -> str:
    """Return ways to reduce the required space, with the amounts."""
    size = {part.name: part.most for part in parts}
    each = {part.name: part.each for part in parts}
    ways: Mapping[str, float] = {
        "each epoch less between score.first and score.last": each["fine-tuned weights"],
        "finetune.ema: 0": size.get("moving average of the last", 0.0),
        "each seed less in infer.seeds": each["images of noise seeds"],
    }
    saved = ", ".join(f"{way} saves {gigabytes(bytes_)}" for way, bytes_ in ways.items() if bytes_)
    return f"put results/ on another disk (a link will do), free some space, or write less: {saved}"
