"""`jittor.optim`, as far as this project uses it."""

from typing import TypedDict

from jittor import Var

class _Group(TypedDict, total=False):
    params: list[Var]
    grads: list[Var]
    m: list[Var]
    values: list[Var]
    lr: float
    eps: float
    betas: tuple[float, float]

class Optimizer:
    lr: float
    n_step: int
    param_groups: list[_Group]
    def pre_step(self, loss: Var | None, retain_graph: bool = False) -> None: ...
    def post_step(self) -> None: ...
    def step(self, loss: Var | None = None, retain_graph: bool = False) -> None: ...
    def zero_grad(self) -> None: ...
    def backward(self, loss: Var, retain_graph: bool = False) -> None: ...

class Adam(Optimizer):
    eps: float
    betas: tuple[float, float]
    def __init__(
        self,
        params: list[Var],
        lr: float,
        eps: float = 1e-8,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0,
    ) -> None: ...
