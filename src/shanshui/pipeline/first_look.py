"""A page with the results of a run so far: samples, curves, choices, stages. It refreshes itself in a browser.

`results/<run>/progress.html` is not declared to Snakemake and nothing reads it. It links to the sample images instead
of containing them and draws its curves as SVG, so writing it takes milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from shanshui.logs import StatsLine
from shanshui.pipeline import status
from shanshui.pipeline.job_results import newest_samples, score_points
from shanshui.pipeline.run_reader import RunState, read_run
from shanshui.report.wording import metric_title, model_name, number
from shanshui.storage.files import write_text

PAGE, REPORT = "progress.html", "report.html"
TEMPLATE = "first_look.html.j2"
EVERY = 20  # seconds between two looks of the browser
GRIDS = 3  # sample grids shown, the newest first
WIDTH, HEIGHT, MARGIN = 480, 120, 6  # of a curve, in pixels
LOSSES = ("G/", "D/")
PHASES = ("pretrain", "finetune")


@dataclass(frozen=True)
class Curve:
    """A curve: its title, the points of the SVG polyline, and what its ends are."""

    title: str
    points: str
    first: str
    last: str
    low: str
    high: str


def curve(title: str, xs: Sequence[float], ys: Sequence[float]) -> Curve:
    """Scale at least one point to the size of a curve."""
    left, width = min(xs), (max(xs) - min(xs)) or 1.0
    low, height = min(ys), (max(ys) - min(ys)) or 1.0
    placed = [
        (
            MARGIN + (x - left) / width * (WIDTH - 2 * MARGIN),
            HEIGHT - MARGIN - (y - low) / height * (HEIGHT - 2 * MARGIN),
        )
        for x, y in zip(xs, ys, strict=True)
    ]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    return Curve(title, points, f"{min(xs):g}", f"{max(xs):g}", number(low), number(max(ys)))


def loss_curves(stats: Mapping[str, Sequence[StatsLine]]) -> list[Curve]:
    """Return a curve of every loss over the epochs of all trainings."""
    phases = [of for folder, of in stats.items() if folder.startswith(PHASES)]
    lines = sorted((line for of in phases for line in of if "epoch" in line), key=lambda line: line["epoch"])
    names = dict.fromkeys(name for line in lines for name in line if name.startswith(LOSSES))
    found = []
    for name in sorted(names, key=lambda name: (name[0] != "G", name)):
        points = [
            (float(line["epoch"]), float(line[name])) for line in lines if isinstance(line.get(name), int | float)
        ]
        found.append(curve(name, *map(list, zip(*points, strict=True))))
    return found


def render(state: RunState, now: float) -> str:
    """Write the page of a run in the given state.

    Args:
        state: of the run.
        now: seconds since the epoch, shown as the time of the page.
    """
    import jinja2

    table = status.rows(state)
    ended = not state.alive and (state.folder / REPORT).is_file() and all(row.state == "done" for row in table)
    by = state.config.score.rank_by
    points = score_points(state.folder, state.config)
    scored = [curve(metric_title(by), *map(list, zip(*points, strict=True)))] if points else []
    samples = [] if ended else newest_samples(state.folder, GRIDS)
    source = resources.files("shanshui.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    return template.render(
        run=state.config.run, ended=ended, alive=state.alive, report=REPORT, every=EVERY,
        when="" if ended else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)),
        samples=[(file.relative_to(state.folder).as_posix(), int(file.stat().st_mtime),
                  model_name(file.stem), file.parent.name) for file in samples],
        curves=[] if ended else [*scored, *loss_curves(state.stats)],
        width=WIDTH, height=HEIGHT, rows=[] if ended else table,
        warnings=status.warning_lines(state), chosen=status.chosen(state),
    )  # fmt: skip


def write_page(folder: Path) -> Path:
    """Write `progress.html` of a run in place, and return its path; once the report is there, it leads to that.

    Raises:
        ShanshuiError: the run has no settings yet.
    """
    write_text(folder / PAGE, render(read_run(folder), time.time()))
    return folder / PAGE
