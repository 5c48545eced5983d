"""Random numbers of a scene, with a function for every kind of draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


class RandomSource:
    """Seeded random draws; `generator` is NumPy's, for arrays."""

    def __init__(self, *seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def uniform(self, low: float, high: float) -> float:
        """Draw a uniform number from [low, high)."""
        return float(self.generator.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        """Draw an integer from `low` to `high`, both included."""
        return int(self.generator.integers(low, high + 1))

    def normal(self, mean: float, deviation: float) -> float:
        """Draw a normally distributed number."""
        return float(self.generator.normal(mean, deviation))

    def bernoulli(self, share: float) -> bool:
        """Return True with probability `share`."""
        return bool(self.generator.random() < share)

    def sign(self) -> float:
        """Draw -1 or 1."""
        return -1.0 if self.bernoulli(0.5) else 1.0

    def choice(self, items: Sequence[Item], weights: Sequence[float] | None = None) -> Item:
        """Draw one of `items`, with probabilities proportional to `weights`."""
        p = None if weights is None else np.array(weights) / np.sum(weights)
        return items[int(self.generator.choice(len(items), p=p))]

    def seed(self) -> int:
        """Draw a seed for one object, so that its own draws do not affect those of others."""
        return int(self.generator.integers(1 << 30))
