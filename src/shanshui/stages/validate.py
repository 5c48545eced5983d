"""Check training pairs and test label maps, write their manifests, class statistics and a readable report.

Stops when training on the data would be wrong (unreadable files, ids that are no class, too few pairs, ...)
and only warns of everything else. The report is always written, the manifests only when training may start.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from shanshui.data.findings import as_error
from shanshui.data.pairs import MANIFEST_COLUMNS, Pair, find_images, natural_key, pair_files, read_exclusion
from shanshui.data.scan import scan_label, scan_photo
from shanshui.data.section import data_section
from shanshui.data.statistics import CLASS_COLUMNS, class_rows, plot_classes
from shanshui.data.survey import Folder, Survey, examine
from shanshui.data.validation_report import render, verdict
from shanshui.data.workers import in_threads
from shanshui.files import atomic, write_csv, write_text
from shanshui.settings import read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Folders in, folder out."""
    parser.add_argument("--train-images", type=Path, required=True, metavar="DIR", help="training photographs")
    parser.add_argument("--train-labels", type=Path, required=True, metavar="DIR", help="their label maps, same stems")
    parser.add_argument(
        "--test-labels",
        type=Path,
        required=True,
        metavar="DIR",
        help="label maps to be turned into photographs",
    )
    parser.add_argument(
        "--exclude", type=Path, metavar="FILE", help="file stems to leave out of training, one per line"
    )
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="settings of this stage (JSON)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for everything written here")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="report outside of --out, which stays if the job fails"
    )


def _look(path: Path, option: str, holds: str) -> Folder:
    return Folder(path, option, holds, find_images(path) if path.is_dir() else None)


def _survey(args: argparse.Namespace) -> Survey:
    """Find all files and, unless a folder is empty, decode each once."""
    settings = read_settings(args.settings)
    photos = _look(args.train_images, "train_images", "training photographs")
    labels = _look(args.train_labels, "train_labels", "training label maps")
    tests = _look(args.test_labels, "test_labels", "test label maps")
    exclusion = read_exclusion(args.exclude)
    pairing = pair_files(photos.files or [], labels.files or [], exclusion.names)
    found = Survey(
        data_section(settings),
        settings["batch"],
        settings["seed"],
        (photos, labels, tests),
        exclusion,
        pairing,
    )
    if not found.complete():
        return found
    return dataclasses.replace(
        found,
        photos=in_threads(scan_photo, [pair.image for pair in pairing.pairs if pair.image], "photographs"),
        labels=in_threads(scan_label, [pair.label for pair in pairing.pairs], "label maps"),
        tests=in_threads(scan_label, tests.files or [], "test label maps"),
    )


def run(args: argparse.Namespace) -> None:
    """Survey, report, then either stop or write manifests and statistics."""
    survey = _survey(args)
    findings = examine(survey)
    report, plot = args.out / "report.md", args.out / "classes.png"
    extra = args.report or report
    error = as_error(findings, extra)
    for path in {extra} if error else {extra, report}:
        write_text(path, render(survey, findings, "" if error else os.path.relpath(plot, path.parent)))
    if error:
        raise error
    for finding in findings:
        print(f"warning: {finding.what}", file=sys.stderr)
    train, held = survey.split()
    tests = sorted(survey.folders[-1].files or [], key=lambda path: natural_key(path.stem))
    asked = [Pair(path.stem, None, path) for path in tests]
    for name, pairs in (("train", train), ("holdout", held), ("test", asked)):
        write_csv(args.out / f"{name}.csv", [pair.row() for pair in pairs], MANIFEST_COLUMNS)
    statistics = survey.class_statistics()
    write_csv(args.out / "classes.csv", class_rows(survey.data.classes, *statistics), CLASS_COLUMNS)
    with atomic(plot) as staged:
        plot_classes(staged, survey.data.classes, *statistics)
    print(
        f"data {verdict(findings)}: {len(train)} pairs to train on, {len(held)} held out, "
        f"{len(asked)} label maps to generate from; see {report}"
    )
