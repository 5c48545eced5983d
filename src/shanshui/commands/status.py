"""Show the progress of a run: what is done, running (epoch, speed, time left), waiting and chosen, scores and samples.

python -m shanshui status demo
python -m shanshui status demo --follow

It only reads files, so it can run at any time, on any machine with access to the folder; `--page` alone writes one.
`snakemake --dry-run` shows what a change will rerun.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from shanshui.errors import UsageError
from shanshui.pipeline.runs import find_run

PAUSE = 5.0  # seconds between two looks
CLEAR = "\x1b[H\x1b[J"  # cursor to the top, what is below is removed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a run, and the form."""
    add = parser.add_argument
    add("run_name", metavar="RUN", help="name of the run, or its folder")
    add("--follow", action="store_true", help="look again every five seconds while Snakemake works on it (Ctrl-C ends)")
    add("--page", action="store_true", help="also write progress.html into the run's folder: samples and curves so far")


def run(args: argparse.Namespace) -> None:
    """Print the progress of a run.

    Raises:
        UsageError: `--follow` without a terminal.
    """
    folder = find_run(args.run_name)
    if not args.follow:
        _look(folder, args.page)
        return
    if not sys.stdout.isatty():
        raise UsageError(
            "--follow where stdout is no terminal", "a terminal, whose screen is rewritten", "leave it out"
        )
    try:
        while _look(folder, args.page, CLEAR):
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        print()


def _look(folder: Path, page: bool, before: str = "") -> bool:
    """Print the state of a run after `before`, write its page if wanted; return whether Snakemake works on it."""
    from shanshui.pipeline import first_look, run_reader, status

    state = run_reader.read_run(folder)
    print(before + status.text(state), flush=True)
    if page:
        print(first_look.write_page(folder), flush=True)
    return state.alive
