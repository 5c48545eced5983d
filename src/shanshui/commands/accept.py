"""Mark changed code as harmless, so that the stages of a run do not run again because of it.

python -m shanshui accept demo             all stages
python -m shanshui accept demo finetune    one stage

For changes that cannot alter a result, such as a new name or a faster way to the same numbers. Run it before
Snakemake runs again, which would replace the old results. `explain` shows what changed.
"""

from __future__ import annotations

import argparse

from shanshui.config.stages import with_settings
from shanshui.errors import UsageError
from shanshui.pipeline import code_changes
from shanshui.pipeline.runs import find_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a run and some of its stages."""
    parser.add_argument("run_name", metavar="RUN", help="name of the run, or its folder")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="stages; all by default")


def run(args: argparse.Namespace) -> None:
    """Record the present code as equal to that of the run, and print what changed."""
    folder = find_run(args.run_name)
    if unknown := set(args.stages) - set(with_settings()):
        raise UsageError(
            f"no stage {', '.join(sorted(unknown))} with settings", f"some of {', '.join(with_settings())}"
        )
    found = [code_changes.code_change(folder, stage) for stage in args.stages or with_settings()]
    pending = [change for change in found if change and change.pending]
    for change in pending:
        named = change.modules or ["a change of which no list of modules was kept"]
        print(f"{change.stage}: accepted", *(f"  {line}" for line in named), sep="\n")
    if pending:
        code_changes.accept(folder, pending)
    else:
        print("nothing to accept: no code changed since")
