"""Weighted means over many arrays as one number, for GPUs: two kernels forward, one backward.

    loss = sum over i of weight[i] * mean(value(a[i], b[i]))

Jittor needs three launches for a mean and one or two for its gradient, and a step has some forty: feature matching
alone compares fifteen maps. Sums have a fixed order, so that bits repeat, and end in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shanshui.backend import kernels
from shanshui.backend.lazy import Function, jt
from shanshui.nn.norm_kernels import SUM, usable

if TYPE_CHECKING:
    from jittor import Var

MOST = 48  # arrays in one launch


@dataclass(frozen=True)
class Formula:
    """A loss of a number a, in some of another number b, and its derivative by a, as C++."""

    value: str
    slope: str


ABSOLUTE = Formula("fabsf(a - b)", "(a < b ? -1.0f : 1.0f)")
SOFTPLUS = "(fmaxf({0}, 0) + logf(1 + expf(-fabsf({0}))))"
GAN = {  # of a prediction: for the generator, for the discriminator on photographs, and on fakes; see `nn.losses`
    "hinge": (
        Formula("-a", "-1.0f"), Formula("fmaxf(1 - a, 0)", "(a < 1 ? -1.0f : 0.0f)"),
        Formula("fmaxf(1 + a, 0)", "(a > -1 ? 1.0f : 0.0f)"),
    ),
    "ls": (
        Formula("(a - 1) * (a - 1)", "2 * (a - 1)"), Formula("(a - 1) * (a - 1)", "2 * (a - 1)"),
        Formula("a * a", "2 * a"),
    ),
    "bce": (
        Formula(SOFTPLUS.format("-a"), "-1 / (1 + expf(a))"), Formula(SOFTPLUS.format("-a"), "-1 / (1 + expf(a))"),
        Formula(SOFTPLUS.format("a"), "1 / (1 + expf(-a))"),
    ),
    "w": (Formula("-a", "-1.0f"), Formula("-a", "-1.0f"), Formula("a", "1.0f")),
}  # fmt: skip

MAPS = f"""
struct Maps {{
    const float *a[{MOST}], *b[{MOST}];
    float* result[{MOST}];
    long long size[{MOST}];
    float factor[{MOST}];
    int first[{MOST} + 1];
}};
static __device__ int which_map(const Maps& all) {{
    int which = 0;
    while ((int)blockIdx.x >= all.first[which + 1]) which++;
    return which;
}}
"""
PARTS = """
static __global__ void __launch_bounds__(256) mean_parts(const Maps all, float* parts) {{
    __shared__ float kept[256];
    const int which = which_map(all);
    const long long start = (long long)(blockIdx.x - all.first[which]) * {part}, size = all.size[which];
    const long long end = start + {part} < size ? start + {part} : size;
    float sum = 0;
    for (long long i = start + threadIdx.x; i < end; i += blockDim.x) {{
        const float a = all.a[which][i], b = all.b[which] ? all.b[which][i] : 0;
        (void)b;
        sum += {value};
    }}
    sum = sum_of_block(sum, kept);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum * all.factor[which];
}}
"""
TOTAL = """
static __global__ void __launch_bounds__(256) sum_parts(const float* parts, float* total, int n) {
    __shared__ double kept[256];
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += parts[i];
    kept[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) kept[threadIdx.x] += kept[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) total[0] = kept[0];
}
"""
GRADS = """
static __global__ void __launch_bounds__(256) mean_grads(const Maps all, const float* grad) {{
    const int which = which_map(all);
    const long long start = (long long)(blockIdx.x - all.first[which]) * {part}, size = all.size[which];
    const long long end = start + {part} < size ? start + {part} : size;
    const float factor = all.factor[which] * grad[0];
    for (long long i = start + threadIdx.x; i < end; i += blockDim.x) {{
        const float a = all.a[which][i], b = all.b[which] ? all.b[which][i] : 0;
        (void)a, (void)b;
        all.result[which][i] = factor * {slope};
    }}
}}
"""


def applies(x: Var) -> bool:
    """Return whether these kernels serve x and arrays like it: on CUDA, in float32, and not under MPI."""
    return usable(x)


def weighted_means(formula: Formula, weights: Sequence[float], given: Sequence[Var], others: Sequence[Var] = ()) -> Var:
    """Compute the formula of this module, (1,), with gradients of `given` alone.

    Args:
        formula: the loss of a number.
        weights: factor of each mean.
        given: arrays a.
        others: arrays b of the same shapes, if the formula has b.
    """
    total = None
    for part in _groups(len(given)):
        form = WeightedMeans(formula, tuple(weights[part]), others[part])
        found = form.execute(*given[part]) if jt.flags.no_grad else form(*given[part])
        total = found if total is None else total + found
    assert total is not None
    return total


def _groups(count: int) -> Iterator[slice]:
    return (slice(start, start + MOST) for start in range(0, count, MOST))


class WeightedMeans(Function):
    """`weighted_means` of at most `MOST` arrays."""

    def __init__(self, formula: Formula, weights: tuple[float, ...], others: Sequence[Var]) -> None:
        self.formula, self.weights, self.others = formula, weights, others
        self.given: tuple[Var, ...] = ()

    def execute(self, *given: Var) -> Var:
        """Compute the sum of the weighted means."""
        self.given = given
        blocks = sum(-(-one.numel() // kernels.PART) for one in given)
        (parts,) = kernels.run(
            SUM + MAPS + PARTS.format(part=kernels.PART, value=self.formula.value), self._launch(),
            [*given, *self.others], [(blocks,)], grid="blocks, 256", kernel="mean_parts", arguments="all, out0_p",
        )  # fmt: skip
        (total,) = kernels.run(
            TOTAL, "const int n = in0->num;", [parts], [(1,)], grid="1, 256", kernel="sum_parts",
            arguments="in0_p, out0_p, n",
        )  # fmt: skip
        return total

    def grad(self, grad: Var) -> tuple[Var, ...]:
        """Compute the gradient of every array a."""
        given, count = self.given, len(self.given) + len(self.others)
        found = kernels.run(
            MAPS + GRADS.format(part=kernels.PART, slope=self.formula.slope), self._launch(outputs=True),
            [*given, *self.others, grad], [tuple(one.shape) for one in given], grid="blocks, 256",
            kernel="mean_grads", arguments=f"all, _inputs[{count}]->ptr<float32>()",
        )  # fmt: skip
        self.given = ()  # which would otherwise outlive its last use
        return tuple(found)

    def _launch(self, outputs: bool = False) -> str:
        count = len(self.given)
        weights = ", ".join(f"{weight!r}" for weight in self.weights)
        return f"""
const double weights[] = {{{weights}}};
Maps all;
int blocks = 0;
for (int i = 0; i < {count}; i++) {{
    all.a[i] = _inputs[i]->ptr<float32>();
    all.b[i] = {f"_inputs[{count} + i]->ptr<float32>()" if self.others else "nullptr"};
    all.result[i] = {"_outputs[i]->ptr<float32>()" if outputs else "nullptr"};
    all.size[i] = _inputs[i]->num;
    all.factor[i] = weights[i] / all.size[i];
    all.first[i] = blocks;
    blocks += (all.size[i] + {kernels.PART} - 1) / {kernels.PART};
}}
all.first[{count}] = blocks;
"""
