"""Plot of the time per stage: one bar each in data-flow order, coloured by the kind of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shanshui.report.plotting import CINNABAR, INK, OCHRE, TEAL, new_figure, quiet_axes
from shanshui.report.timing import OTHER, StageTime, duration, kinds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLOURS = {"training": TEAL, "generating": OCHRE, "scoring": CINNABAR, OTHER: INK}
ALPHA = {OTHER: 0.45}


def by_kind(times: Sequence[StageTime]) -> dict[str, float]:
    """Sum the seconds of each kind of work, without those that took none, in the order of COLOURS."""
    of = kinds()
    sums = {kind: sum(t.seconds for t in times if of.get(t.name, OTHER) == kind) for kind in COLOURS}
    return {kind: seconds for kind, seconds in sums.items() if seconds}


def percent(part: float, whole: float) -> str:
    """Format a share as `42 %`, or `< 1 %`."""
    share = 100 * part / whole if whole else 0.0
    return "< 1 %" if 0 < share < 0.5 else f"{share:.0f} %"


def described(times: Sequence[StageTime]) -> str:
    """Describe the plot as text: kinds with their shares, then the longest stages."""
    total = sum(t.seconds for t in times)
    shares = ", ".join(f"{kind} {percent(seconds, total)}" for kind, seconds in by_kind(times).items())
    longest = sorted(times, key=lambda t: -t.seconds)[:3]
    stages = ", ".join(f"{t.name} {duration(t.seconds)}" for t in longest)
    return f"{duration(total)} of work{': ' if shares else ''}{shares}. The longest stages: {stages}."


def time_plot(times: Sequence[StageTime]) -> Figure:
    """Plot the seconds of every stage, with time and share next to the bar; first stage on top.

    Returns:
        A matplotlib Figure.
    """
    from matplotlib.patches import Patch

    total = sum(t.seconds for t in times)
    figure = new_figure(9.6, 0.8 + 0.27 * len(times))
    axes, of = figure.subplots(), kinds()
    quiet_axes(axes, grid=False)
    for line, t in enumerate(times):
        kind = of.get(t.name, OTHER)
        axes.barh(line, t.seconds, height=0.62, color=COLOURS[kind], alpha=ALPHA.get(kind, 1), linewidth=0)
        text = f"{duration(t.seconds)}, {percent(t.seconds, total)}"
        axes.annotate(text, (t.seconds, line), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK)
    axes.set_yticks(range(len(times)), [t.name for t in times])
    axes.set_ylim(len(times) - 0.4, -0.6)
    axes.set_xlim(0, 1.22 * max((t.seconds for t in times), default=1.0) or 1.0)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.tick_params(axis="y", length=0)
    handles = [
        Patch(color=COLOURS[kind], alpha=ALPHA.get(kind, 1), label=f"{kind} {percent(seconds, total)}")
        for kind, seconds in by_kind(times).items()
    ]
    legend = figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=8.5)
    for entry in legend.get_texts():
        entry.set_color(INK)
    return figure
