"""The style of all plots, and their output: PNG for documents, SVG in the page's colours."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.storage.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


INK = "#2b2b28"
PAPER = "#fbf8f1"
TEAL = "#2f7d8c"
OCHRE = "#b98a2e"
CINNABAR = "#c8432b"
SET_COLOURS = {"holdout": TEAL, "test": OCHRE, "train": INK}


def new_figure(width: float, height: float) -> Figure:
    """Create a matplotlib Figure (width and height in inches) that needs no display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    return figure


def quiet_axes(axes: Axes, grid: bool = True) -> None:
    """Style axes: open frame, small ticks, faint horizontal lines where `grid`."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
        axes.spines[side].set_alpha(0.45)
    axes.tick_params(colors=INK, labelsize=8.5, length=3, width=0.6)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.set_axisbelow(True)
    axes.patch.set_alpha(0)
    if grid:
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)


def save_png(figure: Figure, path: str | Path, dpi: int = 160) -> None:
    """Write the figure as PNG; equal figures give equal bytes."""
    with atomic(path) as staged:
        figure.savefig(staged, format="png", dpi=dpi, facecolor=PAPER, metadata={"Software": None})


def to_svg(figure: Figure) -> str:
    """Return the figure as an inline SVG element: text stays text, ink becomes the page's text colour."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "shanshui"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'^(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", text)
    text = re.sub(r' id="[a-zA-Z]+(?:2d)?_\d+"', "", text)
    return text.replace(INK, "currentColor")
