"""Custom GPU kernels: launched with `jt.code`, and executable on a CPU for tests; and formulas for many arrays at once.

A kernel may use threadIdx.x, blockIdx.x, blockDim.x, gridDim.x, __shared__ and __syncthreads(). On a CPU the blocks run
one after another, and a block's threads take turns from barrier to barrier: slow, and the same arithmetic.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.backend.lazy import jt
from shanshui.storage.files import write_text

if TYPE_CHECKING:
    from jittor import Var


IMITATION = """
#include <algorithm>
#include <cmath>
#include <functional>
#include <ucontext.h>
#include <vector>
namespace jittor {
struct Place { int x; };
static Place threadIdx, blockIdx, blockDim, gridDim;
struct Thread { ucontext_t context; std::vector<char> stack; bool ended; };
static ucontext_t scheduler;
static std::vector<Thread> all_threads;
static std::function<void()> body;
static void run_thread() { body(); all_threads[threadIdx.x].ended = true; }
static void give_way() { swapcontext(&all_threads[threadIdx.x].context, &scheduler); }
template <class Kernel> void imitate(int blocks, int threads, Kernel kernel) {
    body = kernel;
    all_threads.resize(threads);
    blockDim.x = threads, gridDim.x = blocks;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {
        for (auto& thread : all_threads) {
            getcontext(&thread.context);
            thread.stack.resize(1 << 16), thread.ended = false;
            thread.context.uc_stack.ss_sp = thread.stack.data(), thread.context.uc_stack.ss_size = thread.stack.size();
            thread.context.uc_link = &scheduler;
            makecontext(&thread.context, run_thread, 0);
        }
        for (int running = threads; running;) {  // each from one barrier to the next
            running = 0;
            for (int i = 0; i < threads; i++) {
                if (all_threads[i].ended) continue;
                threadIdx.x = i;
                swapcontext(&scheduler, &all_threads[i].context);
                running += !all_threads[i].ended;
            }
        }
    }
    all_threads.clear();
}
}
#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(most)
#define __syncthreads() give_way()
"""


def run(
    text: str, launch: str, inputs: Sequence[Var], shapes: Sequence[Sequence[int]], dtypes: Sequence[str] | None = None,
    *, grid: str, kernel: str, arguments: str, data: dict[str, float] | None = None,
) -> list[Var]:  # fmt: skip
    """Launch one kernel; return its outputs, through which no gradient is propagated.

    Args:
        text: source of the kernel, in C++ without a namespace.
        launch: statements before it, which may name inputs and outputs as `jt.code` does (in0_p, in0_shape0, out0_p).
        inputs: arrays the kernel reads.
        shapes: of the outputs.
        dtypes: of the outputs; float32 by default.
        grid: "blocks, threads", in terms of `launch`.
        kernel: its name, with template arguments.
        arguments: what it is called with.
        data: numbers that change from call to call, by name: `data["name"]` in `launch`.
    """
    sources = _sources(text, launch, grid, kernel, arguments, bool(jt.flags.use_cuda))
    return jt.code(list(shapes), list(dtypes or ["float32"] * len(shapes)), list(inputs), data=data or {}, **sources)


@functools.lru_cache(1024)  # a step of APF-GAN runs 356 kernels of 50 kinds
def _sources(text: str, launch: str, grid: str, kernel: str, arguments: str, cuda: bool) -> dict[str, str]:
    """Return what `jt.code` compiles for the device in use; a text for the other would be copied at every call."""
    inside = f"namespace jittor {{\n{text}\n}}\n"
    if cuda:
        launched = f"{launch} {kernel}<<<{grid}>>>({arguments});"
        return {"cuda_header": included("#include <algorithm>\n" + inside), "cuda_src": launched}
    called = f"{launch} imitate({grid}, [=] {{ {kernel}({arguments}); }});"
    return {"cpu_header": IMITATION + inside, "cpu_src": called}


@functools.lru_cache(1024)
def included(text: str) -> str:
    """Return a directive that includes `text`: Jittor copies, compares and hashes what it is given at every call.

    The text is kept in a file of the cache of compiled kernels, under a name that is its digest.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    file = Path(jt.flags.cache_path) / "texts" / f"{digest}.h"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    return f'#include "{file}"'


MOST_TOGETHER = 48  # arrays of each kind in one launch: with seven kinds, what a kernel may be given in 4 KiB
MOST_LOOPED = 6  # on a CPU: the time Jittor takes to generate such an operation grows with the square of their number
MOST_ELEMENTS = 1 << 24  # of one kind in one launch: while it runs, memory holds results and what they replace
PART = 1 << 14  # elements a block of threads works on

ARRAYS = """
struct Each {{
    float* array[{kinds}][{count}];
    long long size[{count}];
    int first[{count} + 1];
}};
"""
EACH = (
    ARRAYS
    + """
static __global__ void __launch_bounds__(256) each(const Each all{parameters}) {{
    int which = 0;
    while ((int)blockIdx.x >= all.first[which + 1]) which++;
    const long long start = (long long)(blockIdx.x - all.first[which]) * {part}, size = all.size[which];
    const long long end = start + {part} < size ? start + {part} : size;
    for (long long i = start + threadIdx.x; i < end; i += blockDim.x) {{
{reads}
{formula}
{writes}
    }}
}}
"""
)
COLLECT = """
Each all;
int blocks = 0;
for (int i = 0; i < {count}; i++) {{
    for (int k = 0; k < {inputs}; k++) all.array[k][i] = _inputs[i * {inputs} + k]->ptr<float32>();
    for (int k = 0; k < {outputs}; k++) all.array[{inputs} + k][i] = _outputs[i * {outputs} + k]->ptr<float32>();
    all.size[i] = _inputs[i * {inputs}]->num;
    all.first[i] = blocks;
    blocks += (all.size[i] + {part} - 1) / {part};
}}
all.first[{count}] = blocks;
"""


def groups(rows: Sequence[Sequence[Var]], most: int = MOST_TOGETHER) -> Iterator[Sequence[Sequence[Var]]]:
    """Split the rows, in order, where a group would have over `most`, or, with more than one, too many elements."""
    begin, elements = 0, 0
    for end, row in enumerate(rows):
        size = row[0].numel()
        if end > begin and (end - begin == most or elements + size > MOST_ELEMENTS):
            yield rows[begin:end]
            begin, elements = end, 0
        elements += size
    if begin < len(rows):
        yield rows[begin:]


LOOP = """
#pragma omp parallel for
for (int block = 0; block < blocks; block++) {{
    int which = 0;
    while (block >= all.first[which + 1]) which++;
    const long long start = (long long)(block - all.first[which]) * {part}, size = all.size[which];
    const long long end = start + {part} < size ? start + {part} : size;
{pointers}
    #pragma omp simd
    for (long long i = start; i < end; i++) {{
{reads}
{formula}
{writes}
    }}
}}
"""


def elementwise(formula: str, rows: Sequence[Sequence[Var]], outputs: int, **numbers: float) -> list[list[Var]]:
    """Compute the same formula from each row of arrays of one shape (float32), with few operations for all rows.

    Args:
        formula: statements that set r0, r1, ... from a0, a1, ..., an element of each array, and from the numbers.
        rows: arrays a0, a1, ...
        outputs: number of results of a row, each of its shape.
        numbers: by name; they may change from call to call.

    Returns:
        The results r0, r1, ... of every row.
    """
    compute, most = (launched, MOST_TOGETHER) if jt.flags.use_cuda else (looped, MOST_LOOPED)
    found = []
    for some in groups(rows, most):
        results = compute(formula, some, outputs, numbers)
        found += [results[i * outputs : (i + 1) * outputs] for i in range(len(some))]
    return found


def launched(formula: str, rows: Sequence[Sequence[Var]], outputs: int, numbers: dict[str, float]) -> list[Var]:
    """Compute `elementwise` of one group with one kernel launch; return all results of the first row, then the next."""
    text, launch = _launched(formula, len(rows[0]), outputs, len(rows), tuple(numbers))
    return run(
        text, launch, [array for row in rows for array in row],
        [row[0].shape for row in rows for _ in range(outputs)], grid="blocks, 256", kernel="each",
        arguments=", ".join(["all", *numbers]), data=numbers,
    )  # fmt: skip


@functools.cache
def _launched(formula: str, inputs: int, outputs: int, count: int, numbers: tuple[str, ...]) -> tuple[str, str]:
    """Return the kernel's source, and the statements before its launch, for `count` rows."""
    size = {"inputs": inputs, "outputs": outputs, "kinds": inputs + outputs, "count": count, "part": PART}
    text = EACH.format(
        **size, parameters="".join(f", const float {name}" for name in numbers), formula=formula,
        reads="".join(f"const float a{k} = all.array[{k}][which][i];\n" for k in range(inputs))
        + "".join(f"float r{k};\n" for k in range(outputs)),
        writes="".join(f"all.array[{inputs + k}][which][i] = r{k};\n" for k in range(outputs)),
    )  # fmt: skip
    return text, COLLECT.format(**size) + named(numbers)


def looped(formula: str, rows: Sequence[Sequence[Var]], outputs: int, numbers: dict[str, float]) -> list[Var]:
    """Compute the same on a CPU, with all threads; the bits do not depend on their number."""
    inputs = len(rows[0])
    size = {"inputs": inputs, "outputs": outputs, "kinds": inputs + outputs, "count": len(rows), "part": PART}
    text = LOOP.format(
        part=PART, formula=formula,
        pointers="".join(f"const float* __restrict__ p{k} = all.array[{k}][which];\n" for k in range(inputs))
        + "".join(f"float* __restrict__ q{k} = all.array[{inputs + k}][which];\n" for k in range(outputs)),
        reads="".join(f"const float a{k} = p{k}[i];\n" for k in range(inputs))
        + "".join(f"float r{k};\n" for k in range(outputs)),
        writes="".join(f"q{k}[i] = r{k};\n" for k in range(outputs)),
    )  # fmt: skip
    shapes = [tuple(row[0].shape) for row in rows for _ in range(outputs)]
    results = jt.code(
        shapes, ["float32"] * len(shapes), [array for row in rows for array in row],
        cpu_header=f"#include <cmath>\nnamespace jittor {{\n{ARRAYS.format(**size)}\n}}\n",
        cpu_src=COLLECT.format(**size) + named(numbers) + text, data=numbers,
    )  # fmt: skip
    return list(results)


def named(numbers: Iterable[str]) -> str:
    """Return statements that define the numbers passed as `data`."""
    return "".join(f'const float {name} = data["{name}"];' for name in numbers)
