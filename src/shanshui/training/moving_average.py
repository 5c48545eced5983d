"""Exponential moving average (EMA) of a generator's weights, which smooths out GAN training steps.

Yazici et al. 2019, "The unusual effectiveness of averaging in GAN training".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.kernels import elementwise
from shanshui.backend.lazy import jt
from shanshui.nn.singular_vectors import refresh_singular_vectors
from shanshui.storage.checkpoint import Arrays, check_keys

if TYPE_CHECKING:
    from jittor import Module, Var


STEPS = "steps"
FOLLOW = "r0 = a0 * decay + a1 * rest;"


class MovingAverage:
    """Average of parameters and running statistics of networks, updated after every step.

    The decay grows with the steps, (1 + steps) / (10 + steps) up to `decay`, so that the initial weights of a short
    training lose their influence.

    Args:
        networks: by letter, as in a checkpoint.
        decay: weight of the past in every step, 0 to 1.
    """

    def __init__(self, networks: Mapping[str, Module], decay: float) -> None:
        self.decay, self.steps = decay, 0
        variables = {
            f"{letter}.{name}": var
            for letter, network in networks.items()
            for name, var in network.state_dict().items()
        }
        self.mean = {name: jt.array(var.numpy()).stop_grad() for name, var in variables.items()}
        self._variables = list(variables.values())  # layers keep theirs: `update` and `assign` replace contents

    def update(self) -> None:
        """Add the present weights to the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        jt.sync_all()  # fused with what is still pending, the same numbers would be rounded otherwise
        with jt.no_grad():
            follow_together(list(self.mean.values()), self._variables, decay)
        jt.sync_all()

    def weights(self) -> Arrays:
        """Return the averaged arrays as in a checkpoint; singular vectors of spectral norm fit the averaged weights."""
        return refresh_singular_vectors(self._arrays())

    def state(self) -> Arrays:
        """Return the state for `restore`."""
        return self._arrays() | {STEPS: np.array([self.steps], np.int64)}

    def restore(self, arrays: Arrays, source: str) -> None:
        """Restore a state returned by `state`.

        Raises:
            ShanshuiError: names or shapes differ; the message calls the state `source`.
        """
        check_keys(arrays, {name: tuple(var.shape) for name, var in self.mean.items()} | {STEPS: (1,)}, source)
        self.steps = int(arrays[STEPS][0])
        for name, var in self.mean.items():
            var.assign(jt.array(arrays[name]))
        jt.sync_all()

    def _arrays(self) -> Arrays:
        return {name: np.array(var.numpy()) for name, var in self.mean.items()}


def follow_together(means: Sequence[Var], variables: Sequence[Var], decay: float) -> None:
    """Set every mean to mean * decay + variable * (1 - decay) with few operations."""
    rows = list(zip(means, variables, strict=True))
    for mean, (after,) in zip(means, elementwise(FOLLOW, rows, 1, decay=decay, rest=1 - decay), strict=True):
        mean.update(after)
