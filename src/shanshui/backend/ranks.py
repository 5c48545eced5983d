"""MPI ranks for data-parallel training. A single process is rank 0 of 1, without overhead.

A step of several ranks is the step of one process on the whole batch, but for rounding: all draw the same
random numbers for the whole batch and use their rows; batch norm uses statistics of all ranks
(`nn.norms.over_ranks`); the optimiser averages the gradients. All other terms are means of per-image values, whose
mean over the ranks is the whole batch's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shanshui.backend.lazy import jt


def rank() -> int:
    """Return the number of this rank, from 0."""
    return int(jt.rank)


def world_size() -> int:
    """Return the number of ranks."""
    return int(jt.world_size)


def shard(n: int) -> slice:
    """Return the `n` rows of the whole batch that are this rank's."""
    return slice(rank() * n, (rank() + 1) * n)


def all_reduce_mean(values: Mapping[str, float]) -> dict[str, float]:
    """Average values over the ranks, by name; the names are the same on all of them."""
    if world_size() == 1:
        return dict(values)
    total = jt.array(np.array(list(values.values()), np.float32)).mpi_all_reduce("add").numpy() / world_size()
    return dict(zip(values, (float(value) for value in total), strict=True))


def broadcast(number: int) -> int:
    """Broadcast the `number` of rank 0 to all ranks."""
    if world_size() == 1:
        return number
    value = np.array([number], np.int32)
    jt.mpi.broadcast(value, 0)  # in place
    return int(value[0])
