"""`jittor.nn`, as far as this project uses it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jittor import Module as Module
from jittor import Var

_Pair = int | tuple[int, int]

class Conv(Module):
    weight: Var
    bias: Var | None
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: _Pair,
        stride: _Pair = 1,
        padding: _Pair = 0,
        dilation: _Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None: ...
    def __call__(self, x: Var) -> Var: ...
    def execute(self, x: Var) -> Var: ...

Conv2d = Conv

class ConvTranspose(Module):
    weight: Var
    bias: Var | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    output_padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: _Pair,
        stride: _Pair = 1,
        padding: _Pair = 0,
        output_padding: _Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: _Pair = 1,
    ) -> None: ...
    def __call__(self, x: Var) -> Var: ...
    def execute(self, x: Var) -> Var: ...

class Linear(Module):
    weight: Var
    bias: Var | None
    in_features: int
    out_features: int
    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None: ...
    def __call__(self, x: Var) -> Var: ...
    def execute(self, x: Var) -> Var: ...

class BatchNorm(Module):
    weight: Var
    bias: Var
    running_mean: Var
    running_var: Var
    eps: float
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None: ...
    def __call__(self, x: Var) -> Var: ...

class ReLU(Module):
    def __call__(self, x: Var) -> Var: ...

class LeakyReLU(Module):
    def __init__(self, scale: float = 0.01) -> None: ...
    def __call__(self, x: Var) -> Var: ...

class Pool(Module):
    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        op: str = "maximum",
    ) -> None: ...
    def __call__(self, x: Var) -> Var: ...

class MaxPool2d(Module):
    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None: ...
    def __call__(self, x: Var) -> Var: ...

class Sequential(Module):
    layers: dict[str | int, Module]
    def __init__(self, *layers: Module | Iterable[Module] | Mapping[str, Module]) -> None: ...
    def __call__(self, x: Var) -> Var: ...
    def __getitem__(self, index: int | str) -> Any: ...  # Module, of the class that was put there
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def append(self, module: Module) -> None: ...

ModuleList = Sequential

class ParameterList(Module):
    params: dict[int, Var]
    def __init__(self, *parameters: Var | Iterable[Var]) -> None: ...
    def __getitem__(self, index: int) -> Var: ...
    def __iter__(self) -> Iterator[Var]: ...
    def __len__(self) -> int: ...

def conv(
    x: Var,
    weight: Var,
    bias: Var | None = None,
    stride: _Pair = 1,
    padding: _Pair = 0,
    dilation: _Pair = 1,
    groups: int = 1,
) -> Var: ...
def conv2d(
    x: Var,
    weight: Var,
    bias: Var | None = None,
    stride: _Pair = 1,
    padding: _Pair = 0,
    dilation: _Pair = 1,
    groups: int = 1,
) -> Var: ...
def gelu(x: Var) -> Var: ...
def leaky_relu(x: Var, scale: float = 0.01) -> Var: ...
def relu(x: Var) -> Var: ...
def softmax(x: Var, dim: int | None = None) -> Var: ...
def unfold(x: Var, kernel_size: _Pair, dilation: _Pair = 1, padding: _Pair = 0, stride: _Pair = 1) -> Var: ...
