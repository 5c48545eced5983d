"""Batch norm with learnt scale and shift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.lazy import jt
from shanshui.nn.norm_kernels import standardise, usable
from shanshui.nn.norms import BatchNorm

if TYPE_CHECKING:
    from jittor import Var


class AffineBatchNorm(BatchNorm):
    """Batch norm with scale and shift: weight * standardised(x) + bias, (N, C, h, w) -> (N, C, h, w).

    The weight starts normal around 1 with standard deviation 0.02, as in the code of SPADE and related models.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = jt.init.gauss((channels,), mean=1.0, std=0.02)
        self.bias = jt.zeros((channels,))

    def execute(self, x: Var) -> Var:
        """Normalise x (N, C, h, w), by its own statistics in training, by the running ones otherwise."""
        if self.is_training() and usable(x):
            return standardise(x, self.weight, self.bias, unit=0.0, norm=self)
        return super().execute(x) * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)
