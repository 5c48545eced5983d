"""Show the progress of a run: what is done, running (epoch, speed, time left), waiting and chosen.

python -m shanshui status demo

It only reads files, so it can run at any time, on any machine with access to the folder. `snakemake --dry-run`
shows what a change will rerun.
"""

from __future__ import annotations

import argparse

from shanshui.pipeline.runs import find_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a run."""
    parser.add_argument("run_name", metavar="RUN", help="name of the run, or its folder")


def run(args: argparse.Namespace) -> None:
    """Print the progress of a run."""
    from shanshui.pipeline import run_reader, status

    print(status.text(run_reader.read_run(find_run(args.run_name))))
