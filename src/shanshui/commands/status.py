"""How far a run is: what is done, running (epoch, speed, time left), waiting and chosen, on one screen.

python -m shanshui status demo

Reads files only, so it may be asked at any time, on any machine that sees the folder. What a change since the
run will do again is for `snakemake --dry-run` to say.
"""

from __future__ import annotations

import argparse

from shanshui.pipeline.runs import find_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A run."""
    parser.add_argument("run_name", metavar="RUN", help="name of the run, or its folder")


def run(args: argparse.Namespace) -> None:
    """Print it."""
    from shanshui.pipeline import run_reader, status

    print(status.text(run_reader.read_run(find_run(args.run_name))))
