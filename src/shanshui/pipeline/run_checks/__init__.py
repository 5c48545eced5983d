"""Checks of a run before it starts, used by `snakemake` and `doctor`.

What would stop a run after hours of training stops it before its first job; omissions and limits are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from shanshui.config.schema import Config
from shanshui.config.stages import on_device
from shanshui.errors import ShanshuiError
from shanshui.pipeline import disk, student_check
from shanshui.pipeline.finding import Finding
from shanshui.pipeline.run_checks import data, machine, networks
from shanshui.pipeline.run_checks.planned_run import PlannedRun

DATA = frozenset({"prepare"})  # rules that need sound data; what `validate` finds, it says better itself
TRAINING = frozenset({"pretrain", "finetune"})
STUDENTS = frozenset({"compress"})
SCORING = frozenset({"reference", "score", "score_seed", "score_fused", "segmenter"})
ALWAYS: frozenset[str] = frozenset()

Check = Callable[[PlannedRun], Iterable[Finding]]
CHECKS: tuple[tuple[Check, frozenset[str] | Callable[[], frozenset[str]]], ...] = (
    (machine.places, ALWAYS),
    (data.data_there, DATA),
    (data.numbers, DATA | TRAINING | {"merge"}),
    (data.classes, DATA),
    (networks.networks, TRAINING),
    (machine.step, TRAINING),
    (machine.gpus, on_device),
    (machine.mpi, TRAINING),
    (networks.scores, DATA | TRAINING | SCORING),
    (lambda planned_run: student_check.examine(planned_run.config), TRAINING | STUDENTS),
    (networks.weights, TRAINING | STUDENTS | SCORING),
    (networks.segmenter, TRAINING | SCORING),
)


def examine(config: Config, rules: Collection[str] | None = None, local: bool = True) -> list[Finding]:
    """Run all checks of a run; with planned `rules`, those that concern one of them."""
    planned_run, found = PlannedRun(config, local), []
    for check, those in CHECKS:
        concerned = those() if callable(those) else those
        if rules is None or not concerned or concerned & set(rules):
            found += list(check(planned_run))
    if rules is None or rules:
        found.append(disk.examine(config, planned_run.counts, rules))
    return found


def stop_at_gaps(findings: Collection[Finding]) -> str:
    """Return the text of the notes; ShanshuiError with all gaps if there are any."""
    gaps = [finding for finding in findings if finding.state == "gap"]
    notes = [finding for finding in findings if finding.state == "note"]
    if gaps:
        text = "\n".join(finding.line() for finding in [*gaps, *notes])
        raise ShanshuiError(f"the run would fail, and has not been started:\n{text}")
    return "\n".join(finding.line() for finding in notes)
