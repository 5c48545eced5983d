"""A score with its standard error, which every metric returns, and the jackknife that estimates such errors.

The bootstrap is wrong for distances of distributions: repeated images narrow the spread of the set, and the Frechet
distance of a resampled set lies far above that of the set itself. So parts of the set are left out instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shanshui.errors import ShanshuiError

GROUPS = 10
FEWEST = 4  # images below which there is no error


class NotMeasured(ShanshuiError):
    """A metric has no value on a set, for no fault of a file: too few images, or images that are all alike."""


class Estimate(NamedTuple):
    """A value and, where available, its standard error and its extrapolation to infinitely many images."""

    value: float
    standard_error: float | None = None
    at_infinity: float | None = None


def mean_distance(distances: np.ndarray) -> Estimate:
    """Average one distance (N,) per image, with the standard error of the mean, None below 4 images."""
    values = np.asarray(distances, dtype=np.float64)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) >= FEWEST else None
    return Estimate(float(values.mean()), error)


def random_groups(count: int, groups: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Assign each of `count` images at random to a group, 0 to `groups` - 1, of sizes as equal as possible."""
    return generator.permutation(count) % groups


def jackknife_error(left_out: Sequence[float]) -> float:
    """Compute the jackknife's standard error from the values found with each random group left out in turn."""
    values = np.asarray(left_out, dtype=np.float64)
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))
