"""Plots of a metric over epochs together with averages and seeds, and of the losses of training."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shanshui.evaluation.selection import SETS
from shanshui.logs import StatsLine
from shanshui.report.plotting import CINNABAR, INK, OCHRE, SET_COLOURS, TEAL, new_figure, quiet_axes
from shanshui.report.tables import Row
from shanshui.report.wording import SET_NAMES, metric_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RING: dict[str, Any] = {"s": 110, "facecolors": "none", "edgecolors": CINNABAR, "linewidths": 1.8, "zorder": 4}
DOTS = (0, (1, 2))
STATS_KEYS = frozenset({"epoch", "step", "phase", "resolution", "img_per_s", "seconds"})


def _points(rows: Sequence[Row], column: str) -> list[tuple[int, Row]]:
    return [(index, row) for index, row in enumerate(rows) if row.get(column, "") != ""]


def _plot_set(
    axes: Axes, xs: Sequence[float], rows: Sequence[Row], part: str, metric: str, on: str, line: bool
) -> None:
    """Plot one set's values; the set used for ranking is drawn stronger, and its chosen ones are ringed."""
    column = f"{part}_{metric}"
    points = _points(rows, column)
    if not points:
        return
    decides = part == on
    x, y = [xs[i] for i, _ in points], [row[column] for _, row in points]
    colour = SET_COLOURS[part]
    if line:
        axes.plot(x, y, color=colour, linewidth=2 if decides else 1.3, alpha=1 if decides else 0.75, zorder=2)
    axes.scatter(x, y, s=26 if decides else 15, color=colour, alpha=1 if decides else 0.75, linewidths=0, zorder=3)
    chosen = [(a, row[column]) for a, (_, row) in zip(x, points, strict=True) if row["chosen"] and decides]
    if chosen:
        axes.scatter([a for a, _ in chosen], [b for _, b in chosen], **RING)


def _epoch_axis(axes: Axes, epochs: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    if len(epochs) <= 12:
        axes.set_xticks(epochs)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    margin = max(0.5, 0.03 * (epochs[-1] - epochs[0]))
    axes.set_xlim(epochs[0] - margin, epochs[-1] + margin)
    axes.set_xlabel("epoch", fontsize=9)


def _stacked(model: str) -> str:
    """Write the epochs of an average one below the other; a moving average is marked EMA."""
    if model.startswith("ema_"):
        return f"EMA\n{int(model.removeprefix('ema_'))}"
    return "\n".join(str(int(epoch)) for epoch in model.split("+"))


def _averages(axes: Axes, rows: Sequence[Row], metric: str, on: str, parts: Sequence[str]) -> None:
    """Plot averages side by side; names are stacked epochs, and only the chosen are named where there are many."""
    for part in parts:
        _plot_set(axes, range(len(rows)), rows, part, metric, on, line=False)
    named = [index for index, row in enumerate(rows) if len(rows) <= 8 or row["chosen"]]
    names = [_stacked(rows[index]["model"]) for index in named]
    axes.set_xticks(named, names, fontsize=8)
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.tick_params(labelleft=False, left=False)


def _seeds(axes: Axes, rows: Sequence[Row], metric: str, on: str) -> None:
    """Plot the values of noise seeds on the set used for ranking, on a scale of its own since seeds differ little."""
    column = f"{on}_{metric}"
    points = [(0.5 * (row["seed"] * 0.618 % 1) - 0.25, row[column], row) for row in rows if row[column] != ""]
    axes.scatter(
        [x for x, _, _ in points],
        [y for _, y, _ in points],
        s=22,
        color=SET_COLOURS[on],
        alpha=0.8,
        linewidths=0,
    )
    mean = statistics.fmean(y for _, y, _ in points)
    axes.plot([-0.42, 0.42], [mean, mean], color=INK, linewidth=1, alpha=0.6)
    small: dict[str, Any] = {"fontsize": 7.5, "color": INK, "annotation_clip": False}
    axes.annotate("mean", (0.45, mean), va="center", **small)
    for x, y, row in points:
        if is_final(row):
            axes.scatter([x], [y], **RING)
            axes.annotate(
                f"seed {row['seed']}",
                (x, y),
                (0, -9),
                textcoords="offset points",
                ha="center",
                va="top",
                **small,
            )
    axes.set_xlim(-0.5, 0.8)
    axes.set_xticks([])
    axes.margins(y=0.2)


def is_final(row: Row) -> bool:
    """Return whether a line is of the model and noise seed that were packaged."""
    return "seed" in row["chosen"].split(", ")


def _legend(figure: Figure, parts: Sequence[str], on: str) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for part in parts:
        name = SET_NAMES[part] + (" (these decide)" if part == on else " (shown only)")
        handles.append(Line2D([], [], color=SET_COLOURS[part], marker="o", markersize=5, linewidth=1.6, label=name))
    ring = Line2D([], [], linestyle="none", marker="o", markersize=9, markerfacecolor="none", label="chosen")
    ring.set(markeredgecolor=CINNABAR, markeredgewidth=1.8)
    handles.append(ring)
    handles.append(Line2D([], [], color=CINNABAR, linewidth=1, linestyle=DOTS, label="the submission's model and seed"))
    legend = figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=8.5)
    for text in legend.get_texts():
        text.set_color(INK)


def score_curve(rows: Sequence[Row], rank_by: str, on: str) -> Figure:
    """Plot `rank_by` of every checkpoint over epochs, of averages and of the noise seeds.

    Args:
        rows: lines of the table of scores.
        rank_by: name of the metric.
        on: set of label maps used for ranking.

    Returns:
        A matplotlib Figure.
    """
    checkpoints = [row for row in rows if row["kind"] == "checkpoint"]
    averages = [row for row in rows if row["kind"] == "average"]
    final = next((row for row in rows if is_final(row)), None)
    seeds = list({row["seed"]: row for row in rows if final and row["model"] == final["model"]}.values())
    parts = [part for part in SETS if any(row.get(f"{part}_{rank_by}", "") != "" for row in rows)]
    panels = {"checkpoints": 6.0}
    panels |= {"averages of weights": min(3.0, max(1.2, 0.34 * len(averages)))} if averages else {}
    panels |= {"seeds (own scale)": 1.75} if len(seeds) > 1 else {}
    figure = new_figure(9.6, 4.2)
    grid = figure.subplots(1, len(panels), width_ratios=list(panels.values()), squeeze=False)[0]
    for name, axis in zip(panels, grid, strict=True):
        quiet_axes(axis)
        axis.set_title(name, fontsize=9, color=INK, loc="left")

    main, *others = grid
    epochs = [row["epoch"] for row in checkpoints]
    for part in parts:
        _plot_set(main, epochs, checkpoints, part, rank_by, on, line=True)
    _epoch_axis(main, epochs)
    main.set_ylabel(metric_title(rank_by), fontsize=9.5)
    shared = [main]
    if averages:
        shared.append(others[0])
        others[0].sharey(main)
        _averages(others[0], averages, rank_by, on, parts)
    if len(seeds) > 1:
        _seeds(others[-1], seeds, rank_by, on)
    for axis in shared:
        if final:
            axis.axhline(final[f"{on}_{rank_by}"], color=CINNABAR, linewidth=1, linestyle=DOTS, zorder=1)
    _legend(figure, parts, on)
    return figure


def loss_names(stats: Sequence[StatsLine]) -> list[str]:
    """List the names of the recorded losses: G's first, then D's, then others."""
    names = {name for line in stats for name, value in line.items() if isinstance(value, int | float)} - STATS_KEYS
    return sorted((n for n in names if "/" in n), key=lambda name: ("GD".find(name[0]) % 3, name))


def loss_curves(stats: Sequence[StatsLine]) -> Figure:
    """Plot every loss over epochs; thin lines mark where the resolution or the phase changes.

    Args:
        stats: lines of all `stats.jsonl` in order of epochs.

    Returns:
        A matplotlib Figure with one small plot per loss.
    """
    names = loss_names(stats)
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure = new_figure(9.6, 1.75 * lines + 0.25)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
    places = [(line.get("phase"), line.get("resolution")) for line in stats]
    changes = [
        (stats[i - 1]["epoch"] + stats[i]["epoch"]) / 2 for i in range(1, len(stats)) if places[i] != places[i - 1]
    ]
    for name, axis in zip(names, grid.flat, strict=False):
        quiet_axes(axis)
        points = [(line["epoch"], line[name]) for line in stats if name in line]
        colour = {"G": TEAL, "D": OCHRE}.get(name.split("/")[0], INK)
        axis.plot(
            *zip(*points, strict=True),
            color=colour,
            linewidth=1.7,
            marker="o" if len(points) < 25 else "",
            markersize=3,
        )
        for change in changes:
            axis.axvline(change, color=INK, alpha=0.3, linewidth=0.8, linestyle=(0, (2, 3)))
        axis.set_title(name, fontsize=9.5, loc="left", color=INK)
        axis.tick_params(labelbottom=True)
    for axis in grid.flat[len(names) :]:
        axis.set_visible(False)
    for axis in grid[-1]:
        axis.set_xlabel("epoch", fontsize=9)
    return figure
