"""Adam over the trainable parameters of networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shanshui.runtime import load_jittor

if TYPE_CHECKING:
    from jittor import Var

jt = load_jittor()

BETAS = (0.0, 0.9)
EPS = 1e-8


def trainable(networks: Iterable[Any]) -> list[Var]:
    """Parameters of the networks without their buffers (running statistics, spectral vectors).

    The networks must be in training mode: evaluation mode freezes all their parameters.
    """
    return [p for network in networks for p in network.parameters() if not p.is_stop_grad()]


def adam(networks: Iterable[Any], lr: float, betas: tuple[float, float] = BETAS) -> Any:
    """Adam for networks trained together; two time scales (Heusel et al. 2017) are two of these."""
    return jt.optim.Adam(trainable(networks), lr, eps=EPS, betas=betas)
