"""The chance behind a scene, with a name for every kind of throw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


class Dice:
    """Seeded throws; `rng` is the generator underneath, for arrays."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def normal(self, mean: float, deviation: float) -> float:
        return float(self.rng.normal(mean, deviation))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def side(self) -> float:
        """-1 or 1."""
        return -1.0 if self.chance(0.5) else 1.0

    def pick(self, items: Sequence[Item], weights: Sequence[float] | None = None) -> Item:
        p = None if weights is None else np.array(weights) / np.sum(weights)
        return items[int(self.rng.choice(len(items), p=p))]

    def seed(self) -> int:
        """A seed for one thing, so that its own throws do not disturb the others."""
        return int(self.rng.integers(1 << 30))
