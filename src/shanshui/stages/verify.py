"""Check every final file of a run against its manifest: submission, images, choices, weights, table, report.

python -m shanshui verify demo     (or: snakemake verify)

Exit code 0: all as it should be. 1: something is not; each finding is a line, and the rest is checked too.
"""

from __future__ import annotations

import argparse

from shanshui.config.stages import Stage
from shanshui.errors import ShanshuiError
from shanshui.pipeline.runs import find_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a run."""
    parser.add_argument("run_name", metavar="RUN", help="name of the run, or its folder")


def run(args: argparse.Namespace) -> None:
    """Run all checks and print a line for each, and for each finding.

    Raises:
        ShanshuiError: there are findings.
    """
    from shanshui.pipeline import verification

    folder = find_run(args.run_name)
    count = 0
    for name, check in verification.CHECKS.items():
        found = verification.problems(check, folder)
        count += len(found)
        print(f"{'BAD' if found else 'ok':<4} {name}", *(f"       {line}" for line in found), sep="\n", flush=True)
    if count:
        raise ShanshuiError(
            f"{folder} has {count} file(s) that are not what they should be",
            "files as the pipeline wrote them",
            "remove what is named and run snakemake again",
        )


STAGE = Stage(
    after="tidy",
)
