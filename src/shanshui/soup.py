"""Greedy soup (Wortsman et al. 2022): checkpoints join an average one by one, best first, while it gets better.

It looks at more checkpoints than every subset of the best few can, with one average to score for each. What is
scored next depends on what was found before, so that this is written as a question asked again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Soup:
    """The average so far, by name of its members, and the model to be scored before more can be said."""

    members: tuple[str, ...]
    wanted: str | None

    @property
    def model(self) -> str:
        """Name of the average, or of the only checkpoint."""
        return average_name(self.members)


def average_name(members: Iterable[str]) -> str:
    """`271+299` for the checkpoints epoch_299 and epoch_271 in any order; a single one keeps its name."""
    epochs = sorted(member.removeprefix("epoch_") for member in members)
    return "+".join(epochs) if len(epochs) > 1 else f"epoch_{epochs[0]}"


def greedy_soup(order: Sequence[str], values: Mapping[str, float], lower: bool = True) -> Soup:
    """The soup as far as `values` (metric of every model scored so far, by name) tell.

    `order` are checkpoints, best first. A checkpoint stays in where the average with it is strictly better than
    the one without. `wanted` is None when all have been tried; otherwise score it and ask again.

    Raises KeyError where the best checkpoint itself has no value.
    """
    members, best = [order[0]], values[order[0]]
    for checkpoint in order[1:]:
        trial = average_name([*members, checkpoint])
        if trial not in values:
            return Soup(tuple(members), trial)
        if values[trial] < best if lower else values[trial] > best:
            members, best = [*members, checkpoint], values[trial]
    return Soup(tuple(members), None)
