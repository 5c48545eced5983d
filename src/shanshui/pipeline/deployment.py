"""The installed package, for workflows that Snakemake reads from a repository instead of a clone."""

from __future__ import annotations

import os
from pathlib import Path

import shanshui

LINK = Path("shanshui") / "src"


def package_folder(state: Path) -> Path:
    """Return a folder that holds this package and nothing else, for the `PYTHONPATH` of jobs.

    Next to an installed package are all others of its environment, which must not reach jobs that run in one of their
    own (`--sdm conda`): a link to the package alone is made.

    Args:
        state: Snakemake's folder `.snakemake` in the working folder.
    """
    package = Path(shanshui.__file__).resolve().parent
    if package.parent.name == "src":  # an editable installation
        return package.parent
    folder = (state / LINK).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    waiting = folder / f".{os.getpid()}"
    waiting.unlink(missing_ok=True)
    waiting.symlink_to(package)
    waiting.replace(folder / package.name)
    return folder
