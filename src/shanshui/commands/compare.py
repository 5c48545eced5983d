"""Compare finished runs on one page: table of the submissions, images of the same label maps, curves.

python -m shanshui compare results/a results/b --out comparison/ [--set test]

Runs whose names differ in their last part only, such as `winner-1` and `winner-2`, get one colour. The test
label maps are the same in all runs; hold-outs are not when their seeds differ.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from shanshui.config.settings import validate_recorded
from shanshui.config.typed_settings import ReportSettings, read_checked
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.files import read_csv, write_text
from shanshui.storage.images import write_image
from shanshui.storage.outputs import add_shared_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from shanshui.config.schema import Config
    from shanshui.report.tables import Row

COLUMNS = 6
WRITTEN = ("curves.png", "strip.png", "comparison.md")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of finished runs")
    add_shared_folder(
        parser, "--out", *WRITTEN, required=True, help="folder for comparison.md, strip.png and curves.png"
    )
    parser.add_argument("--set", choices=("test", "holdout"), default="test", help="images and scores of which set")


@dataclass(frozen=True)
class FinishedRun:
    """What is compared of a finished run.

    Attributes:
        name: of the run.
        facts: numbers of the table other than scores, by their headings.
        lists: folder of its lists of label maps.
        images: folder of the submitted images, by set.
        config: its configuration.
        rows: its table of scores.
    """

    name: str
    facts: dict[str, object]
    lists: Path
    images: Path
    config: Config
    rows: list[Row]


def read_run(folder: Path) -> FinishedRun:
    """Read name, settings and table of a finished run.

    Raises:
        ShanshuiError: it is not finished.
    """
    from shanshui.pipeline.network_counts import find_counts
    from shanshui.report.comparison import submitted, training_time
    from shanshui.report.readers import read_benchmarks
    from shanshui.report.tables import read_rows

    for part in ("settings/report.json", "fid_table.csv", "infer"):
        if not (folder / part).exists():
            raise ShanshuiError(f"{folder} has no {part}", "the folder of a finished run, such as results/demo")
    settings = read_checked(ReportSettings, folder / "settings" / "report.json")
    rows = read_rows(read_csv(folder / "fid_table.csv"))
    final = submitted(rows)
    config = validate_recorded(settings.config, str(folder))
    counts = find_counts(config)
    facts: dict[str, object] = {
        "epochs": f"{config.pretrain.epochs} + {config.finetune.epochs}",
        **training_time(read_benchmarks(folder / "benchmarks")),
        "parameters (M)": "not counted" if isinstance(counts, str) else counts.finetuned / 1e6,
    }
    images = folder / "infer" / final["model"] / f"seed_{final['seed']}"
    return FinishedRun(settings.run, facts, folder / "validate", images, config, rows)


def common_metrics(runs: Sequence[FinishedRun], part: str) -> list[str]:
    """Return the metrics that every run's table has, in the order of the first one's configuration.

    Raises:
        UsageError: there is none.
    """
    shared = [m for m in runs[0].config.score.metrics if all(f"{part}_{m}" in run.rows[0] for run in runs)]
    if not shared:
        raise UsageError("the runs were scored with different metrics", "one metric in common")
    return shared


def run(args: argparse.Namespace) -> None:
    """Compare the runs: write curves.png, strip.png and comparison.md, and print the table.

    Raises:
        UsageError: runs have equal names, no metric in common, or different label maps.
    """
    from tabulate import tabulate

    from shanshui.report.comparison import check_alike, comparison_curves, comparison_page, comparison_table
    from shanshui.report.plotting import save_png
    from shanshui.report.readers import read_samples
    from shanshui.report.sheet import strip

    runs = [read_run(folder) for folder in args.runs]
    rows = {run.name: run.rows for run in runs}
    if len(rows) < len(runs):
        raise UsageError("two of these folders hold runs of the same name", "runs with names of their own")
    metrics = common_metrics(runs, args.set)
    check_alike(rows, args.set, metrics)
    samples = [
        read_samples(one.lists / f"{args.set}.csv", one.images / args.set, one.config.data, COLUMNS)[0] for one in runs
    ]
    first = samples[0]
    for one, others in zip(runs, samples, strict=True):
        if [sample.name for sample in others] != [sample.name for sample in first]:
            raise UsageError(
                f"{one.name} and {runs[0].name} have different label maps in their {args.set} set",
                "the same ones, for images of them to stand side by side",
            )
    lines: list[tuple[str, Sequence[np.ndarray]]] = [("label map", [sample.label for sample in first])]
    lines += [(one.name, [sample.ours for sample in images]) for one, images in zip(runs, samples, strict=True)]
    if first[0].photo is not None:
        lines.append(("photograph", cast("list[np.ndarray]", [sample.photo for sample in first])))
    args.out.mkdir(parents=True, exist_ok=True)
    save_png(comparison_curves(rows, args.set, metrics), args.out / "curves.png")
    write_image(args.out / "strip.png", strip(lines))
    table = comparison_table(rows, {run.name: run.facts for run in runs}, args.set, metrics)
    text = tabulate(table, headers="keys", tablefmt="github", floatfmt=".3g")
    write_text(args.out / "comparison.md", comparison_page(text, args.set))
    print(text)
