"""Check whether a run fits on the disk: required, existing and free space, and possible savings.

Before Jittor is compiled, the networks cannot be counted: Snakemake then checks without their weights when it starts,
and the job `doctor`, which compiles Jittor, repeats the check with them, before anything is trained.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.config.schema import Config
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError
from shanshui.pipeline.disk_estimate import Part, count_images, estimate
from shanshui.pipeline.finding import Finding, asked
from shanshui.pipeline.network_counts import find_counts
from shanshui.pipeline.retention import STATES, read_removed
from shanshui.storage.files import read_json, write_json

UNKNOWN = "unknown"
PLAN = f"{STATES}/plan.json"  # in a run's folder
CHOOSING = {"select_checkpoints", "select_model", "select_seed"}
AFTER_CHOICES = {"merge", "generate", "infer", "score", "compress", "fuse"}  # not planned before the choices are made


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
    rows = [
        (p.name, str(p.count), *(UNKNOWN if p.each is None else gigabytes(n) for n in (p.each or 0, p.most, p.final)))
        for p in parts
    ]
    most, final = sum(p.most for p in parts), sum(p.final for p in parts)
    rows = [
        ("", "files", "each", "at most", "in the end"), *rows,
        (f"in all{'' if complete(parts) else ', what is known'}", "", "", gigabytes(most), gigabytes(final)),
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        row[0].ljust(widths[0]) + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def complete(parts: Sequence[Part]) -> bool:
    """Return whether the sizes of all parts are known."""
    return all(part.each is not None for part in parts)


def sentence(config: Config, folder: Path, parts: Sequence[Part], free: int) -> str:
    """Return one line with the largest and final size of the run, its existing files, and the free space."""
    most, final = sum(p.most for p in parts), sum(p.final for p in parts)
    there = sum(there_already(folder, parts).values())
    beside = "" if complete(parts) else " besides weights and training states"
    return (
        f"{config.run} takes about {gigabytes(most)} at most and {gigabytes(final)} in the end{beside}; "
        f"{gigabytes(there)} there, {gigabytes(free)} free"
    )


def free_at(folder: Path) -> int:
    """Return the free bytes of the disk that holds, or will hold, `folder`."""
    present = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(present).free


def check(config: Config, folder: Path, counts: NetworkCounts | None, rules: Collection[str] | None = None) -> str:
    """Check that the run, or its planned `rules`, fits on the disk; return the text of `sentence`.

    Without `counts` of the networks, weights and training states are not included.

    Raises:
        ShanshuiError: it does not fit; the message says how to reduce what is needed.
    """
    parts = estimate(config, count_images(config), counts)
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


def examine(config: Config, counts: NetworkCounts | str, rules: Collection[str] | None = None) -> Finding:
    """Check as `check` does; report why weights are not included where `counts` is a reason instead of numbers."""
    known = None if isinstance(counts, str) else counts
    found = asked("disk: the run", lambda: check(config, Path("results") / config.run, known, rules))
    if found.state != "ok" or not isinstance(counts, str):
        return found
    text = f"{found.text}; those are not counted: {counts}"
    return Finding(found.name, "note", text, "nothing: the job `doctor` compiles Jittor, counts them and checks again")


def remember_plan(config: Config, rules: Collection[str]) -> None:
    """Write what `examine_plan` reads: the configuration and the planned rules of a run that starts."""
    plan = {"config": config.model_dump(mode="json"), "rules": sorted(rules)}
    write_json(Path("results") / config.run / PLAN, plan)


def planned_config(file: Path) -> Config:
    """Return the configuration of a run that has started."""
    return validate(read_json(file)["config"], str(file), given={})


def examine_plan(file: Path) -> Finding:
    """Check the disk for a run that has started, now that its networks can be counted."""
    config = planned_config(file)
    return examine(config, find_counts(config), read_json(file)["rules"])


def advice(config: Config, parts: Sequence[Part]) -> str:
    """Return ways to reduce the required space, with the amounts."""
    size = {part.name: part.most for part in parts}
    each = {part.name: part.each for part in parts}
    ways: Mapping[str, float] = {
        "each epoch less between score.first and score.last": each["fine-tuned weights"] or 0.0,
        "finetune.ema: 0": size.get("moving average of the last", 0.0),
        "each seed less in infer.seeds": each["images of noise seeds"] or 0.0,
    }
    saved = ", ".join(f"{way} saves {gigabytes(bytes_)}" for way, bytes_ in ways.items() if bytes_)
    return f"put results/ on another disk (a link will do), free some space, or write less: {saved}"
