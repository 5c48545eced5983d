"""Kernels whose loops are shared among threads: which loops, and that the bits are those of one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shanshui.backend import kernel_threads
from shanshui.backend.kernel_threads import shared

DECLARED = """    auto op0_x = ((BinaryOp*)(ops[0]))->x;
    auto op1_z = ((BinaryOp*)(ops[1]))->z;
    op1_index_t range0 = op1_z->shape[0];
    op1_index_t range1 = op1_z->shape[1];
    auto* __restrict__ op0_xp = op0_x->ptr<op0_Tx>();
    auto* __restrict__ op1_zp = op1_z->ptr<op1_Tz>();
    op1_index_t op1_zstride1 = 1;
    auto op1_zstride0 = op1_zstride1 * range1;
"""


def kernel(*loops: str) -> str:
    """A kernel as Jittor writes it, with these loops."""
    lines = "\n".join(f"    {line}" for line in loops)
    return f"#define JIT 1\nvoid jittor::FusedOp::jit_run() {{\n{DECLARED}{lines}\n}}\n"


def loop(variable: str, bound: str, *inside: str) -> str:
    """A loop as Jittor writes it."""
    return "\n".join([f"for (op1_index_t {variable} = 0; {variable}<{bound}; {variable}++) {{", *inside, "}"])


def pragmas(*loops: str) -> list[tuple[str, str]]:
    """What was added to a kernel, each with the line below."""
    lines = [line.strip() for line in shared(kernel(*loops)).splitlines()]
    return [(line, lines[i + 1]) for i, line in enumerate(lines) if line.startswith("#pragma")]


ELEMENT = "op1_index_t op1_i = + id0 * op1_zstride0 + id1 * op1_zstride1;"
COPY = "op1_zp[op1_i] = op0_xp[op1_i];"
COLUMN = "auto op1_yid = 0  + id1 * op1_zstride1;"
ADD = "op1_zp[op1_yid] = ((op1_zp[op1_yid])+(op0_xp[op1_i]));"


def test_elements_of_their_own_are_shared_from_the_outermost_loop_on() -> None:
    region, outer = pragmas(loop("id0", "range0", loop("id1", "range1", ELEMENT, COPY)))
    assert region == ("#pragma omp parallel if((((BinaryOp*)(ops[1]))->z)->num >= 32768)", "{")
    assert outer == ("#pragma omp for schedule(static)", "for (op1_index_t id0 = 0; id0<range0; id0++) {")


def test_two_loops_around_a_third_are_shared_together() -> None:
    element = ELEMENT.replace(";", " + id2 * op1_zstride2;")
    found = pragmas(loop("id0", "range0", loop("id1", "range1", loop("id2", "range2", element, COPY))))
    assert found[1][0] == "#pragma omp for collapse(2) schedule(static)"


def test_single_loop_is_shared_in_blocks_that_keep_its_vectors() -> None:
    one = "op1_index_t op1_i = + 0 * op1_zstride0 + id1 * op1_zstride1;"
    assert pragmas(loop("id1", "range1", one, COPY))[1][0] == "#pragma omp for schedule(static, 4096)"


def test_sums_are_shared_by_their_own_loop_and_keep_their_order() -> None:
    """The outer loop adds to the same sums again and again: every thread goes through all of it, for its own sums."""
    begin = loop("id1", "range1", COLUMN, "op1_zp[op1_yid] = float32(0);")
    element = ELEMENT.replace(";", " + id2 * op1_zstride2;")
    found = pragmas(begin, loop("id0", "range0", loop("id1", "range1", loop("id2", "range2", element, COLUMN, ADD))))
    assert [line for line, _ in found[1:]] == [
        "#pragma omp for schedule(static, 4096)", "#pragma omp for schedule(static) nowait", "#pragma omp barrier",
    ]  # fmt: skip
    assert found[2][1].startswith("for (op1_index_t id1")


@pytest.mark.parametrize("inside", [
    [ELEMENT, "auto op1_yid = 0;", ADD],  # one sum of everything
    [ELEMENT, COPY, "op1_index_t op2_i = + id1 * op1_zstride1;", "op1_zp[op1_i] = op1_zp[op2_i];"],  # another's element
    ["op1_index_t op1_i = op0_xp[id0];", COPY],  # an element that the data choose
    [ELEMENT, COPY, "return;"],
    [ELEMENT, COPY, "something(op1_i);"],
])  # fmt: skip
def test_whatever_threads_might_do_to_each_other_is_left_alone(inside: list[str]) -> None:
    text = kernel(loop("id0", "range0", loop("id1", "range1", *inside)))
    assert shared(text) == text


@pytest.mark.parametrize("text", ["", "int x;\n", kernel(), kernel(loop("id0", "range0", ELEMENT, COPY)) + "int x;\n"])
def test_unknown_text_is_left_alone(text: str) -> None:
    assert shared(text) == text


def test_file_runs_alone_with_a_bare_python(tmp_path: Path) -> None:
    text = kernel(loop("id0", "range0", loop("id1", "range1", ELEMENT, COPY)))
    (tmp_path / "kernel.cc").write_text(text)
    command = [sys.executable, "-I", "-S", kernel_threads.__file__, str(tmp_path / "kernel.cc")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == shared(text)


WORK = """
import hashlib, numpy as np
from shanshui.backend.runtime import load_jittor
from shanshui.nn import resize
from shanshui.nn.depthwise import by_channel
from shanshui.nn.norms import BatchNorm, instance_norm
from shanshui.storage.size import Size
jt = load_jittor()
rng = np.random.default_rng(0)
def draw(*shape): return jt.array(rng.standard_normal(shape).astype(np.float32))
x, weight, other = draw(3, 10, 37, 41), draw(10, 1, 3, 3), draw(3, 10, 37, 41)
y = by_channel(x, weight) / (other * other + 0.5)
y = jt.nn.leaky_relu(instance_norm(y), 0.2) + BatchNorm(10)(x * other).tanh()
z = resize.nearest(y, Size(74, 82)) * resize.nearest(x, Size(74, 82))
loss = (z * z).mean(3).mean(2).sum()
found = [y, z, loss, *jt.grad(loss, [x, weight, other])]
jt.sync(found)
print(hashlib.sha256(b"".join(one.numpy().tobytes() for one in found)).hexdigest())
"""


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    """Nothing here is oneDNN's: all loops are Jittor's own, of sizes that no number of threads divides."""

    def digest_with(threads: int) -> bytes:
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        return subprocess.run(
            [sys.executable, "-c", WORK], check=True, capture_output=True, env=environment
        ).stdout.hex()

    assert digest_with(1) == digest_with(3)
