"""The last line of a workflow, which lists the outputs that exist."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

FINALS = {"submission": "submission.zip", "table": "fid_table.md", "report": "report.html"}


def final_message(run_folder: Path, planned: Collection[str], touched: bool = False) -> str:
    """Say which of submission, table and report were among the `planned` files and exist, and which do not.

    `touched` says that the workflow only set file times (`snakemake --touch`).
    """
    files = {what: run_folder / name for what, name in FINALS.items()}
    asked = {what: path for what, path in files.items() if str(path) in planned}
    there = {what: path for what, path in asked.items() if path.is_file()}
    lacking = [what for what in asked if what not in there]
    others = [what for what, path in files.items() if what not in asked and path.is_file()]
    listed = "   ".join(f"{what}: {path}" for what, path in there.items())
    if touched:
        words = "Times were set, nothing was made."
    elif asked:
        words = "Done."
    else:
        words = "Done with what was asked for: neither submission nor table nor report was."
    parts = [words, listed]
    if lacking:
        parts.append(f"Not there: {', '.join(lacking)}.")
    if not asked and others:
        parts.append(
            f"The {', '.join(others)} in {run_folder} {'is' if len(others) == 1 else 'are'} of an earlier call."
        )
    return " ".join(part for part in parts if part)
