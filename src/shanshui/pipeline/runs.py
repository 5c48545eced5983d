"""Find a run by the name or path a user types."""

from __future__ import annotations

from pathlib import Path

from shanshui.errors import UsageError


def find_run(text: str) -> Path:
    """Return the folder of the run called `text`, or `text` itself if it is such a folder.

    Raises:
        UsageError: there is no such run.
    """
    named = Path("results") / text
    for folder in (named, Path(text)):
        if (folder / "settings").is_dir():
            return folder
    there = sorted(path.parent.name for path in Path("results").glob("*/settings"))
    raise UsageError(
        f"{text} is no run: neither {named} nor {text} holds a folder `settings`",
        f"one of {', '.join(there)}" if there else "the name of a run, as in results/<run>/",
        "" if there else "start one first: snakemake --cores all",
    )
