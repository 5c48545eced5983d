"""Rank scored models and choose the best.

python -m shanshui select --scores score/epoch_*.json --settings settings.json --top 3 --out checkpoints.json

Settings: `rank_by` (the metric) and `on` (holdout, test or train). Checkpoints, averages and noise seeds are ranked
alike; the result lists models under `chosen` and their seeds under `chosen_seeds`, best first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shanshui.config.settings import choice_settings
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import ChoiceSettings, read_checked
from shanshui.evaluation import selection
from shanshui.storage.files import read_json, write_json
from shanshui.storage.outputs import add_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--scores", required=True, nargs="+", type=Path, help="score files to rank")
    parser.add_argument("--settings", required=True, type=Path, help="settings file of this stage")
    parser.add_argument("--top", required=True, type=int, help="how many are chosen")
    add_file(parser, "--out", required=True, help="ranking (JSON)")


def run(args: argparse.Namespace) -> None:
    """Rank the scores and write the ranking."""
    from shanshui.metrics.registry import METRICS

    settings = read_checked(ChoiceSettings, args.settings)
    scores = [selection.parse_score(read_json(path), str(path)) for path in args.scores]
    by, on = settings.rank_by, settings.on
    lower = by in METRICS and METRICS[by].lower_is_better is not False  # aesthetics and the contest's score: higher
    result = selection.rank(scores, by, on, args.top, lower)
    write_json(args.out, result)
    best = [f"{e['model']} seed {e['seed']} ({e['value']:.4g})" for e in result["ranking"][: args.top]]
    print(f"{args.out}: {by} on {on}: {', '.join(best)}", file=sys.stderr)


STAGE = Stage(
    after="merge",
    settings=choice_settings,
    section="select",
)
