"""CAT's search for the widths of a smaller inception SPADE generator (Jin et al. 2021, section 3.2), in one step.

What a trained generator's batch norms multiply their channels by says how much these matter. One threshold for all
leaves some channels of every branch; on the norm behind the first convolution it gives the width of the trunk. Only
these numbers are kept: the smaller generator starts from fresh weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shanshui.nn.channel_groups import Plan

LEAST = 16  # width of the trunk below which CAT's scripts do not go
WITHIN = 1e-3  # of the threshold, in which it is found
Count = Callable[[int, Plan], int]


@dataclass(frozen=True)
class Widths:
    """Widths of a smaller generator.

    Attributes:
        base_channels: of its trunk.
        plan: of its branches.
        macs: its multiply-accumulates.
        threshold: of the scales.
        tried: base channels and multiply-accumulates of every threshold that was tried.
    """

    base_channels: int
    plan: Plan
    macs: int
    threshold: float
    tried: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Scales:
    """Sizes of the factors that batch norms multiply channels by, float32.

    Attributes:
        trunk: behind the first convolution (16 c,).
        branches: of the first norm of each branch, by its name in a plan.
        halved: the last features have half of the base channels, which are therefore even.
    """

    trunk: np.ndarray
    branches: Mapping[str, np.ndarray]
    halved: bool = False

    def above(self, threshold: np.float32, least: int) -> tuple[int, Plan]:
        """Return the base channels and the plan for the channels whose scale is above a threshold."""
        step = 32 if self.halved else 16
        trunk = max(int((self.trunk > threshold).sum()) // step, least) * step // 16
        return trunk, {name: int((scale > threshold).sum()) for name, scale in self.branches.items()}

    def fewest(self, least: int) -> tuple[int, Plan]:
        """Return the base channels and the plan of the smallest generator."""
        return self.above(np.float32(np.inf), least)


def search(scales: Scales, macs: Count, target: float, least: int = LEAST) -> Widths | None:
    """Find the widest generator of at most `target` multiply-accumulates; None if there is none.

    The published loop never ends where there is none, and may not where float32 has no threshold left in between.

    Args:
        scales: of a trained generator.
        macs: multiply-accumulates by base channels and plan.
        target: to be reached.
        least: width of the trunk (half of it where it is halved) that is kept in any case.
    """
    whole = np.concatenate([scales.trunk, *scales.branches.values()]).astype(np.float32)
    floor = scales.fewest(least)
    if macs(*floor) > target:
        return None
    low, high = whole.min(), whole.max()
    tried: list[tuple[int, int]] = []
    while True:
        threshold = np.float32((low + high) / np.float32(2))
        found = scales.above(threshold, least)
        taken = macs(*found)
        tried.append((found[0], taken))
        stuck = threshold in (low, high)
        if taken > target:
            low = threshold
        else:
            high = threshold
        if taken <= target and abs(high - low) <= np.float32(WITHIN) * low:
            return Widths(*found, taken, float(threshold), tuple(tried))
        if stuck:  # the next threshold would be the same
            found = scales.above(high, least)
            return Widths(*found, macs(*found), float(high), tuple(tried))
