"""Spectral normalisation of all layers of a network at once, on GPUs: five kernels forward, two for gradients.

The formulas are those of `nn/spectral_kernels.py`, whose kernels serve one layer each. Which layers a forward pass uses
is recorded the first time, layer by layer; later passes of the same kind normalise all of them before they begin. A
layer's vectors move on only when it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt
from shanshui.nn.norm_kernels import SUM

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.nn.spectral_norm import PairedSpectralConv, SpectralConv

    Layer: TypeAlias = "SpectralConv | PairedSpectralConv"


MOST = 48  # layers in one launch
SLICES = 32  # of a weight, each summed by one block
RECORD, READY = "_spectral_layers", "_spectral_ready"  # of a network: layers by kind of pass; of a layer: `Normalised`
PARTS = "((long long)rows * columns + PART - 1) / PART"  # blocks for a weight

LAYERS = f"""
struct Layers {{
    const float *given[6][{MOST}];
    float* result[2][{MOST}];
    int rows[{MOST}], columns[{MOST}], first[{MOST} + 1];
}};
static __device__ int which_layer(const Layers& all) {{
    int which = 0;
    while ((int)blockIdx.x >= all.first[which + 1]) which++;
    return which;
}}
"""

# vector W
LEFT = """
static __global__ void __launch_bounds__(256) left(const Layers all) {
    __shared__ float kept[256];
    const int which = which_layer(all), rows = all.rows[which], columns = all.columns[which];
    const int lane = threadIdx.x / 32, column = ((int)blockIdx.x - all.first[which]) * 32 + threadIdx.x % 32;
    const float *weight = all.given[0][which], *vector = all.given[1][which];
    float sum = 0;
    if (column < columns)
        for (int row = lane; row < rows; row += 8) sum += vector[row] * weight[(long long)row * columns + column];
    kept[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 4; half > 0; half /= 2) {
        if (lane < half) kept[threadIdx.x] += kept[threadIdx.x + half * 32];
        __syncthreads();
    }
    if (lane == 0 && column < columns) all.result[0][which][column] = kept[threadIdx.x];
}
"""

# W vector
RIGHT = """
static __global__ void __launch_bounds__(256) right(const Layers all) {
    __shared__ float kept[256];
    const int which = which_layer(all), columns = all.columns[which], row = (int)blockIdx.x - all.first[which];
    const float *weight = all.given[0][which] + (long long)row * columns, *vector = all.given[1][which];
    float sum = 0;
    for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += weight[i] * vector[i];
    sum = sum_of_block(sum, kept);
    if (threadIdx.x == 0) all.result[0][which][row] = sum;
}
"""

# a vector of unit length, and the length it had
UNIT = """
static __global__ void __launch_bounds__(256) units(const Layers all) {
    __shared__ float kept[256];
    const int n = all.columns[blockIdx.x];
    const float* x = all.given[0][blockIdx.x];
    float *y = all.result[0][blockIdx.x], sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i] * x[i];
    sum = sum_of_block(sum, kept);
    const float length = sqrtf(sum), scale = 1 / (length > 1e-12f ? length : 1e-12f);
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = x[i] * scale;
    if (threadIdx.x == 0) all.result[1][blockIdx.x][0] = sum * scale;
}
"""

DIVIDE = """
static __global__ void __launch_bounds__(256) divide(const Layers all) {
    const int which = which_layer(all);
    const long long n = (long long)all.rows[which] * all.columns[which];
    const long long start = (long long)(blockIdx.x - all.first[which]) * PART;
    const float *weight = all.given[0][which], sigma = all.given[1][which][0];
    for (long long i = start + threadIdx.x; i < n && i < start + PART; i += blockDim.x)
        all.result[0][which][i] = weight[i] / sigma;
}
"""

PRODUCTS = """
static __global__ void __launch_bounds__(256) products(const Layers all) {
    __shared__ float kept[256];
    const int which = which_layer(all), slice = (int)blockIdx.x - all.first[which];
    const long long n = (long long)all.rows[which] * all.columns[which];
    const float *weight = all.given[0][which], *grad = all.given[1][which];
    float sum = 0;
    for (long long i = slice * blockDim.x + threadIdx.x; i < n; i += SLICES * blockDim.x) sum += weight[i] * grad[i];
    sum = sum_of_block(sum, kept);
    if (threadIdx.x == 0) all.result[0][which][slice] = sum;
}
"""

WEIGHT_GRADS = """
static __global__ void __launch_bounds__(256) weight_grads(const Layers all) {
    __shared__ float kept[256];
    const int which = which_layer(all), columns = all.columns[which];
    const long long n = (long long)all.rows[which] * columns, start = (long long)(blockIdx.x - all.first[which]) * PART;
    const float *grad = all.given[1][which], *u = all.given[2][which], *v = all.given[3][which];
    const float product = sum_of_block((int)threadIdx.x < SLICES ? all.given[4][which][threadIdx.x] : 0, kept);
    const float scale = 1 / all.given[5][which][0], tilt = product * scale * scale;
    for (long long i = start + threadIdx.x; i < n && i < start + PART; i += blockDim.x)
        all.result[0][which][i] = grad[i] * scale - tilt * u[i / columns] * v[i % columns];
}
"""


class Normalised(NamedTuple):
    """A normalised weight (out, in, k, k), and the vectors u (out,) and v (in * k * k,) it was divided by."""

    weight: Var
    u: Var
    v: Var


_recorded: list[Layer] | None = None  # while a pass is recorded


@contextmanager
def normalised_together(networks: Sequence[Module], kind: Hashable) -> Iterator[None]:
    """Normalise the weights that the networks use inside, with few launches; on a CPU nothing changes.

    Args:
        networks: whose forward pass is computed inside, once.
        kind: passes of one kind use the same layers.
    """
    global _recorded
    if not applies(networks[0]):
        yield
        return
    known: dict[Hashable, list[Layer]] = networks[0].__dict__.setdefault(RECORD, {})
    if kind not in known:
        _recorded = []
        try:
            yield
            known[kind] = _recorded
        finally:
            _recorded = None
        return
    layers = known[kind]
    for start in range(0, len(layers), MOST):
        prepare(layers[start : start + MOST])
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop(READY, None)


def applies(network: Module) -> bool:
    """Return whether its layers can be normalised together: while it is trained, on a GPU, and not under MPI."""
    return bool(jt.flags.use_cuda) and not jt.in_mpi and bool(network.is_training())


def prepared(layer: Layer) -> Normalised | None:
    """Take what was computed of the layer for this pass; None, and the layer is recorded, if nothing was."""
    ready: Normalised | None = layer.__dict__.pop(READY, None)
    if ready is None and _recorded is not None and all(layer is not other for other in _recorded):
        _recorded.append(layer)
    return ready


def prepare(layers: Sequence[Layer]) -> None:
    """Normalise the weights of layers with `weight` and `weight_u`, for one use of each; at most `MOST`."""
    if not layers:
        return
    weights = [layer.weight for layer in layers]
    vectors = power_iterations(weights, [layer.weight_u for layer in layers])
    divided = DivideAll(vectors)(*weights)
    for layer, weight, u, v in zip(layers, divided, vectors.u, vectors.v, strict=True):
        layer.__dict__[READY] = Normalised(weight, u, v)


class Vectors(NamedTuple):
    """Of every weight (out, in, k, k): u (out,), v (in * k * k,) and sigma (1,)."""

    u: list[Var]
    v: list[Var]
    sigma: list[Var]


def power_iterations(weights: Sequence[Var], us: Sequence[Var]) -> Vectors:
    """Run one power iteration on every weight (out, in, k, k) from its u (out,), without gradients."""
    with jt.no_grad():
        rows = [(weight.shape[0],) for weight in weights]
        columns = [(weight.numel() // weight.shape[0],) for weight in weights]
        left = _launch(LEFT, "left", "(columns + 31) / 32", [weights, us], columns)
        v = _launch(UNIT, "units", "1", [left], columns, lengths=True)[: len(weights)]
        right = _launch(RIGHT, "right", "rows", [weights, v], rows)
        new = _launch(UNIT, "units", "1", [right], rows, lengths=True)
    kept = [one.stop_grad() for one in [*new, *v]]
    count = len(weights)
    return Vectors(kept[:count], kept[2 * count :], kept[count : 2 * count])


class DivideAll(Function):
    """weight / sigma of every weight, for vectors of `power_iterations`, which also depend on the weights."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.weights: tuple[Var, ...] = ()

    def execute(self, *weights: Var) -> list[Var]:
        """Divide the weights."""
        self.weights = weights
        return _launch(DIVIDE, "divide", PARTS, [weights, self.vectors.sigma], [tuple(one.shape) for one in weights])

    def grad(self, *grads: Var | None) -> tuple[Var | None, ...]:
        """Compute the gradients of the weights, through sigma as well."""
        used = [i for i, grad in enumerate(grads) if grad is not None]
        weights, given = [self.weights[i] for i in used], [grad for grad in grads if grad is not None]
        u, v, sigma = ([kind[i] for i in used] for kind in self.vectors)
        shapes = [tuple(one.shape) for one in weights]
        sums = _launch(PRODUCTS, "products", "SLICES", [weights, given], [(SLICES,)] * len(used))
        found = _launch(WEIGHT_GRADS, "weight_grads", PARTS, [weights, given, u, v, sums, sigma], shapes)
        by_place = dict(zip(used, found, strict=True))
        return tuple(by_place.get(i) for i in range(len(grads)))


def _launch(
    text: str, kernel: str, blocks: str, given: Sequence[Sequence[Var]], shapes: Sequence[tuple[int, ...]],
    lengths: bool = False,
) -> list[Var]:  # fmt: skip
    """Launch a kernel on arrays of every layer, the weights or vectors first.

    Args:
        text: source of the kernel.
        kernel: its name.
        blocks: that work on a layer of `rows` and `columns`.
        given: arrays by kind, each one per layer.
        shapes: of the outputs, one per layer.
        lengths: have a number per layer as outputs too, after those.
    """
    source, launch = _sources(text, blocks, len(given), len(given[0]), lengths)
    return kernels.run(
        source, launch, [array for row in zip(*given, strict=True) for array in row],
        [*shapes, *([(1,)] * len(given[0]) if lengths else [])], grid="total, 256", kernel=kernel, arguments="all",
    )  # fmt: skip


@functools.cache
def _sources(text: str, blocks: str, kinds: int, count: int, lengths: bool) -> tuple[str, str]:
    """Return a kernel's source, and the statements before its launch, for `kinds` arrays of `count` layers each."""
    constants = f"const int PART = {kernels.PART}, SLICES = {SLICES};\n"
    launch = f"""
Layers all;
int total = 0;
for (int i = 0; i < {count}; i++) {{
    for (int k = 0; k < {kinds}; k++) all.given[k][i] = _inputs[i * {kinds} + k]->ptr<float32>();
    all.result[0][i] = _outputs[i]->ptr<float32>();
    all.result[1][i] = {f"_outputs[{count} + i]->ptr<float32>()" if lengths else "nullptr"};
    const int rows = _inputs[i * {kinds}]->shape.size() > 1 ? _inputs[i * {kinds}]->shape[0] : 1;
    const int columns = _inputs[i * {kinds}]->num / rows;
    all.rows[i] = rows, all.columns[i] = columns, all.first[i] = total;
    total += {blocks};
}}
all.first[{count}] = total;
"""
    return SUM + constants + LAYERS + text, launch
