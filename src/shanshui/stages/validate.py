"""Check training pairs and test label maps; write manifests, class statistics and a report.

Stops when training on the data would be wrong (unreadable files, ids that are no class, too few pairs, ...)
and only warns of everything else. The report is always written, the manifests only when training may start.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from shanshui.config.section import NonNegative, Positive
from shanshui.config.sections import LayoutName
from shanshui.config.settings import LABELS, SIZE
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import LoadSettings, read_checked
from shanshui.data.findings import as_error
from shanshui.data.folders import Folder, look, only
from shanshui.data.instances import scan_instances
from shanshui.data.layouts import FOLDERS, INSTANCES, LAYOUTS, Layout
from shanshui.data.listing import natural_key
from shanshui.data.pairs import (
    CONTENT_COLUMN,
    INSTANCE_COLUMN,
    MANIFEST_COLUMNS,
    Pair,
    content,
    pair_files,
    read_exclusion,
)
from shanshui.data.scan import scan_label, scan_photo
from shanshui.data.scenes import is_outdoor, read_scenes
from shanshui.data.statistics import CLASS_COLUMNS, class_rows, plot_classes
from shanshui.data.survey import Requirements, Survey, examine
from shanshui.data.validation_report import collect, markdown
from shanshui.data.workers import in_threads
from shanshui.errors import ShanshuiError
from shanshui.storage.files import atomic, write_csv, write_json, write_text
from shanshui.storage.names import SHOWN_IN_MESSAGE, some
from shanshui.storage.outputs import add_file, add_shared_folder
from shanshui.storage.provenance import stamp

WRITTEN = ("report.md", "report.json", "train.csv", "holdout.csv", "test.csv", "classes.csv", "classes.png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--train-images", type=Path, required=True, metavar="DIR", help="training photographs")
    parser.add_argument("--train-labels", type=Path, required=True, metavar="DIR", help="their label maps, same stems")
    parser.add_argument(
        "--test-labels",
        type=Path,
        required=True,
        metavar="DIR",
        help="label maps to generate images from",
    )
    parser.add_argument("--train-instances", type=Path, metavar="DIR", help="instance maps of the training label maps")
    parser.add_argument("--test-instances", type=Path, metavar="DIR", help="instance maps of the test label maps")
    parser.add_argument("--scenes", type=Path, metavar="FILE", help="lines `name scene`, where a layout chooses")
    parser.add_argument(
        "--exclude", type=Path, metavar="FILE", help="file stems to leave out of training, one per line"
    )
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="settings of this stage (JSON)")
    add_shared_folder(parser, "--out", *WRITTEN, required=True, metavar="DIR", help="output folder")
    add_file(parser, "--report", metavar="FILE", help="report outside of --out, which is kept if the job fails")


class ValidateSettings(LoadSettings):
    """Settings file of this stage."""

    layout: LayoutName = "competition"
    holdout: NonNegative
    seed: int
    batch: Positive
    instances: bool = False

    @property
    def required(self) -> Requirements:
        """The same, as the checks take it."""
        return Requirements(
            layout=self.layout, classes=self.labels, size=self.size, load_size=self.load_size,
            batch=self.batch, holdout=self.holdout, seed=self.seed,
        )  # fmt: skip


def _survey(args: argparse.Namespace, required: Requirements) -> Survey:
    """Find all files and, unless a folder is empty, decode each once."""
    layout = LAYOUTS[required.layout]
    name = layout.name
    folders, unlisted = _folders(args, layout)
    files = {folder.option: folder.files or [] for folder in folders}
    train_maps, test_maps = ({name(path): path for path in files.get(option, [])} for option in INSTANCES)
    exclusion = read_exclusion(args.exclude)
    pairing = pair_files(files["train_images"], files["train_labels"], exclusion.names, name)
    pairs = [dataclasses.replace(pair, instance=train_maps.get(pair.name)) for pair in pairing.pairs]
    found = Survey(
        required,
        folders,
        exclusion,
        dataclasses.replace(pairing, pairs=pairs),
        [Pair(name(path), None, path, test_maps.get(name(path))) for path in files["test_labels"]],
        args.scenes,
        unlisted,
    )
    return _decoded(found) if found.complete() else found


def _folders(args: argparse.Namespace, layout: Layout) -> tuple[list[Folder], list[str]]:
    """List the folders with the files that the layout uses, and the names that its list of scenes lacks."""
    paths = {option: getattr(args, option) for option in (*FOLDERS, *INSTANCES)}
    folders = [look(layout, path, option) for option, path in paths.items() if path]
    if not (layout.scenes and args.scenes):
        return folders, []
    scenes = read_scenes(args.scenes)
    names = {layout.name(file) for folder in folders for file in folder.files or []}
    outdoor = {name for name, scene in scenes.items() if is_outdoor(scene)}
    return [only(folder, outdoor, layout) for folder in folders], sorted(names - scenes.keys())


def _decoded(found: Survey) -> Survey:
    """Decode every file once, and return the survey with the results."""
    pairs = found.pairing.pairs
    maps = [pair.instance for pair in (*pairs, *found.asked) if pair.instance]
    return dataclasses.replace(
        found,
        photos=in_threads(scan_photo, [pair.image for pair in pairs if pair.image], "photographs"),
        labels=in_threads(scan_label, [pair.label for pair in pairs], "label maps"),
        tests=in_threads(scan_label, [pair.label for pair in found.asked], "test label maps"),
        instances=dict(zip(maps, in_threads(scan_instances, maps, "instance maps") if maps else [], strict=True)),
    )


def check_instances(pairs: list[Pair]) -> None:
    """Check that every pair has an instance map, from which edges are computed.

    Raises:
        ShanshuiError: one is missing.
    """
    if lacking := [pair.label for pair in pairs if pair.instance is None]:
        raise ShanshuiError(
            f"{len(lacking)} label map(s) without instance map, such as {lacking[0]}",
            "one for every label map of training and test, of which model.edges instance makes edges",
            "add them, leave the pairs out (data.exclude), or take model.edges label",
        )


def run(args: argparse.Namespace) -> None:
    """Check the data and write the report; then write manifests and statistics, unless there are errors.

    Raises:
        ShanshuiError: the data cannot be trained on.
    """
    settings = read_checked(ValidateSettings, args.settings)
    survey = _survey(args, settings.required)
    findings = examine(survey)
    report, plot = args.out / "report.md", args.out / "classes.png"
    extra = args.report or report
    error = as_error(findings, extra)
    found = collect(survey, findings)
    for path in {extra} if error else {extra, report}:
        write_text(path, markdown(found, "" if error else os.path.relpath(plot, path.parent)))
    if error:
        raise error
    write_json(args.out / "report.json", stamp(**found))
    for finding in findings:
        print(f"{finding.level}: {finding.what}{some(finding.files, SHOWN_IN_MESSAGE)}", file=sys.stderr)
    if settings.instances:
        check_instances([*survey.pairing.pairs, *survey.asked])
    train, held = survey.split()
    asked = sorted(survey.asked, key=lambda pair: natural_key(pair.name))
    for name, pairs in (("train", train), ("holdout", held), ("test", asked)):
        instances = [INSTANCE_COLUMN] if any(pair.instance for pair in pairs) else []
        contents = in_threads(content, pairs, f"contents of {name}") if pairs else []
        rows = [pair.row() | {CONTENT_COLUMN: of} for pair, of in zip(pairs, contents, strict=True)]
        write_csv(args.out / f"{name}.csv", rows, [*MANIFEST_COLUMNS, *instances, CONTENT_COLUMN])
    statistics = survey.class_statistics()
    write_csv(args.out / "classes.csv", class_rows(settings.classes, *statistics), CLASS_COLUMNS)
    with atomic(plot) as staged:
        plot_classes(staged, settings.classes, *statistics)
    print(
        f"data {found['verdict']}: {len(train)} pairs to train on, {len(held)} held out, "
        f"{len(asked)} label maps to generate from; see {report}"
    )


STAGE = Stage(
    after="doctor",
    settings=lambda c: {
        "seed": c.seed,
        "batch": max(c.pretrain.batch, c.finetune.batch),
        **c.data.model_dump(include=LABELS | SIZE | {"layout", "load_width", "holdout"}),
        **({"instances": True} if c.model.edges == "instance" else {}),
    },
    section="data",
    outputs=lambda run_paths: ["validate/test.csv"],
    report_as="other",
)
