"""Score of board A of the 2nd Jittor challenge from its terms. Without all terms there is no score.

Mask accuracy multiplies everything: the share of pixels, in [0, 1], in which a segmenter finds the given class.
`aesthetic` is a mean of scores in [0, 10]; an FID of 0 counts fully, of 100 or more not at all. The organisers'
segmenter, aesthetic model and Inception graph were never published, so that scores computed with other models are not
comparable to the leaderboard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shanshui.errors import ShanshuiError

TERMS = ("mask_accuracy", "aesthetic", "fid")
WORDS = {"mask_accuracy": "mask accuracy", "aesthetic": "aesthetics", "fid": "FID"}
RANGES = {
    "mask_accuracy": (0.0, 1.0),
    "aesthetic": (0.0, 10.0),
    "fid": (-1.0, math.inf),  # rounding leaves a set a tiny negative distance to itself
}


@dataclass(frozen=True)
class Outcome:
    """A score, or None with the names of the terms that are missing."""

    value: float | None
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Format the score with four decimals, or as `not measured` with the missing terms."""
        if self.value is not None:
            return f"{self.value:.4f}"
        return f"not measured (no {', no '.join(WORDS[name] for name in self.missing)})"


def board_a(terms: Mapping[str, float | None]) -> Outcome:
    """Compute board A of the 2nd challenge.

    mask * (0.5 * aesthetic / 10 + 0.5 * (100 - FID) / 100), with FID clipped at 100.

    Raises:
        ShanshuiError: where a term is out of its range.
    """
    found, missing = _measured(terms, TERMS)
    if missing:
        return Outcome(None, missing)
    return Outcome(found["mask_accuracy"] * (0.5 * found["aesthetic"] / 10 + 0.5 * _closeness(found["fid"])))


def _closeness(fid: float) -> float:
    """Map FID to [0, 1]: 1 at 0, 0 at 100 and beyond."""
    return (100 - min(max(fid, 0.0), 100.0)) / 100


def _measured(terms: Mapping[str, float | None], names: tuple[str, ...]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the terms `names` that have a value and the names of the others; refuse a value out of range."""
    found = {name: float(value) for name in names if (value := terms.get(name)) is not None}
    for name, value in found.items():
        low, high = RANGES[name]
        if not low <= value <= high:
            raise ShanshuiError(f"{name} is {value:g}", f"a number from {max(low, -1):g} to {high:g}")
    return found, tuple(name for name in names if name not in found)
