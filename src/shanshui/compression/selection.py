"""Selection of the channels that a pruned generator keeps: the fewest removals that reach a target of cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shanshui.nn.channel_groups import Plan

LEAST = 4  # channels that every group keeps


@dataclass(frozen=True)
class Selection:
    """Channels that stay.

    Attributes:
        kept: indices of the channels in ascending order, by group.
        removed: number of channels that are removed, of all groups together.
        macs: multiply-accumulates that remain.
    """

    kept: Mapping[str, np.ndarray]
    removed: int
    macs: int

    def plan(self) -> Plan:
        """Return the number of channels of each group."""
        return {name: len(channels) for name, channels in self.kept.items()}


class Order:
    """Order in which channels are removed: the least important of all groups first.

    Ties are removed in the order of groups and channels. The `least` most important channels of a group are never
    removed.

    Args:
        scores: importance of the channels of each group (C,).
        least: channels that every group keeps.
    """

    def __init__(self, scores: Mapping[str, np.ndarray], least: int = LEAST) -> None:
        self.sizes = {name: len(score) for name, score in scores.items()}
        candidates = []
        for number, score in enumerate(scores.values()):
            ascending = np.argsort(score, kind="stable")[: max(len(score) - least, 0)]
            candidates += [(float(score[channel]), number, int(channel)) for channel in ascending]
        names = list(scores)
        self.removable = [(names[number], channel) for _, number, channel in sorted(candidates)]

    def kept(self, removed: int) -> dict[str, np.ndarray]:
        """Return the channels that stay after the first `removed` removals, by group."""
        stays = {name: np.ones(size, bool) for name, size in self.sizes.items()}
        for name, channel in self.removable[:removed]:
            stays[name][channel] = False
        return {name: np.flatnonzero(mask) for name, mask in stays.items()}


def select(order: Order, macs: Callable[[Plan], int], target: float) -> Selection | None:
    """Find the fewest removals after which at most `target` multiply-accumulates remain; None if there are none.

    Args:
        order: of the removals.
        macs: multiply-accumulates by number of channels in each group; fewer channels never take more.
        target: to be reached.
    """

    def after(removed: int) -> Selection:
        kept = order.kept(removed)
        return Selection(kept, removed, macs({name: len(channels) for name, channels in kept.items()}))

    low, best = 0, after(0)
    if best.macs <= target:
        return best
    best = after(len(order.removable))
    if best.macs > target:
        return None
    while best.removed - low > 1:  # too many multiply-accumulates after `low` removals
        middle = after((low + best.removed) // 2)
        if middle.macs <= target:
            best = middle
        else:
            low = middle.removed
    return best
