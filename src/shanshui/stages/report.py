"""Write the HTML report of a run, and the strip of images for the README.

python -m shanshui report --settings settings.json --run-folder results/demo --images infer/best
    --holdout holdout.csv --test test.csv --table fid_table.csv --manifest submission.json
    --choices select/checkpoints.json select/model.json select/seed.json --out report.html --strip strip.png

Parts whose files are not given or not there are said to be missing. Nothing is loaded from the network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.config.settings import LABELS, SIZE, choice_settings, recorded_options, validate_recorded
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import ImageSettings, ReportSettings, read_checked
from shanshui.storage.files import read_csv, read_json, write_text
from shanshui.storage.images import read_photo, write_image
from shanshui.storage.outputs import add_file

if TYPE_CHECKING:
    from shanshui.config.schema import Config
    from shanshui.report.page import Page, Sample

FRAMES = 8
FRAME_LINES = 3
STRIP_COLUMNS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    add = parser.add_argument
    add("--settings", required=True, type=Path, help="settings file of this stage")
    add("--run-folder", required=True, type=Path, help="run folder with samples/, benchmarks/, stats.jsonl")
    add("--images", required=True, type=Path, help="the chosen model's images, in holdout/ and test/")
    add("--holdout", required=True, type=Path, help="CSV of the held-out pairs (name, image, label)")
    add("--test", required=True, type=Path, help="CSV of the test label maps, shown where nothing is held out")
    add("--table", required=True, type=Path, help="table of scores (CSV)")
    add("--score", type=Path, help="score of the chosen model and seed (JSON): accuracy per class")
    add("--choices", required=True, nargs=3, type=Path, help="rankings of checkpoints, of models, of seeds")
    add("--manifest", required=True, type=Path, help="manifest of the submission")
    add("--classes", type=Path, help="class statistics (CSV) of the stage `validate`")
    add("--validation", type=Path, help="report of the stage `validate` (JSON)")
    add("--fused", type=Path, help="log of the stage `fuse`")
    add("--fused-score", type=Path, help="score of the submission after the fusion (JSON)")
    add("--sheet", type=Path, help="contact sheet of the submission")
    add("--students", nargs=2, type=Path, help="comparison of the students (JSON) and its strip of images (PNG)")
    add("--doctor", type=Path, help="output of the stage `doctor` (JSON)")
    add_file(parser, "--out", required=True, help="the report (HTML)")
    add_file(parser, "--strip", ".png", required=True, help="label maps, generated images, photographs (PNG)")


def _write_strip(path: Path, samples: list[Sample]) -> None:
    from shanshui.report.sheet import evenly_spaced, strip

    shown = evenly_spaced(samples, STRIP_COLUMNS)
    lines = [("label map", [s.label for s in shown]), ("ours", [s.ours for s in shown])]
    photos = [s.photo for s in shown if s.photo is not None]
    write_image(path, strip([*lines, *([("photograph", photos)] if photos else [])]))


def _given(page: Page, part: str, what: str, path: Path | None) -> Path | None:
    """Return `path` if it exists; otherwise the page says why the part is missing."""
    if path is not None and path.exists():
        return path
    page.missing[part] = f"{path} does not exist" if path else f"no {what} was given"
    return None


def _add_optional(page: Page, args: argparse.Namespace, classes: list[str]) -> None:
    """Add the results of validation, fusion, doctor and Snakemake, if present."""
    from shanshui.report import readers

    if path := _given(page, "classes", "class statistics", args.classes):
        page.classes = readers.read_classes(path, classes)
    if args.score:
        page.found = readers.read_found(args.score)
    if path := _given(page, "validation", "report of the validation", args.validation):
        page.validation = read_json(path)
    if path := _given(page, "fusion", "log of the fusion", args.fused):
        page.fusion = read_json(path)
    if args.score and args.fused_score:
        page.fused_values = readers.read_with_and_without(args.score, args.fused_score)
    if path := _given(page, "sheet", "contact sheet", args.sheet):
        page.sheet = read_photo(path)
    if args.students:
        page.students, page.students_strip = read_json(args.students[0]), read_photo(args.students[1])
    if path := _given(page, "machine", "diagnosis of the machine", args.doctor):
        page.machine = read_json(path)


def read_signs(folder: Path) -> list[str]:
    """Read the warning signs of each training's last epoch, with the folder of its `stats.jsonl`."""
    from shanshui.report.readers import read_stats
    from shanshui.training.warning_signs import signs

    trainings = sorted(path.parent for path in folder.rglob("stats.jsonl"))
    return [f"{at.relative_to(folder).as_posix()}: {sign}" for at in trainings for sign in signs(read_stats(at))]


def _add_training(page: Page, folder: Path, holdout: Path, config: Config) -> None:
    """Add sample images over epochs, losses, time per stage and a summary."""
    from shanshui.report import curves, plotting, readers
    from shanshui.report.time_plot import described, time_plot
    from shanshui.report.wording import training_text
    from shanshui.training.samples import read_samples

    stats = readers.read_stats(folder)
    page.training = training_text(stats)
    page.signs = read_signs(folder)
    data = ImageSettings(**config.data.model_dump(include=LABELS | SIZE))
    film = readers.read_frames(folder, read_samples(holdout, data), stats, FRAMES, FRAME_LINES)
    page.frames, page.frame_labels, page.frame_photos = film
    if curves.loss_names(stats):
        page.losses = plotting.to_svg(curves.loss_curves(stats))
    page.times = readers.read_benchmarks(folder / "benchmarks")
    if page.times:
        page.times_plot, page.times_text = plotting.to_svg(time_plot(page.times)), described(page.times)
    page.missing["frames"] = f"no images of the hold-out (samples/*/epoch_*/*.jpg) under {folder}"
    page.missing["losses"] = f"no losses (stats.jsonl) under {folder}"
    page.missing["times"] = f"no benchmark file (*.tsv) under {folder}/benchmarks"


def run(args: argparse.Namespace) -> None:
    """Write the report and the strip of images."""
    from shanshui.report import curves, plotting, readers
    from shanshui.report.page import Page, render
    from shanshui.report.tables import read_rows

    settings = read_checked(ReportSettings, args.settings)
    config = validate_recorded(settings.config, str(args.settings))
    part = "holdout" if read_csv(args.holdout) else "test"
    samples, legend = readers.read_samples(getattr(args, part), args.images / part, config.data, settings.samples)
    rows = read_rows(read_csv(args.table))
    metric, on = settings.rank_by, settings.on
    checkpoints, model, seed = (read_json(path) for path in args.choices)
    page = Page(
        run=settings.run, rank_by=metric, on=on, manifest=read_json(args.manifest), rows=rows,
        checkpoints=checkpoints, model=model, seed=seed, config=config, samples=samples, legend=legend,
        curve=plotting.to_svg(curves.score_curve(rows, metric, on)),
    )  # fmt: skip
    _add_training(page, args.run_folder, args.holdout, config)
    _add_optional(page, args, config.data.classes)
    _write_strip(args.strip, samples)
    write_text(args.out, render(page))
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB in one file", file=sys.stderr)


STAGE = Stage(
    after="package",
    settings=lambda c: {**c.report.model_dump(), **choice_settings(c), "run": c.run, "config": recorded_options(c)},
    section="report",
    outputs=lambda run_paths: ["report.html"],
)
