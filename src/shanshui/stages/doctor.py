"""Check the machine: report what was found, what is missing and how to fix it; compile Jittor on request.

Exit code 0: usable. 1: something a run cannot do without is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shanshui.config.stages import Stage
from shanshui.errors import ShanshuiError
from shanshui.storage.outputs import add_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--compile", action="store_true", help="compile Jittor and its kernels, once per machine")
    parser.add_argument(
        "--config",
        nargs="+",
        metavar="YAML",
        help="also ask for the weight files and the disk space this run needs; compile the kernels of this run alone",
    )
    parser.add_argument(
        "--planned", type=Path, metavar="JSON",
        help="the run that Snakemake has started: compile its kernels alone; check its disk space again, with weights, "
        "which are counted now",
    )  # fmt: skip
    add_file(parser, "--out", metavar="JSON", help="write the result to this file")


def run(args: argparse.Namespace) -> None:
    """Print the diagnosis and, with `--compile`, compile Jittor and its kernels.

    Raises:
        ShanshuiError: something that a run needs is missing.
    """
    from shanshui.config.kernels import kernels_of
    from shanshui.config.settings import load_config, needed_weights
    from shanshui.pipeline import disk, student_check
    from shanshui.pipeline.diagnosis import examine, summary
    from shanshui.pipeline.disk_estimate import count_images, estimate
    from shanshui.pipeline.network_counts import find_counts
    from shanshui.storage import provenance
    from shanshui.storage.files import write_json
    from shanshui.training.precompilation import ensure_compiled

    config = load_config(args.config) if args.config else None
    needed = needed_weights(config) if config else []
    findings = examine(needed, config)
    planned = args.planned if args.planned and args.planned.is_file() else None
    compiled_for = config or (disk.planned_config(planned) if planned else None)
    kernels = kernels_of(compiled_for) if compiled_for else None
    if args.compile and not any(finding.state == "gap" for finding in findings) and ensure_compiled(kernels):
        findings = examine(needed, config)
    if planned:
        findings.append(disk.examine_plan(planned))
        findings += student_check.examine_plan(planned)
    print("\n".join(finding.line() for finding in findings), flush=True)
    if config:
        counts = find_counts(config)
        parts = estimate(config, count_images(config), None if isinstance(counts, str) else counts)
        print("\n" + disk.disk_table(parts), flush=True)
    gaps = [finding.name for finding in findings if finding.state == "gap"]
    if gaps:
        raise ShanshuiError(f"not usable: {', '.join(gaps)}", do="see the lines that begin with `gap`")
    print("usable", file=sys.stderr)
    if args.out:
        write_json(args.out, provenance.stamp(**summary()))


STAGE = Stage(
    after="landscapes",
    outputs=lambda run_paths: ["doctor.json"],
    device=True,
)
