"""Digests of the prepared pairs: computed once by `prepare`, and read by the stages that train on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shanshui.errors import ShanshuiError
from shanshui.storage.files import read_json, sha256, write_json


def write_digests(path: Path, files: Sequence[Path]) -> None:
    """Write size in bytes and SHA-256 of every file, by name, as JSON."""
    write_json(path, {file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)} for file in files})


def prepared_digests(files: Sequence[Path], listed: Path | None) -> list[str]:
    """Return the SHA-256 of memory maps from the list that `prepare` wrote; without a list, compute them.

    Raises:
        ShanshuiError: the list lacks a file, or has it with another size.
    """
    if listed is None:
        return [sha256(file) for file in files]
    known = read_json(listed)
    for file in files:
        entry, size = known.get(file.name), file.stat().st_size
        if entry is None or entry["bytes"] != size:
            raise ShanshuiError(
                f"{listed} has {file.name} with {entry['bytes'] if entry else 'no'} bytes, and {file} has {size}",
                "the memory maps that `prepare` wrote together with the list",
                "prepare the pairs again: snakemake --forcerun prepare",
            )
    return [str(known[file.name]["sha256"]) for file in files]
