"""Comparison of several runs: scores over epochs in one figure, and a table of their submissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shanshui.errors import UsageError
from shanshui.report.curves import is_final
from shanshui.report.plotting import CINNABAR, INK, OCHRE, TEAL, new_figure, quiet_axes
from shanshui.report.tables import Row, measured
from shanshui.report.timing import StageTime, duration
from shanshui.report.wording import NOT_MEASURED, metric_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLOURS = (TEAL, CINNABAR, OCHRE, "#5b4a8a", INK)
STYLES = ("-", (0, (4, 2)), (0, (1, 1.5)))


def groups_of(runs: Sequence[str]) -> list[str]:
    """Return the colour group of each run: its name without the last part, so `a-1` and `a-2` look alike."""
    return [run.rpartition("-")[0] or run for run in runs]


def comparison_curves(rows: Mapping[str, Sequence[Row]], part: str, metrics: Sequence[str]) -> Figure:
    """Plot scores over epochs: one panel per metric, one line per run over its checkpoints.

    Args:
        rows: lines of the table of scores by run.
        part: set whose scores are shown, "holdout" or "test".
        metrics: names of metrics that all runs have been scored with.

    Returns:
        A matplotlib Figure.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(4.6 * len(metrics), 3.6)
    groups = list(dict.fromkeys(groups_of(list(rows))))
    seen: dict[str, int] = dict.fromkeys(groups, 0)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for run, group in zip(rows, groups_of(list(rows)), strict=True):
        colour = COLOURS[groups.index(group) % len(COLOURS)]
        style = STYLES[seen[group] % len(STYLES)]
        seen[group] += 1
        points = [row for row in rows[run] if row["kind"] == "checkpoint"]
        for metric, axis in zip(metrics, panels, strict=True):
            known = [(row["epoch"], row[f"{part}_{metric}"]) for row in points if row[f"{part}_{metric}"] != ""]
            epochs, values = [epoch for epoch, _ in known], [value for _, value in known]
            axis.plot(epochs, values, color=colour, linestyle=style, marker="o",
                      markersize=3, linewidth=1.8, label=run)  # fmt: skip
    for metric, axis in zip(metrics, panels, strict=True):
        quiet_axes(axis)
        axis.set_title(metric_title(metric), fontsize=9.5, loc="left", color=INK)
        axis.set_xlabel("epoch", fontsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].legend(frameon=False, fontsize=8.5, handlelength=3.5)
    return figure


def comparison_table(
    rows: Mapping[str, Sequence[Row]], facts: Mapping[str, Mapping[str, object]], part: str, metrics: Sequence[str]
) -> list[dict[str, object]]:
    """Build a line per run: its `facts`, and the submitted model with its scores on one set, in the order of `rows`.

    Args:
        rows: lines of the table of scores by run.
        facts: further cells by run.
        part: set whose scores are shown, "holdout" or "test".
        metrics: names of metrics that all runs have been scored with.
    """
    finals = {run: submitted(lines) for run, lines in rows.items()}
    return [
        {"run": run, **facts[run], "model": final["model"], "noise seed": final["seed"]}
        | {m: NOT_MEASURED if final[f"{part}_{m}"] == "" else final[f"{part}_{m}"] for m in metrics}
        for run, final in finals.items()
    ]


def check_alike(rows: Mapping[str, Sequence[Row]], part: str, metrics: Sequence[str]) -> None:
    """Check that the runs' submissions were scored in the same way and on the same number of images.

    Raises:
        UsageError: where they were not.
    """
    first, *others = [(run, submitted(lines)) for run, lines in rows.items()]
    for run, row in others:
        for metric in metrics:
            mine, theirs = measured(row).get(metric), measured(first[1]).get(metric)
            if mine != theirs:
                raise UsageError(
                    f"{metric} of {run} and {first[0]} was measured in different ways:\n    {mine}\n    {theirs}",
                    "one way, such as one segmenter for all (segmenter.weights)",
                )
        if row.get(f"{part}_n") != first[1].get(f"{part}_n"):
            raise UsageError(
                f"{run} and {first[0]} were scored on {row.get(f'{part}_n')} and {first[1].get(f'{part}_n')} images",
                "the same label maps in all runs",
            )


def training_time(times: Sequence[StageTime]) -> dict[str, str]:
    """Format wall time and CPU time of pretraining and fine-tuning together; a dash where nothing was measured."""
    training = [time for time in times if time.name in ("pretrain", "finetune")]
    sums = {
        "training": sum(time.seconds for time in training),
        "CPU time": sum(time.processor for time in training),
    }
    return {name: duration(seconds) if seconds else "-" for name, seconds in sums.items()}


def comparison_page(table: str, part: str) -> str:
    """Write the Markdown page that stands next to strip.png and curves.png."""
    return f"""# Comparison of runs

Scores of each run's submission, on the {part} set. Training is the wall time and CPU time the CPU time of both phases;
parameters are those of generator and encoder.

{table}

![label maps, and what each run makes of them](strip.png)

![scores over the epochs of fine-tuning](curves.png)
"""


def submitted(rows: Sequence[Row]) -> Row:
    """Return the line of the model and noise seed that were packaged."""
    return next(row for row in rows if is_final(row))
