"""One result of a check of the machine or of a run's configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from shanshui.errors import ShanshuiError, readable_error

State = Literal["ok", "note", "gap"]


@dataclass(frozen=True)
class Finding:
    """One result, as a line. A `gap` makes every run fail, a `note` only limits it."""

    name: str
    state: State
    text: str
    do: str = ""

    def line(self) -> str:
        """Format the result as readable text."""
        return f"{self.state:<5}{self.name:<14}{self.text}" + (f"\n     {'':<14}to do: {self.do}" if self.do else "")


def asked(name: str, question: Callable[[], str]) -> Finding:
    """Turn the result of `question` into `ok`; a ShanshuiError or an error of the operating system becomes a `gap`."""
    try:
        return Finding(name, "ok", question())
    except OSError as error:
        words = readable_error(error)
        if words is None:
            raise
        return Finding(name, "gap", words.found, words.do)
    except ShanshuiError as error:
        return Finding(name, "gap", error.found, error.do)
