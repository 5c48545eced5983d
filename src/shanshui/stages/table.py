"""Write the table of all scores as CSV and Markdown, and plot the curve.

python -m shanshui table --scores score/*.json score/*/*.json --settings settings.json
    --checkpoints select/checkpoints.json --model select/model.json --seed select/seed.json
    --csv fid_table.csv --md fid_table.md --curve fid_curve.png

The CSV is the record; every column is named after the metric it really holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shanshui.config.settings import table_settings
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import TableSettings, read_checked
from shanshui.evaluation import selection
from shanshui.report import tables
from shanshui.storage.files import read_json, write_csv, write_text
from shanshui.storage.outputs import add_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--scores", required=True, nargs="+", type=Path, help="all score files")
    parser.add_argument("--checkpoints", required=True, type=Path, help="ranking of the checkpoints")
    parser.add_argument("--model", required=True, type=Path, help="ranking of checkpoints and averages")
    parser.add_argument("--seed", required=True, type=Path, help="ranking of the noise seeds")
    parser.add_argument("--settings", required=True, type=Path, help="settings file of this stage")
    add_file(parser, "--csv", required=True, help="table of scores (CSV)")
    add_file(parser, "--md", required=True, help="table of scores (Markdown)")
    add_file(parser, "--curve", ".png", required=True, help="curve (PNG)")


def run(args: argparse.Namespace) -> None:
    """Write the table as CSV and Markdown, and plot the curve."""
    from shanshui.report import curves, plotting

    settings = read_checked(TableSettings, args.settings)
    scores = [selection.parse_score(read_json(path), str(path)) for path in dict.fromkeys(args.scores)]
    selection.check_comparable(scores)
    rows = tables.build_rows(scores, read_json(args.checkpoints), read_json(args.model), read_json(args.seed))
    names = tables.columns(scores, settings.rank_by)
    if settings.arithmetic:
        names, rows = [*names, tables.ARITHMETIC], [{**row, tables.ARITHMETIC: settings.arithmetic} for row in rows]
    write_csv(args.csv, rows, names)
    write_text(args.md, tables.to_markdown(rows, settings.rank_by, settings.on))
    plotting.save_png(curves.score_curve(rows, settings.rank_by, settings.on), args.curve)


STAGE = Stage(
    after="score_fused",
    settings=table_settings,
    section="select",
    outputs=lambda run_paths: ["fid_table.csv"],
)
