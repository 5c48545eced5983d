"""Gradient accumulation: the update by a whole batch, computed from equal parts of it one after another.

Losses are means over images, so the mean of the parts' gradients is the batch's. Three things would still differ, and
are kept equal: random numbers are drawn for the whole batch, and every part uses its rows; the power iterations of
spectral norm start from the same vectors in every part; Adam counts the update once. What depends on all images of a
batch is computed on each part instead: the statistics of batch norm, and OASIS's weights of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.noise_source import NoiseSource
from shanshui.backend import ranks
from shanshui.backend.lazy import jt
from shanshui.nn.losses import total
from shanshui.nn.singular_vectors import VECTORS
from shanshui.storage.size import Size
from shanshui.training.augment import Draws, draw_augmentation
from shanshui.training.fakes import FRESH

if TYPE_CHECKING:
    from jittor import Module, Var
    from jittor.optim import Adam

    from shanshui.architectures.base import Terms


class BatchDraws:
    """Random numbers of a batch in `parts`, drawn for all of them while the first is computed.

    Of several MPI ranks each has rows of every part.

    Args:
        parts: of the batch; 1 draws as without accumulation.
        rng: source of augmentation.
    """

    def __init__(self, parts: int, rng: np.random.Generator) -> None:
        self.parts, self.part = parts, 0
        self.noise_source = FRESH if parts == 1 else NoiseSource(self._layer, self._vector)
        self._rng = rng
        self._augmentation: Draws | None = None
        self._drawn: list[Var] = []
        self._used = 0

    def begin(self, part: int) -> None:
        """Continue with a part of the batch, counted from 0."""
        self.part, self._used = part, 0

    def rows(self, n: int) -> slice:
        """Return which rows of the batch are the `n` of this rank's share of the part."""
        start = (self.part * ranks.world_size() + ranks.rank()) * n
        return slice(start, start + n)

    def augmentation(self, operations: tuple[str, ...], n: int, size: Size) -> Draws:
        """Return the augmentation parameters of the part's `n` images."""
        if self.part == 0:
            whole = n * self.parts * ranks.world_size()
            self._augmentation = draw_augmentation(self._rng, operations, whole, size)
        return (self._augmentation or Draws()).rows(self.rows(n))

    def _layer(self, layer: int, n: int, height: int, width: int) -> Var:
        return self._normal(n, 1, height, width)

    def _vector(self, n: int, length: int) -> Var:
        return self._normal(n, length)

    def _normal(self, n: int, *shape: int) -> Var:
        """Return the part's rows of the next normal numbers (n, *shape)."""
        if self.part == 0:
            whole = jt.randn(n * self.parts * ranks.world_size(), *shape)
            jt.sync([whole])
            self._drawn.append(whole.stop_grad())
        self._used += 1
        return self._drawn[self._used - 1][self.rows(n)]


class SingularVectors:
    """The vectors of spectral norm in networks at the beginning of an update."""

    def __init__(self, networks: Iterable[Module]) -> None:
        self._vectors = [
            var
            for network in networks
            for name, var in network.state_dict().items()
            if name.endswith(VECTORS) and var.is_stop_grad()
        ]
        self._start = [var.copy().stop_grad() for var in self._vectors]
        if self._start:
            jt.sync(self._start)

    def restore(self) -> None:
        """Set the vectors back."""
        for var, start in zip(self._vectors, self._start, strict=True):
            var.update(start.copy())


def update(
    optimizer: Adam, networks: Iterable[Module], draws: BatchDraws, terms_of: Callable[[int], Terms]
) -> dict[str, Var]:
    """Update weights by the gradients of all parts of a batch; return the mean of every loss term over the parts.

    Args:
        optimizer: of the weights.
        networks: all that take part in the computation.
        draws: random numbers of the batch.
        terms_of: computes the loss terms of a part.
    """
    if draws.parts == 1:
        terms = terms_of(0)
        optimizer.step(total(terms.values()))
        return terms
    start = SingularVectors(networks)
    found: list[Terms] = []
    for part in range(draws.parts):
        draws.begin(part)
        if part:
            start.restore()
            optimizer.n_step -= 1  # `backward` adds one, and Adam's bias correction counts updates
        terms = terms_of(part)
        optimizer.backward(total(terms.values()) / draws.parts)
        found.append({name: term.detach() for name, term in terms.items()})
        jt.sync_all()  # computes the part now, so that memory holds one
    optimizer.step()
    return {name: total(terms[name] for terms in found) / draws.parts for name in found[0]}
