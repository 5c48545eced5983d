"""Findings of the data checks: error (stops the run), warning or note."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from shanshui.errors import ShanshuiError
from shanshui.storage.names import SHOWN_IN_MESSAGE, number, printable, some

Level = Literal["error", "warning", "note"]
ORDER: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """A result of a check: `what` was found, what was `expected`, what to `do`, and the `files` concerned.

    A line of `files` is a name, perhaps followed by a detail.
    """

    level: Level
    what: str
    expected: str = ""
    do: str = ""
    files: tuple[str, ...] = ()


def error(what: str, expected: str, do: str, files: Iterable[object] = ()) -> Finding:
    """Create a finding that stops the run."""
    return Finding("error", what, expected, do, tuple(map(printable, files)))


def warning(what: str, expected: str, do: str, files: Iterable[object] = ()) -> Finding:
    """Create a finding that users should know but that stops nothing."""
    return Finding("warning", what, expected, do, tuple(map(printable, files)))


def note(what: str, expected: str, do: str, files: Iterable[object] = ()) -> Finding:
    """Create a finding that asks for nothing."""
    return Finding("note", what, expected, do, tuple(map(printable, files)))


def as_error(findings: Iterable[Finding], report: object) -> ShanshuiError | None:
    """Combine all errors among `findings` into one exception, with the first files of each; None without errors."""
    errors = [f for f in findings if f.level == "error"]
    if not errors:
        return None
    parts = [str(ShanshuiError(f.what + some(f.files, SHOWN_IN_MESSAGE), f.expected, f.do)) for f in errors]
    head = "the data cannot be trained on: " + number(len(errors), "error")
    return ShanshuiError("\n".join([head, *(f"- {part}" for part in parts), f"the whole report: {report}"]))
