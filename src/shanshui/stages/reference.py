"""Compute the statistics of the training photographs for scoring, and find the single-class pairs.

Writes an .npz for `python -m shanshui score` and a JSON `{class id: [{name, image}, ...]}` of the pairs whose
label map is one class throughout. Every photograph is decoded once, for all metrics together.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.config.sections import Positive
from shanshui.config.settings import metric_settings
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import MetricSettings, read_checked
from shanshui.storage.outputs import add_file

if TYPE_CHECKING:
    from shanshui.data.pure import Pair


class ReferenceSettings(MetricSettings):
    """Settings file of this stage."""

    metrics: tuple[str, ...]
    size: tuple[Positive, Positive]
    seed: int
    label_offset: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--train", nargs="+", action="extend", required=True, metavar="CSV", help="manifests of pairs")
    parser.add_argument("--settings", required=True, metavar="JSON", help="metrics, size, seed, label_offset, ...")
    add_file(parser, "--statistics", ".npz", required=True, metavar="NPZ", help="statistics to write")
    add_file(parser, "--pure", required=True, metavar="JSON", help="dictionary of single-class pairs to write")
    parser.add_argument("--weights-file", type=Path, metavar="FILE", help="Inception weights other than the usual file")
    parser.add_argument("--segmenter", type=Path, metavar="FILE", help="for seg_frechet: a file, or the word builtin")


def read_pairs(manifests: list[str]) -> list[Pair]:
    """Read all rows of the manifests.

    Raises:
        ShanshuiError: a name occurs twice, or there are no rows.
    """
    from shanshui.errors import ShanshuiError
    from shanshui.storage.files import read_csv

    rows = [row for manifest in manifests for row in read_csv(manifest)]
    names = [row["name"] for row in rows]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ShanshuiError(f"{len(twice)} pair(s) listed twice, first {twice[0]}", "manifests without common pairs")
    if not rows:
        raise ShanshuiError(f"no pairs in {', '.join(manifests)}", "training pairs")
    return list(rows)


def run(args: argparse.Namespace) -> None:
    """Write the statistics of the photographs, and the list of single-class pairs."""
    from tqdm import tqdm

    from shanshui.architectures.segmenters import load_segmenter
    from shanshui.data.pure import group_by_class, single_class
    from shanshui.evaluation.reference import make_reference
    from shanshui.metrics.registry import choose
    from shanshui.storage.files import write_json
    from shanshui.storage.images import read_label_map
    from shanshui.storage.size import Size

    settings = read_checked(ReferenceSettings, args.settings)
    pairs = read_pairs(args.train)
    reference = make_reference(
        [(pair["name"], Path(pair["image"])) for pair in pairs],
        choose(settings.metrics),
        Size.of_width_first(settings.size),
        settings.seed,
        args.weights_file,
        load_segmenter(args.segmenter, settings.classes, settings.size_of_segmenter) if args.segmenter else None,
    )
    offset, ignore = settings.label_offset, settings.ignore_label
    classes = (
        (single_class(read_label_map(pair["label"]), offset, ignore), pair)
        for pair in tqdm(pairs, desc="single-class pairs", unit="map")
    )
    write_json(args.pure, group_by_class(classes))
    reference.save(args.statistics)


STAGE = Stage(
    after="segmenter",
    settings=metric_settings,
    section="score",
    outputs=lambda run_paths: ["reference/statistics.npz"],
    device=True,
    report_as="scoring",
)
