"""Provenance of an artefact: the version of this code, recorded in every lasting file."""

from __future__ import annotations

import functools
import hashlib
import platform
from pathlib import Path

from shanshui import __version__


@functools.cache
def code_version() -> str:
    """Return `0.1.0+` and 12 hex digits of a SHA-256 over the package's sources: equal code, equal version."""
    root = Path(__file__).parent.parent
    total = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        total.update(str(file.relative_to(root)).encode())
        total.update(file.read_bytes())
    return f"{__version__}+{total.hexdigest()[:12]}"


def stamp(**more: object) -> dict[str, object]:
    """Return the fields of every manifest; without time and host name, so that equal runs give equal bytes."""
    return {"shanshui": code_version(), "python": platform.python_version(), **more}
