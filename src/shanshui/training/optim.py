"""Adam over the trainable parameters of networks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from shanshui.backend.kernels import elementwise
from shanshui.backend.lazy import Adam, jt

if TYPE_CHECKING:
    from jittor import Module, Var


BETAS = (0.0, 0.9)
EPS = 1e-8

STEP = """
const float m = beta1 * a1 + rest1 * a2, v = beta2 * a3 + rest2 * a2 * a2;
r0 = a0 - m * rate / (sqrtf(v) + eps), r1 = m, r2 = v;
"""


class AdamTogether(Adam):
    """Jittor's Adam with few operations for all weights instead of a dozen for each.

    Results are equal up to rounding; the state and its names are the same. Without weight decay.
    """

    def step(self, loss: Var | None = None, retain_graph: bool = False) -> None:
        """Update the weights by the gradients of `loss`, or by those computed before."""
        self.pre_step(loss, retain_graph)
        for group in self.param_groups:
            (beta1, beta2), n = group.get("betas", self.betas), self.n_step
            rate = group.get("lr", self.lr) * math.sqrt(1 - beta2**n) / (1 - beta1**n)
            rows = [
                row
                for row in zip(group["params"], group["m"], group["grads"], group["values"], strict=True)
                if not row[0].is_stop_grad()
            ]
            numbers = {"beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "rest2": 1 - beta2}
            after = elementwise(STEP, rows, 3, **numbers, rate=rate, eps=group.get("eps", self.eps))
            for (parameter, m, _, v), results in zip(rows, after, strict=True):
                for var, result in zip((parameter, m, v), results, strict=True):
                    var.update(result)
        self.post_step()
        # start the work, without waiting for it: Jittor would fuse operations on the old weights with those on the new
        # ones, which depend on each other through the kernel above
        jt.sync_all()


def trainable(networks: Iterable[Module]) -> list[Var]:
    """List the parameters of networks without their buffers (running statistics, spectral vectors).

    The networks must be in training mode: evaluation mode freezes all their parameters.
    """
    return [p for network in networks for p in network.parameters() if not p.is_stop_grad()]


def adam(networks: Iterable[Module], lr: float, betas: tuple[float, float] = BETAS) -> Adam:
    """Create Adam for networks trained together; two time scales (Heusel et al. 2017) are two of these."""
    return AdamTogether(trainable(networks), lr, eps=EPS, betas=betas)
