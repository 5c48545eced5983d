"""Remove what a finished run no longer needs, and list what is kept with checksums (`retention: best`).

python -m shanshui tidy --settings settings.json --run-folder results/demo --choices select/checkpoints.json
    select/model.json select/seed.json --out kept.json

What goes is listed before it is removed, so a killed call is simply repeated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shanshui.config.stages import Stage
from shanshui.storage.outputs import add_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    add = parser.add_argument
    add("--settings", required=True, type=Path, help="settings of this stage (JSON)")
    add("--run-folder", required=True, type=Path, help="the run")
    add("--choices", required=True, nargs=3, type=Path, help="rankings of checkpoints, of models, of seeds")
    add_file(parser, "--out", required=True, help="the list (JSON): kept files with sha256, removed ones with bytes")


def run(args: argparse.Namespace) -> None:
    """List and remove what a finished run no longer needs, and write the list of kept files."""
    from shanshui.config.typed_settings import read_checked
    from shanshui.pipeline import retention
    from shanshui.pipeline.disk import gigabytes
    from shanshui.storage.files import read_json

    checkpoints, model, seed = (read_json(path) for path in args.choices)
    settings = read_checked(retention.TidySettings, args.settings)
    chosen, submitted = model["chosen"][0], seed["chosen"][0]
    names = retention.kept_names(settings, checkpoints, chosen, seed["chosen_seeds"][0], submitted)
    plan = retention.plan_removal(args.run_folder, names)
    before = sum(retention.read_removed(args.run_folder).values())
    removed = retention.remove(args.run_folder, plan.gone)
    retention.write_kept(args.out, args.run_folder, plan.kept, removed)
    freed = sum(removed.values()) - before
    print(f"tidy: {len(plan.gone)} removed ({gigabytes(freed)}), {len(plan.kept)} kept", file=sys.stderr)


STAGE = Stage(
    after="report",
    settings=lambda c: {
        "tried": c.select.tried(),
        "last": c.score.last,
        "full": f"{c.data.size:03d}",
    },
    section="select",
)
