"""Jobs as the screen knows them: how far a running one is, what a finished one warned of, why one failed."""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shanshui.architectures.schedule import schedule
from shanshui.config.schema import Config
from shanshui.pipeline.job_results import last_stats, subject
from shanshui.pipeline.run_reader import read_progress

TAIL_LINES = 20
WARNING = "warning: "
BAR = re.compile(r"\d%\|")  # of a progress bar
COMPILING = "compiling "  # begins the progress lines of `doctor`


@dataclass
class Job:
    """A job of Snakemake.

    Attributes:
        rule: its rule.
        wildcards: by name.
        logs: its log files.
        start: seconds since the epoch.
        command: of the shell.
        seconds: it took, once it has finished.
    """

    rule: str
    wildcards: Mapping[str, str]
    logs: tuple[str, ...]
    start: float
    command: str
    seconds: float = 0.0


def clock(seconds: float) -> str:
    """Format seconds as 2:03 or 1:02:03."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def as_seconds(text: str) -> float:
    """Read 1:02:03 or 02:03."""
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part or 0)
    return float(total)


def progress_words(job: Job, run: Path, config: Config, now: float) -> tuple[str, float | None]:
    """Describe how far a running job is.

    Returns:
        Words such as `64x48, epoch 3 of 4, 45 %`, and the seconds left by the job's own report, None without one.
    """
    words, left = [subject(job.rule, job.wildcards)], None
    if job.rule.startswith(("pretrain", "finetune")):
        folder, last = _training(job, config)
        epoch = int(last_stats(run / folder / "stats.jsonl").get("epoch", 0))
        place = [subject(job.rule, job.wildcards)] if job.rule == "pretrain" else []
        words = [*place, f"epoch {min(last, max(epoch + 1, _first_epoch(job, config)))} of {last}"]
    if job.rule == "doctor":
        words = [line for log in job.logs for line in log_lines(Path(log)) if line.startswith(COMPILING)][-1:]
    with contextlib.suppress(OSError):
        if job.logs and (progress := read_progress(Path(job.logs[0]), now)):
            words.append(f"{progress.percent} %")
            left = max(0.0, as_seconds(progress.left) - max(0.0, progress.age))
    return ", ".join(word for word in words if word), left


def _training(job: Job, config: Config) -> tuple[str, int]:
    """Return the folder of a training's `stats.jsonl`, below the run's, and the last epoch of its phase."""
    if job.rule != "pretrain":
        return "finetune", config.score.last
    resolution = job.wildcards.get("resolution", "")
    return f"pretrain/{resolution}", config.pretrain.epochs if not resolution else _epochs(resolution, config)[1]


def _first_epoch(job: Job, config: Config) -> int:
    """Return the first epoch of a training's phase or resolution."""
    return _epochs(job.wildcards["resolution"], config)[0] if job.rule == "pretrain" else config.pretrain.epochs + 1


def _epochs(resolution: str, config: Config) -> tuple[int, int]:
    """Return first and last epoch of a resolution, as in file names (`064x048`)."""
    for stage in schedule(config.pretrain.epochs, config.model.sizes).stages():
        if f"{config.data.size.divided(stage.divisor):03d}" == resolution:
            return stage.first_epoch, stage.last_epoch
    return 1, config.pretrain.epochs


def log_lines(file: Path) -> list[str]:
    """Return the lines of a log as they were left on the screen: the last state of lines that were rewritten."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]


def warnings_in(logs: Sequence[str]) -> Iterator[str]:
    """Yield the warnings in the logs of a finished job, without the word."""
    for log in logs:
        for line in log_lines(Path(log)):
            if line.startswith(WARNING):
                yield line.removeprefix(WARNING)


def failure(job: Job, logs: Sequence[str], command: str) -> str:
    """Describe a failed job: the end of its log, its command, and what to do."""
    about = subject(job.rule, job.wildcards)
    parts = [f"failed: {job.rule}" + (f" ({about})" if about else "")]
    for log in logs:
        lines = [line for line in log_lines(Path(log)) if line and not BAR.search(line)]
        tail = lines[-TAIL_LINES:]
        more = f", its last {TAIL_LINES} lines" if len(lines) > len(tail) else ""
        parts.append(f"  log {log}{more}:" if tail else f"  log {log}: empty or missing")
        parts.append(textwrap.indent("\n".join(tail), "    "))
    if command:
        parts += ["  its command, to be repeated by hand:", textwrap.indent(command.strip(), "    ")]
    return "\n".join(part for part in parts if part)
