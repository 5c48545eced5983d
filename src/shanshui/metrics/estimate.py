"""A score with its standard error: what every metric returns, and the jackknife that errors come from.

Drawing with replacement is wrong for distances of distributions: copies narrow the spread of the set, and the
Frechet distance of such a draw lies far above that of the set. So parts of the set are left out instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shanshui.errors import ShanshuiError

GROUPS = 10
FEWEST = 4  # pictures below which there is no error


class NotMeasured(ShanshuiError):
    """A set has no value of a metric, through no fault of the pictures': too few of them, or all alike."""


class Estimate(NamedTuple):
    """A value and, where they can be had, its standard error and a guess for infinitely many pictures."""

    value: float
    standard_error: float | None = None
    at_infinity: float | None = None


def mean_distance(distances: np.ndarray) -> Estimate:
    """Mean of one distance (N,) a picture, with the standard error of a mean where there are enough."""
    values = np.asarray(distances, dtype=np.float64)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) >= FEWEST else None
    return Estimate(float(values.mean()), error)


def random_groups(count: int, groups: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Group (0 to groups - 1) of every one of `count` pictures: of equal sizes as far as possible, at random."""
    return generator.permutation(count) % groups


def jackknife_error(left_out: Sequence[float]) -> float:
    """Standard error from the values found with one random group left out in turn."""
    values = np.asarray(left_out, dtype=np.float64)
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))
