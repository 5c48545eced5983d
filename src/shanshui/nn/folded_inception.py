"""The FID Inception for features only: the same result with fewer passes over memory (CPU kernels).

Three identities hold between a filled `Inception("fid")` and what is computed here, up to rounding:

    normalise(W * x)     = (scale W) * x + bias        the statistics are fixed and folded into the weights
    W * mean3x3(x)       = mean3x3(W * x)              W is 1x1: the mean is of the 32 to 192 channels after it
    relu(max(y) + bias)  = max(relu(y + bias))         adding and ReLU keep the order

By the second one all 1x1 convolutions of a block's input, its pooled branch included, are one convolution. The steps
between two convolutions (bias, ReLU, pools, the concatenation of branches) are one OpenMP kernel, in which every value
is computed by one thread: its bits do not depend on the number of threads. There are no gradients.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from shanshui.backend.lazy import jt, nn
from shanshui.nn.inception import EPS, BasicConv, Inception, Mixed

if TYPE_CHECKING:
    from jittor import Var


Window = Literal["pixel", "mean", "max", "halve"]  # of 3x3 but for "pixel"; "halve" is the maximum at stride 2
Route = tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """Channels of a convolution's output (N, C, H, W) and their next step: relu(window(y) + bias).

    `bias` belongs to all C channels; of these, `count` from `first` on are used.
    """

    y: Var
    bias: Var
    first: int
    count: int
    window: Window = "pixel"


@dataclass(frozen=True)
class Layer:
    """Convolution and normalisation in one: weight (O, I, kh, kw), bias (O,)."""

    weight: Var
    bias: Var
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    def __call__(self, x: Var) -> Piece:
        """Convolve (N, I, H, W), and return all output channels as a piece."""
        y = nn.conv2d(x, self.weight, stride=self.stride, padding=self.padding)
        return Piece(y, self.bias, 0, self.weight.shape[0])


def fold(module: BasicConv) -> Layer:
    """Fold the stored statistics of `module` into its convolution."""
    norm = module.bn
    weight, bias, mean, variance = (
        part.numpy().astype(np.float64) for part in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    scale = weight / np.sqrt(variance + EPS)
    folded = module.conv.weight.numpy() * scale[:, None, None, None], bias - mean * scale
    kernel, shift = (jt.array(array.astype(np.float32)).stop_grad() for array in folded)
    return Layer(kernel, shift, module.conv.stride, module.conv.padding)


def join(pieces: Sequence[Piece]) -> Var:
    """Apply the next step of every piece, and concatenate over channels: (N, sum of counts, H', W')."""
    n, _, height, width = pieces[0].y.shape
    if pieces[0].window == "halve":
        height, width = (height - 1) // 2, (width - 1) // 2
    shape = n, sum(piece.count for piece in pieces), height, width
    inputs = [var for piece in pieces for var in (piece.y, piece.bias)]
    rows = ", ".join(
        f'{{in{2 * i}_p, in{2 * i + 1}_p, in{2 * i}_shape1, (long)data["first{i}"], (long)data["count{i}"], '
        f"in{2 * i}_shape2, in{2 * i}_shape3, window_{piece.window}}}"
        for i, piece in enumerate(pieces)
    )
    places = {f"{name}{i}": getattr(piece, name) for i, piece in enumerate(pieces) for name in ("first", "count")}
    source = f"const Piece pieces[] = {{{rows}}};" + JOIN
    return jt.code(shape, "float32", inputs, cpu_header=WINDOWS, cpu_src=source, data=places)


WINDOWS = """
#include <algorithm>
#include <vector>

struct Piece {
    const float *y, *bias;
    long channels, first, count, height, width;
    void (*window)(const float* y, float* out, long height, long width, float bias);
};

inline float finish(float value, float bias) {
    value += bias;
    return value < 0 ? 0 : value;
}

inline void window_pixel(const float* y, float* out, long height, long width, float bias) {
    for (long p = 0; p < height * width; p++) out[p] = finish(y[p], bias);
}

inline void window_mean(const float* y, float* out, long height, long width, float bias) {
    std::vector<float> line(width + 2, 0);  // sums of a column's rows, between two zeros
    float* sums = line.data() + 1;
    for (long i = 0; i < height; i++) {
        const long top = std::max(i - 1, 0l), end = std::min(i + 2, height);
        for (long j = 0; j < width; j++) sums[j] = y[top * width + j];
        for (long row = top + 1; row < end; row++)
            for (long j = 0; j < width; j++) sums[j] += y[row * width + j];
        const float share = 1.0f / ((end - top) * std::min(width, 3l));
        const float edge = 1.0f / ((end - top) * std::min(width, 2l));
        for (long j = 0; j < width; j++) {
            const float factor = j == 0 || j == width - 1 ? edge : share;
            out[i * width + j] = finish((sums[j - 1] + sums[j] + sums[j + 1]) * factor, bias);
        }
    }
}

inline void largest_rows(const float* y, float* line, long top, long end, long width) {
    for (long j = 0; j < width; j++) line[j] = y[top * width + j];
    for (long row = top + 1; row < end; row++)
        for (long j = 0; j < width; j++) line[j] = std::max(line[j], y[row * width + j]);
}

inline void window_max(const float* y, float* out, long height, long width, float bias) {
    std::vector<float> line(width);
    for (long i = 0; i < height; i++) {
        largest_rows(y, line.data(), std::max(i - 1, 0l), std::min(i + 2, height), width);
        for (long j = 0; j < width; j++) {
            const float beside = std::max(line[std::max(j - 1, 0l)], line[std::min(j + 1, width - 1)]);
            out[i * width + j] = finish(std::max(line[j], beside), bias);
        }
    }
}

inline void window_halve(const float* y, float* out, long height, long width, float bias) {
    std::vector<float> line(width);
    const long rows = (height - 1) / 2, columns = (width - 1) / 2;
    for (long i = 0; i < rows; i++) {
        largest_rows(y, line.data(), 2 * i, 2 * i + 3, width);
        for (long j = 0; j < columns; j++)
            out[i * columns + j] = finish(std::max(std::max(line[2 * j], line[2 * j + 1]), line[2 * j + 2]), bias);
    }
}
"""

JOIN = """
const long N = out_shape0, C = out_shape1, S = out_shape2 * out_shape3;
#pragma omp parallel for schedule(dynamic, 16)
for (long plane = 0; plane < N * C; plane++) {
    const Piece* piece = pieces;
    long c = plane % C;
    for (; c >= piece->count; piece++) c -= piece->count;
    c += piece->first;
    const long size = piece->height * piece->width;
    const float* y = piece->y + (plane / C * piece->channels + c) * size;
    piece->window(y, out_p + plane * S, piece->height, piece->width, piece->bias[c]);
}
"""


# Layers before the first block, with the pool behind them.
STEM: tuple[tuple[str, Window], ...] = (
    ("Conv2d_1a_3x3", "pixel"),
    ("Conv2d_2a_3x3", "pixel"),
    ("Conv2d_2b_3x3", "halve"),
    ("Conv2d_3b_1x1", "pixel"),
    ("Conv2d_4a_3x3", "halve"),
)


def _chain(name: str, count: int) -> Route:
    """List the layers `name`_1 ... `name`_count as a route."""
    return tuple(f"{name}_{i}" for i in range(1, count + 1))


def _fork(*names: str) -> list[Route]:
    """List two routes that differ in their last layer, "a" along rows and "b" along columns."""
    return [(*names[:-1], names[-1] + side) for side in "ab"]


# The layers from a block's input to each part of its output, in the order of the output.
# What is named for a window is a pool of the input itself.
POOLS: tuple[Window, ...] = ("halve", "max")
A = (("branch1x1",), _chain("branch5x5", 2), _chain("branch3x3dbl", 3), ("branch_pool",))
B = (("branch3x3",), _chain("branch3x3dbl", 3), ("halve",))
C = (("branch1x1",), _chain("branch7x7", 3), _chain("branch7x7dbl", 5), ("branch_pool",))
D = (_chain("branch3x3", 2), _chain("branch7x7x3", 4), ("halve",))
FORKS = (
    ("branch1x1",),
    *_fork("branch3x3_1", "branch3x3_2"),
    *_fork("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
)
ROUTES: dict[str, tuple[Route, ...]] = {
    "5b": A, "5c": A, "5d": A, "6a": B, "6b": C, "6c": C, "6d": C, "6e": C, "7a": D,
    "7b": (*FORKS, ("branch_pool",)), "7c": (*FORKS, ("max", "branch_pool")),
}  # fmt: skip


class Block:
    """One Mixed block: `routes` through its folded layers, with all 1x1 layers at the start as one convolution."""

    def __init__(self, mixed: Mixed, routes: tuple[Route, ...]) -> None:
        names = dict.fromkeys(name for route in routes for name in route if name not in POOLS)
        self._layers = {name: fold(getattr(mixed, name)) for name in names}
        self._routes = routes
        starts = dict.fromkeys(route[0] for route in routes if route[0] in self._layers)
        self._heads = [name for name in starts if tuple(self._layers[name].weight.shape[2:]) == (1, 1)]
        heads = [self._layers.pop(name) for name in self._heads]
        self._counts = [head.weight.shape[0] for head in heads]
        self._head = Layer(jt.concat([head.weight for head in heads], 0), jt.concat([head.bias for head in heads], 0))
        self._no_bias = jt.zeros((mixed.inputs,)).stop_grad()

    def __call__(self, x: Var) -> Var:
        """Apply the block: (N, C, H, W) -> (N, C', H', W')."""
        maps: dict[Route, Var] = {(): x}
        pieces = self._first_pieces(x)
        for route in self._routes:
            for length, name in enumerate(route):
                before, after = route[:length], route[: length + 1]
                if after in pieces:
                    continue
                if before not in maps:
                    maps[before] = join([pieces[before]])
                pieces[after] = self._step(name, maps[before])
        return join([pieces[route] for route in self._routes])

    def _first_pieces(self, x: Var) -> dict[Route, Piece]:
        whole = self._head(x)
        firsts = itertools.accumulate(self._counts, initial=0)
        return {
            (name,): replace(whole, first=first, count=count, window="mean" if name == "branch_pool" else "pixel")
            for name, first, count in zip(self._heads, firsts, self._counts, strict=False)
        }

    def _step(self, name: str, x: Var) -> Piece:
        if name in POOLS:
            return Piece(x, self._no_bias, 0, x.shape[1], name)  # x is no less than 0: ReLU leaves it as it is
        return self._layers[name](x)


class FoldedInception:
    """`Inception("fid")` with its weights in place, for features only; needs `backend.device.on_cpu()`."""

    def __init__(self, network: Inception) -> None:
        self._stem = [(fold(getattr(network, name)), window) for name, window in STEM]
        self._blocks = {name: Block(getattr(network, f"Mixed_{name}"), routes) for name, routes in ROUTES.items()}

    def __call__(self, x: Var) -> list[Var]:
        """Compute the four maps of `Inception.execute` for images (N, 3, H, W) in [-1, 1]."""
        taps = []
        for layer, window in self._stem:
            x = join([replace(layer(x), window=window)])
            if window == "halve":
                taps.append(x)
        for name, block in self._blocks.items():
            x = block(x)
            if name == "6e":
                taps.append(x)
        return [*taps, x.mean((2, 3), keepdims=True)]
