"""The last lines of a workflow: the outputs that exist, and what to do with them."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path

from shanshui.errors import ShanshuiError
from shanshui.storage.files import read_json

FINALS = {"submission": "submission.zip", "table": "fid_table.md", "report": "report.html"}
DEMO = "demo"  # the run that `make paint` looks for


def final_message(run_folder: Path, planned: Collection[str], touched: bool = False) -> str:
    """Say which of submission, table and report were among the `planned` files and exist, and which do not.

    Where the submission was made, the last line is the command that draws label maps and generates images from them.

    Args:
        run_folder: `results/<run>`.
        planned: all files that Snakemake was to make or found made.
        touched: whether the workflow only set file times (`snakemake --touch`).
    """
    files = {what: run_folder / name for what, name in FINALS.items()}
    asked = {what: path for what, path in files.items() if str(path) in planned}
    there = {what: path for what, path in asked.items() if path.is_file()}
    lacking = [what for what in asked if what not in there]
    others = [what for what, path in files.items() if what not in asked and path.is_file()]
    if touched:
        words = "Times were set, nothing was made."
    elif asked:
        words = "Done."
    else:
        words = "Done with what was asked for: neither submission nor table nor report was."
    parts = [words]
    if lacking:
        parts.append(f"Not there: {', '.join(lacking)}.")
    if not asked and others:
        parts.append(
            f"The {', '.join(others)} in {run_folder} {'is' if len(others) == 1 else 'are'} of an earlier call."
        )
    lines = [" ".join(parts), *(f"  {what + ':':<12}{path}" for what, path in there.items())]
    if "submission" in there and not touched and (command := paint_command(run_folder)):
        lines.append(f"  {'to try:':<12}{command} (draw label maps in the browser and see the images)")
    return "\n".join(lines)


def paint_command(run_folder: Path) -> str:
    """Return the command that opens the drawing page with the chosen model of a run, "" if none was chosen."""
    if run_folder.name == DEMO:
        return "`make paint`"
    try:
        (model,) = read_json(run_folder / "select" / "model.json")["chosen"]
    except (ShanshuiError, OSError, KeyError, TypeError, ValueError):
        return ""
    found = sorted(run_folder.glob(f"*/{model}.safetensors"))
    return f"python -m shanshui paint --open --weights {shlex.quote(str(found[0]))}" if found else ""
