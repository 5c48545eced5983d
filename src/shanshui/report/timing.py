"""Time per stage, from Snakemake's benchmark files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shanshui.config.stages import rules, stages

OTHER = "other"


def kinds() -> dict[str, str]:
    """Return the kind of work by rule, in data-flow order."""
    records = stages()
    return {rule: kind for rule, stage in rules().items() if (kind := records[stage].report_as)}


@dataclass
class StageTime:
    """Jobs of one rule: number, wall time and CPU time in seconds, peak memory of one job (MiB)."""

    name: str
    jobs: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    max_rss: float = 0.0


def _rule(path: str, known: Sequence[str]) -> str:
    """Return the rule of `<rule>.tsv`, `<rule>/<job>.tsv` or `<rule>_<job>.tsv`."""
    first = re.sub(r"\.tsv$", "", path).split("/")[0]
    fitting = [rule for rule in known if first == rule or first.startswith((f"{rule}_", f"{rule}.", f"{rule}-"))]
    return max(fitting, key=len, default=first)


def _float(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0  # Snakemake writes "-" or "NA" for jobs too short to be measured


def stage_times(files: Iterable[tuple[str, Sequence[Mapping[str, str]]]], rules: Sequence[str]) -> list[StageTime]:
    """Sum the benchmarks of each rule, in the order of `rules`, unknown names last.

    Args:
        files: (path below the benchmark folder, its lines).
        rules: known names.
    """
    times: dict[str, StageTime] = {}
    for path, lines in files:
        name = _rule(path, rules)
        entry = times.setdefault(name, StageTime(name))
        entry.jobs += 1
        entry.seconds += sum(_float(line.get("s")) for line in lines) / max(len(lines), 1)
        entry.processor += sum(_float(line.get("cpu_time")) for line in lines) / max(len(lines), 1)
        entry.max_rss = max([entry.max_rss, *(_float(line.get("max_rss")) for line in lines)])
    order = {rule: index for index, rule in enumerate(rules)}
    return sorted(times.values(), key=lambda entry: (order.get(entry.name, len(order)), entry.name))


def duration(seconds: float) -> str:
    """Format a time as `4.2 s`, `42 s`, `3 min 05 s` or `2 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
