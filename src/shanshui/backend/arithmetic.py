"""Arithmetic of the networks on a GPU: precision of convolutions and products, and algorithms whose bits repeat.

    fp32   products of single-precision numbers
    tf32   their inputs are rounded to 10 bits of mantissa inside the tensor cores (NVIDIA, from compute capability 8.0)
    bf16   convolutions get inputs rounded to bfloat16 (7 bits of mantissa, the range of float32) and return it, like
           their gradients; products of matrices as with tf32

All sums are in single precision, and so are weights, norms, losses and optimisers. bfloat16 has the range of single
precision: gradients do not vanish in it, and no loss scaling is needed. One process has one arithmetic; without a call
of `use` it is fp32, so that features and scores always are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Literal, cast

from shanshui.backend.bias_kernel import add_bias, by_function
from shanshui.backend.cudnn_header import DETERMINISTIC, PRECISION
from shanshui.backend.lazy import jt
from shanshui.errors import UsageError

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.backend.bias_kernel import Convolution, Sides

Precision = Literal["fp32", "tf32", "bf16"]
TENSOR_CORES = 1  # Jittor's `use_tensorcore` by which cuBLAS may round to TF32


@dataclass(frozen=True)
class Arithmetic:
    """Precision of convolutions and products; whether their algorithms are chosen so that bits repeat."""

    precision: Precision = "fp32"
    deterministic: bool = False

    def record(self) -> dict[str, object]:
        """Return both for the metadata of what was computed with it."""
        return {"precision": self.precision, "deterministic": self.deterministic}


def use(arithmetic: Arithmetic) -> None:
    """Compute with it in this process from now on; loads Jittor.

    On a CPU there is only fp32, and bits repeat anyway.

    Raises:
        UsageError: another precision than fp32 without a GPU.
    """
    if not jt.flags.use_cuda:
        check_cpu(arithmetic.precision)
        return
    os.environ[PRECISION] = arithmetic.precision
    os.environ[DETERMINISTIC] = str(int(arithmetic.deterministic))
    jt.flags.use_tensorcore = 0 if arithmetic.precision == "fp32" else TENSOR_CORES
    if arithmetic.precision == "bf16":
        round_convolutions(jt)


def current_precision() -> Precision:
    """Return the precision in use in this process."""
    return cast("Precision", os.environ.get(PRECISION, "fp32"))


def check_cpu(precision: Precision) -> None:
    """Check that a CPU can compute in that precision.

    Raises:
        UsageError: it is not fp32.
    """
    if precision != "fp32":
        raise UsageError(
            f"precision {precision} on a CPU", "a GPU for it",
            "set precision to fp32, or let `python -m shanshui doctor` say why no GPU is used",
        )  # fmt: skip


def round_convolutions(jt: ModuleType) -> None:
    """Replace the function that computes convolutions, and the method of their layers."""
    nn = jt.nn
    nn.conv2d = nn.conv = rounded(nn.conv2d)
    nn.Conv.execute = by_function(nn.Conv.execute, nn.conv2d)


def rounded(conv2d: Convolution) -> Convolution:
    """Wrap `conv2d`: inputs and weights (float32) are rounded to bfloat16, the result is float32 again.

    Gradients are rounded likewise before they are convolved; a bias is not. Convolutions with groups stay as they are.
    """

    def convolve(
        x: Var, weight: Var, bias: Var | None = None, stride: Sides = 1, padding: Sides = 0,
        dilation: Sides = 1,
        groups: int = 1,
    ) -> Var:  # fmt: skip
        if groups != 1 or x.dtype != "float32":
            return conv2d(x, weight, bias, stride, padding, dilation, groups)
        y = conv2d(x.bfloat16(), weight.bfloat16(), None, stride, padding, dilation).float32()
        return y if bias is None else add_bias(y, bias)

    return convolve
