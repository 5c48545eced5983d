"""Read the progress of a run from its files, while Snakemake may be writing."""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.config.schema import Config
from shanshui.config.settings import validate_recorded
from shanshui.errors import ShanshuiError
from shanshui.logs import StatsLine
from shanshui.pipeline.retention import read_removed
from shanshui.pipeline.run_paths import RunPaths
from shanshui.pipeline.snakemake_lock import STATE, is_locked
from shanshui.report.readers import read_stats
from shanshui.storage.files import read_json

if TYPE_CHECKING:
    from shanshui.evaluation.selection import Ranking

TAIL = 4096  # bytes at the end of a log in which the last progress is looked for
PROGRESS = re.compile(r"(\d+)%\|[^|]*\|\s*\S+/\S+ \[[^<\]]*<([\d:]+)")


@dataclass(frozen=True)
class Progress:
    """The last progress in a job's log: percent, time left ("1:02:03"), and seconds since the log changed."""

    percent: int
    left: str
    age: float


@dataclass(frozen=True)
class RunState:
    """State of a run. Paths are relative to the run's folder, with `/`.

    Attributes:
        folder: of the run.
        config: configuration of the run.
        paths: files and folders that exist, or were removed once they were no longer needed.
        busy: outputs that a job has begun and not finished.
        alive: a Snakemake is executing in the working folder.
        stats: lines of each `stats.jsonl`, by its folder.
        progress: by name of the log, without `.log`.
        choices: content of `select/<name>.json`, by name.
        size: bytes of the run.
        free: free bytes of its disk.
    """

    folder: Path
    config: Config
    paths: frozenset[str]
    busy: frozenset[str]
    alive: bool
    stats: dict[str, list[StatsLine]] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    choices: dict[str, Ranking] = field(default_factory=dict)
    size: int = 0
    free: int = 0


def read_config(folder: Path) -> Config:
    """Read the configuration of a run from the settings of its report.

    Raises:
        ShanshuiError: the run has no settings yet.
    """
    file = folder / "settings" / "report.json"
    if not file.exists():
        raise ShanshuiError(f"{file} does not exist (yet)", "settings, written when Snakemake starts", "look again")
    settings = read_json(file)
    return validate_recorded(settings.get("config") if isinstance(settings, dict) else None, str(file))


def begun_outputs(state: Path) -> list[str]:
    """Return the outputs that Snakemake has marked as begun: paths encoded in the names of its notes."""
    found = []
    for folder, _, names in os.walk(state / "incomplete"):
        parents = Path(folder).relative_to(state / "incomplete").parts
        for name in names:
            code = "".join(part.removeprefix("@") for part in (*parents, name))
            try:
                found.append(base64.urlsafe_b64decode(code).decode("utf-8"))
            except (binascii.Error, UnicodeDecodeError):
                continue  # Snakemake's note of a migration
    return found


def read_progress(log: Path, now: float) -> Progress | None:
    """Read the last progress in a log; None if there is none."""
    with open(log, "rb") as handle:
        handle.seek(max(0, log.stat().st_size - TAIL))
        text = handle.read().decode("utf-8", errors="replace")
    found = PROGRESS.findall(text)
    return Progress(int(found[-1][0]), found[-1][1], now - log.stat().st_mtime) if found else None


def choice_names(config: Config) -> list[str]:
    """Return the names of a run's choices in their order."""
    return ["checkpoints", *(f"soup_{tried}" for tried in RunPaths(config).soups()), "model", "seed"]


def read_run(folder: Path) -> RunState:
    """Read the state of a run.

    Raises:
        ShanshuiError: it has no settings.
    """
    config = read_config(folder)
    work = folder.absolute().parent.parent
    paths, size = set(), 0
    for place, folders, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        paths |= {(inside / name).as_posix() for name in [*folders, *names]}
        for name in names:
            try:
                size += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue  # temporary, and gone by now
    paths |= read_removed(folder).keys()
    prefix = f"{folder.absolute().relative_to(work).as_posix()}/"
    begun = begun_outputs(work / STATE)
    stats = [folder / path for path in paths if path.endswith("stats.jsonl")]
    logs = {log.stem: read_progress(log, time.time()) for log in (folder / "logs").glob("*.log")}
    return RunState(
        folder,
        config,
        frozenset(paths),
        frozenset(path.removeprefix(prefix) for path in begun if path.startswith(prefix)),
        is_locked(work / STATE),
        {file.parent.relative_to(folder).as_posix(): read_stats(file.parent) for file in stats},
        {name: progress for name, progress in logs.items() if progress},
        {name: read_json(folder / "select" / f"{name}.json") for name in choice_names(config)
         if f"select/{name}.json" in paths},
        size,
        shutil.disk_usage(folder).free,
    )  # fmt: skip
