"""Replacements for operations of Jittor 1.3.11 that make a GPU wait for the host, installed once per process on CUDA.

Without cuTT a permutation that moves the last axis has a form for CPUs only: the GPU stops, the data goes to the host,
one core moves it, and it comes back. `argmax` along any axis but the last permutes so internally. `jt.array` stops the
GPU too as long as host memory comes from CUDA's own allocator, instead of uploading while kernels run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from shanshui.backend.bias_kernel import by_function, with_added_bias, with_bias
from shanshui.backend.cudnn_header import DETERMINISTIC, PRECISION

if TYPE_CHECKING:
    from jittor import Var

Search = Callable[..., Sequence["Var"]]  # like `jittor.arg_reduce`

CONVOLUTIONS = 1000  # shapes per direction whose fastest algorithm is kept; beyond 100 Jittor asks again at every call
WORKSPACE = 0.05  # of the device's memory, at most, for one convolution; Jittor allows a quarter


def use_cuda_forms(jt: Any) -> None:
    """Replace permutations, argmax and convolutions of a Jittor that runs on CUDA; limit what convolutions may keep."""
    jt.flags.use_cuda_host_allocator = 0
    for name in (PRECISION, DETERMINISTIC):  # fp32 until `backend.arithmetic.use`, whatever the environment holds
        os.environ.pop(name, None)
    jt.Var.transpose = jt.Var.permute = jt.transpose = jt.permute = permutation(jt)
    jt.arg_reduce = axis_search(jt, jt.arg_reduce)
    jt.nn.conv2d = jt.nn.conv = with_bias(jt.nn.conv2d)
    jt.nn.Conv.execute = by_function(jt.nn.Conv.execute, jt.nn.conv2d)
    jt.nn.ConvTranspose.execute = with_added_bias(jt.nn.ConvTranspose.execute, jt.nn.conv_transpose)
    jt.cudnn.set_algorithm_cache_size(CONVOLUTIONS)
    jt.cudnn.set_max_workspace_ratio(WORKSPACE)


def permutation(jt: ModuleType) -> Callable[..., Var]:
    """Create `Var.permute` as an operation with a form for GPUs and a gradient of the same kind.

    Called as Jittor's is: with all axes, one by one or as a sequence, with two to exchange, or without, to reverse all.
    """

    def permute(x: Var, *axes: Any) -> Var:
        order = list(axes[0]) if len(axes) == 1 and not isinstance(axes[0], int) else list(axes)
        if len(axes) == 2:  # which Jittor exchanges, however many axes there are
            order = list(range(x.ndim))
            order[axes[0]], order[axes[1]] = order[axes[1]], order[axes[0]]
        order = order or list(reversed(range(x.ndim)))
        return jt.fuse_transpose(x, order)

    return permute


def axis_search(jt: ModuleType, search: Search) -> Search:
    """Wrap Jittor's `arg_reduce` (behind `argmax`, `argmin`) so that it is called along the last axis alone."""

    def arg_reduce(x: Var, kind: str, dim: int, keepdims: bool = False) -> Sequence[Var]:
        dim %= x.ndim
        if dim < x.ndim - 1:
            x = permutation(jt)(x, [axis for axis in range(x.ndim) if axis != dim] + [dim])
        found = search(x, kind, x.ndim - 1, False)
        return [each.unsqueeze(dim) for each in found] if keepdims else found

    return arg_reduce
