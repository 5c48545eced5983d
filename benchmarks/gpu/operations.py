"""Every kind of operation the networks use, on this device, against numpy in double precision; and where it ran.

For each: the relative difference (Frobenius), whether Jittor has a form of it for GPUs (without one it runs on one
core of the CPU, with copies there and back), and with --large the milliseconds at the size of a full image.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import measuring
import numpy as np

from shanshui.backend.runtime import load_jittor

jt: Any = load_jittor(parallel_compile=True)
nn: Any = jt.nn

from shanshui.nn import losses, norms, resize  # noqa: E402 - after Jittor
from shanshui.nn.spectral_norm import PairedSpectralConv, SpectralConv  # noqa: E402
from shanshui.storage.size import Size  # noqa: E402

EXACT, FAST, TF32 = 1e-6, 1e-5, 3e-3  # relative differences; FAST: approximate exp, log, division
SHAPE = 2, 8, 32, 48

RNG = np.random.default_rng(0)
W3 = RNG.standard_normal((16, 8, 3, 3)).astype(np.float32)
W4 = RNG.standard_normal((16, 8, 4, 4)).astype(np.float32)
DEPTHWISE = RNG.standard_normal((8, 1, 3, 3)).astype(np.float32)
IDS = RNG.integers(0, 8, (2, 32, 48)).astype(np.int32)
MATRIX = (RNG.standard_normal((32, 72)) + 0.5).astype(np.float32)  # one singular value stands out
ROWS, COLUMNS = np.arange(0, 32, 2), np.arange(0, 48, 3)


@dataclass(frozen=True)
class Operation:
    """One operation on x (2, 8, 32, 48): ours, numpy's in double precision, and how far they may be apart."""

    name: str
    ours: Callable[[Any], Any]
    numpys: Callable[[np.ndarray], np.ndarray]
    tolerance: float


# --- numpy's side -------------------------------------------------------------------------------------


def windows_of(x: np.ndarray, size: tuple[int, int], stride: int, padding: int) -> np.ndarray:
    """Sliding windows (N, C, h, w, *size) of zero-padded x."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return np.lib.stride_tricks.sliding_window_view(padded, size, (2, 3))[:, :, ::stride, ::stride]


def conv(x: np.ndarray, w: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Cross-correlation, NCHW."""
    return np.einsum("nchwij,ocij->nohw", windows_of(x, w.shape[2:], stride, padding), w, optimize=True)


def conv_grad_x(x: np.ndarray, w: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Gradient of the sum of squares of conv(x, w) by x."""
    y = 2 * conv(x, w, stride, padding)
    grad = np.zeros((*x.shape[:2], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding))
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            part = np.einsum("nohw,oc->nchw", y, w[:, :, i, j], optimize=True)
            grad[:, :, i : i + stride * y.shape[2] : stride, j : j + stride * y.shape[3] : stride] += part
    return grad[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


def conv_grad_w(x: np.ndarray, w: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Gradient of the sum of squares of conv(x, w) by w."""
    y = 2 * conv(x, w, stride, padding)
    return np.einsum("nchwij,nohw->ocij", windows_of(x, w.shape[2:], stride, padding), y, optimize=True)


def depthwise(x: np.ndarray) -> np.ndarray:
    return np.einsum("nchwij,cij->nchw", windows_of(x, (3, 3), 1, 1), DEPTHWISE[:, 0].astype(np.float64), optimize=True)


def separable(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.einsum("Hh,nchw,Ww->ncHW", rows.astype(np.float64), x, columns.astype(np.float64), optimize=True)


def standardised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def instance_norm_grad(x: np.ndarray) -> np.ndarray:
    """Gradient of sum(norm(x) * x), by the product rule."""

    def mean(a: np.ndarray) -> np.ndarray:
        return a.mean((2, 3), keepdims=True)

    y, deviation = standardised(x, (2, 3)), np.sqrt(x.var((2, 3), keepdims=True) + 1e-5)
    return y + (x - mean(x) - y * mean(x * y)) / deviation


def max_pool_grad(x: np.ndarray) -> np.ndarray:
    tiles = x.reshape(2, 8, 16, 2, 24, 2)
    return np.where(tiles == tiles.max((3, 5), keepdims=True), 2 * tiles, 0).reshape(x.shape)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2


def largest_singular_value() -> np.ndarray:
    return np.linalg.svd(MATRIX.astype(np.float64))[1][:1]


# --- ours ---------------------------------------------------------------------------------------------


def squares_grad(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Gradient of the sum of squares of call(x) by x."""
    return lambda x: jt.grad(call(x).sqr().sum(), x)


def weight_grad(w: np.ndarray, stride: int, padding: int) -> Callable[[Any], Any]:
    def of(x: Any) -> Any:
        weight = jt.array(w)
        return jt.grad(nn.conv2d(x, weight, stride=stride, padding=padding).sqr().sum(), weight)

    return of


def sigma(kind: Any) -> Any:
    """The largest singular value of MATRIX after many power iterations."""
    layer = kind(8, 32, 3)
    layer.weight.assign(jt.array(MATRIX.reshape(32, 8, 3, 3)))
    for _ in range(60):
        value = layer.sigma()
        jt.sync_all()
    return value


def one_hot(x: Any) -> Any:
    classes = jt.array(np.arange(8, dtype=np.int32)).reshape(1, -1, 1, 1)
    return (jt.array(IDS).unsqueeze(1) == classes).float32()


def convolutions(tolerance: float) -> list[Operation]:
    """3x3 and 4x4 with stride, with both gradients, and a depthwise one."""
    found = []
    for name, w, stride, padding in (("3x3", W3, 1, 1), ("4x4 stride 2", W4, 2, 2)):
        call = lambda x, w=w, s=stride, p=padding: nn.conv2d(x, jt.array(w), stride=s, padding=p)
        found += [
            Operation(f"conv {name}", call, lambda x, w=w, s=stride, p=padding: conv(x, w, s, p), tolerance),
            Operation(
                f"conv {name} by x", squares_grad(call), lambda x, w=w, s=stride, p=padding: conv_grad_x(x, w, s, p),
                tolerance,
            ),
            Operation(
                f"conv {name} by w", weight_grad(w, stride, padding),
                lambda x, w=w, s=stride, p=padding: conv_grad_w(x, w, s, p), tolerance,
            ),
        ]  # fmt: skip
    return [*found, Operation(
        "depthwise conv", lambda x: nn.conv2d(x, jt.array(DEPTHWISE), padding=1, groups=8), depthwise, tolerance,
    )]  # fmt: skip


def operations(tolerance: float) -> list[Operation]:
    """All operations; `tolerance` is that of convolutions and products of matrices."""
    bilinear = resize.bilinear_matrix(32, 24), resize.bilinear_matrix(48, 40)
    pool = resize.pool_matrix(32, False), resize.pool_matrix(48, False)
    narrow, classes = MATRIX[:, :48].T, np.arange(8)[:, None, None]

    def flat_product(x: Any) -> Any:
        return x.reshape(-1, 48) @ (jt.array(narrow) if isinstance(x, jt.Var) else narrow)

    def product(x: Any) -> Any:
        return x @ x.reshape(2, 8, 48, 32)

    def swapped(x: Any) -> Any:
        return x.transpose(0, 1, 3, 2)

    def overlapping(x: Any) -> Any:
        return jt.concat([x, x[:, 2:5]], 1)[:, 3:]

    def logarithm(x: Any) -> Any:
        return ((x.exp() + 1).log() + 1).sqrt()

    def norm_grad(x: Any) -> Any:
        return jt.grad((norms.instance_norm(x) * x).sum(), x)

    table: list[tuple[str, Callable[[Any], Any], Callable[[np.ndarray], np.ndarray], float]] = [
        ("matmul", flat_product, flat_product, tolerance),
        ("batched matmul", product, product, tolerance),
        ("transpose of the last two", lambda x: swapped(x) + 0, swapped, EXACT),
        ("permute to NHWC", lambda x: x.permute(0, 2, 3, 1) + 0, lambda x: x.transpose(0, 2, 3, 1), EXACT),
        ("transpose by x", squares_grad(swapped), lambda x: 2 * x, FAST),
        ("bilinear", lambda x: resize.bilinear(x, Size(24, 40)), lambda x: separable(x, *bilinear), tolerance),
        ("halve", resize.halve, lambda x: separable(x, *pool), tolerance),
        ("upsample", resize.upsample2, lambda x: x.repeat(2, 2).repeat(2, 3), EXACT),
        ("upsample by x", squares_grad(resize.upsample2), lambda x: 8 * x, FAST),
        ("gather", lambda x: resize.pick_pixels(x, ROWS, COLUMNS), lambda x: x[:, :, ROWS][:, :, :, COLUMNS], EXACT),
        ("concat and slice", overlapping, lambda x: np.concatenate([x, x[:, 2:5]], 1)[:, 3:], EXACT),
        ("mean over all, in double", losses.mean, lambda x: x.mean().reshape(1), FAST),
        ("mean of a channel", lambda x: norms.mean(x, [0, 2]), lambda x: x.mean((0, 2, 3), keepdims=True), FAST),
        ("sum over channels", lambda x: x.sum(1), lambda x: x.sum(1), FAST),
        ("largest of channels", lambda x: x.max(1), lambda x: x.max(1), EXACT),
        ("argmax of channels", lambda x: jt.argmax(x, 1)[0], lambda x: x.argmax(1), EXACT),
        ("instance norm", norms.instance_norm, lambda x: standardised(x, (2, 3)), FAST),
        ("instance norm by x", norm_grad, instance_norm_grad, 1e-4),
        ("batch norm", lambda x: norms.BatchNorm(8)(x), lambda x: standardised(x, (0, 2, 3)), FAST),
        ("leaky ReLU", lambda x: nn.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x), EXACT),
        ("tanh", lambda x: x.tanh(), np.tanh, FAST),
        ("exp, log, sqrt", logarithm, lambda x: np.sqrt(np.log(np.exp(x) + 1) + 1), FAST),
        ("division", lambda x: x / (x.sqr() + 1), lambda x: x / (x**2 + 1), FAST),
        ("sigmoid", lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x)), FAST),
        ("gelu", nn.gelu, gelu, FAST),
        ("where", lambda x: jt.where(x > 0.1, x, x * 2), lambda x: np.where(x > np.float32(0.1), x, x * 2), EXACT),
        ("one-hot", one_hot, lambda x: (IDS[:, None] == classes).astype(float), EXACT),
        ("max pool", lambda x: nn.Pool(2, 2)(x), lambda x: x.reshape(2, 8, 16, 2, 24, 2).max((3, 5)), EXACT),
        ("max pool by x", squares_grad(lambda x: nn.Pool(2, 2)(x)), max_pool_grad, EXACT),
        ("spectral norm's sigma", lambda x: sigma(SpectralConv), lambda x: largest_singular_value(), 1e-3),
        ("its paired form", lambda x: sigma(PairedSpectralConv), lambda x: largest_singular_value(), 1e-3),
    ]
    return [*convolutions(tolerance), *(Operation(*row) for row in table)]


LARGE: dict[str, Callable[[Any], Any]] = {
    "transpose of the last two": lambda x: x.transpose(0, 1, 3, 2) + 0,
    "permute to NHWC": lambda x: x.permute(0, 2, 3, 1) + 0,
    "halve": resize.halve,
    "bilinear": lambda x: resize.bilinear(x, Size(192, 256)),
    "upsample": resize.upsample2,
    "batch norm": lambda x: norms.BatchNorm(32)(x),
    "instance norm": norms.instance_norm,
    "leaky ReLU": lambda x: nn.leaky_relu(x, 0.2),
    "mean over all, in double": losses.mean,
    "argmax of channels": lambda x: jt.argmax(x, 1)[0],
    "concat and slice": lambda x: jt.concat([x, x[:, 2:5]], 1)[:, 3:],
    "max pool": lambda x: nn.Pool(2, 2)(x),
    "conv 3x3": lambda x: nn.conv2d(x, jt.ones((32, 32, 3, 3)), padding=1),
}


# --- measuring ----------------------------------------------------------------------------------------


def runs_on_gpu(call: Callable[[Any], Any], x: np.ndarray) -> bool | None:
    """Whether all of a call runs there: with use_cuda 2 Jittor refuses what has no form for GPUs. None on a CPU."""
    if not jt.flags.use_cuda:
        return None
    try:
        jt.flags.use_cuda = 2
        call(jt.array(x)).sync()
        return True
    except RuntimeError as error:
        lines = str(error).splitlines()
        print("    " + next((line for line in lines if "cuda version" in line), str(error)[:200]), flush=True)
        return False
    finally:
        jt.flags.use_cuda = 1


def compute(found: list[Operation], x: np.ndarray) -> dict[str, Any]:
    """Results or errors by name. All at once, so that Jittor compiles the kernels side by side; singly what is left."""
    results: dict[str, Any] = {}
    try:
        together = {operation.name: operation.ours(jt.array(x)) for operation in found}
        jt.sync(list(together.values()))
        results = {name: var.numpy() for name, var in together.items()}
    except Exception as error:
        print("    not all at once: " + str(error).strip()[-300:], flush=True)
    for operation in found:
        if operation.name not in results:
            try:
                results[operation.name] = operation.ours(jt.array(x)).numpy()
            except Exception as error:  # the next operation is to be tried all the same
                results[operation.name] = error
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tf32", action="store_true", help="convolutions may differ as much as TF32 lets them")
    parser.add_argument("--large", action="store_true", help="milliseconds at (2, 32, 384, 512), too")
    args = parser.parse_args()
    x = (RNG.standard_normal(SHAPE) + 0.5).astype(np.float32)
    found, wrong = operations(TF32 if args.tf32 else FAST), []
    results = compute(found, x)
    for operation in found:
        result = results[operation.name]
        if isinstance(result, Exception):
            measuring.report("operation", name=operation.name, fine=False, error=str(result).strip()[-300:])
            wrong.append(operation.name)
            continue
        difference = measuring.relative_difference(result, operation.numpys(x.astype(np.float64)))
        fine, on_gpu = difference <= operation.tolerance, runs_on_gpu(operation.ours, x)
        measuring.report("operation", name=operation.name, difference=difference, fine=fine, on_gpu=on_gpu)
        if not fine or on_gpu is False:
            wrong.append(operation.name)
    if args.large:
        big = jt.randn(2, 32, 384, 512)
        for name, call in LARGE.items():
            try:
                ms = measuring.median_ms(lambda call=call: call(big).sync(), lambda: jt.sync_all(True), 0.3)
                measuring.report("large operation", name=name, ms=ms, gb_per_s=2 * 4 * big.numel() / ms / 1e6)
            except Exception as error:
                measuring.report("large operation", name=name, error=str(error).strip()[-300:])
    measuring.report("operations", wrong_or_on_cpu=len(wrong), which=wrong)
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
