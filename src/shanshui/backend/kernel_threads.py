"""Let the loops of a generated CPU kernel be shared among OpenMP's threads.

    python -I -S kernel_threads.py kernel.cc > shared.cc

Jittor writes the kernel of a fused operation as nests of loops that run on one thread. Here the outer loops are shared
where no two threads write to, or read what another writes to, the same element: then every element is computed by the
same operations in the same order, and the bits do not depend on the number of threads. Whatever is not recognised is
left as it is. The text is Jittor's own, of which each line is one statement:

    void jittor::FusedOp::jit_run() {
        auto op1_z = ((BinaryOp*)(ops[1]))->z;             declarations
        op1_index_t range0 = op1_z->shape[0];
        for (op1_index_t id0 = 0; id0<range0; id0++) {     nests of loops
            op1_index_t op1_i = + id0 * op1_zstride0;      definitions: of indices, of values
            op1_zp[op1_i] = ((op0_xp[op1_i])+(op0_yp[op1_i]));

This file is executed alone for every kernel that is compiled, and imports nothing that takes time to start.
"""

from __future__ import annotations

import re
import sys

BEGIN = "void jittor::FusedOp::jit_run() {"
LEAST = 1 << 15  # elements below which waking a thread takes longer than the loop
BLOCK = 4096  # iterations of an innermost loop that stay together: multiples of all vector lengths
LOOP = re.compile(r" *for \((\w+) (\w+) ?= ?0; ?\2 ?< ?(\w+); ?\2\+\+\) \{")
BRANCH = re.compile(r" *if \(.*\) \{")
WRITTEN = re.compile(r" *(\w+)\[(\w+)\] = .*;")
DEFINED = re.compile(r" *(?:const )?(?:auto|bool|[\w:]+)(?:\* __restrict__)? (\w+) = (.*);")
TERM = re.compile(r"\+ (\w+) \* op\d+_\w*?(\d+)\b")
SHAPE = re.compile(r" *\w+ range0 = (\w+)->shape\[0\];")


class Unknown(Exception):
    """The kernel has a form that is not recognised."""


class Loop:
    """A loop with what it contains; `start` and `end` are the numbers of its first and last line."""

    def __init__(self, start: int, variable: str, bound: str, around: list[Loop]) -> None:
        self.start, self.variable, self.bound, self.end = start, variable, bound, start
        self.around = around  # outermost first
        self.loops: list[Loop] = []
        self.others = 0  # lines directly inside that are no loops


def shared(source: str) -> str:
    """Share the loops of a kernel among threads; return the text unchanged where that is not known to be right."""
    try:
        return _shared(source)
    except Unknown:
        return source


def _shared(source: str) -> str:
    lines = source.rstrip().split("\n")
    if lines.count(BEGIN) != 1 or lines[-1] != "}":
        raise Unknown
    first = lines.index(BEGIN) + 1
    body = lines[first:-1]
    if any(word in line for line in body for word in ("return", "//@", "rop_", "goto", "#", "atomic")):
        raise Unknown
    nests, definitions = _parse(body)
    if not nests:
        raise Unknown
    size = _size(body, definitions)
    added: dict[int, str] = {}
    for nest in nests:
        if found := _share(nest, body, definitions):
            line, words = found
            added[line] = f"#pragma omp for {words}"
            if line != nest.start:
                added[nest.end + 1] = "#pragma omp barrier"
        elif nest is nests[-1]:
            raise Unknown
        else:
            added[nest.start] = "#pragma omp single"
    text = [BEGIN, f"#pragma omp parallel if({size} >= {LEAST})", "{"]
    for number, statement in enumerate(body):
        text += [added[number], statement] if number in added else [statement]
    text += [added[len(body)]] if len(body) in added else []
    return "\n".join([*lines[: first - 1], *text, "}", "}"]) + "\n"


def _parse(body: list[str]) -> tuple[list[Loop], dict[tuple[int, str], str]]:
    """Find the nests of loops, and the definition of every name by line and name.

    Raises:
        Unknown: a line is of none of the expected forms.
    """
    nests: list[Loop] = []
    open_blocks: list[Loop | None] = []  # None: a branch
    definitions: dict[tuple[int, str], str] = {}
    for number, line in enumerate(body):
        around = [block for block in open_blocks if block]
        if not line.strip():
            continue
        if found := LOOP.fullmatch(line):
            loop = Loop(number, found[2], found[3], around)
            if any(other.variable == loop.variable for other in around) or None in open_blocks:
                raise Unknown
            (around[-1].loops if around else nests).append(loop)
            open_blocks.append(loop)
        elif line.strip() == "}":
            if not open_blocks:
                raise Unknown
            closed = open_blocks.pop()
            if closed:
                closed.end = number
        elif BRANCH.fullmatch(line) and around:
            around[-1].others += 1
            open_blocks.append(None)
        elif around and WRITTEN.fullmatch(line):
            around[-1].others += 1
        elif found := DEFINED.fullmatch(line):
            if around:
                around[-1].others += 1
            elif nests:  # declarations after a loop: nothing that Jittor writes
                raise Unknown
            definitions[number, found[1]] = found[2]
        else:
            raise Unknown
    if open_blocks:
        raise Unknown
    return nests, definitions


def _size(body: list[str], definitions: dict[tuple[int, str], str]) -> str:
    """Return the expression of the number of elements the loops go through."""
    values = {name: value for (_, name), value in definitions.items()}
    for line in body:
        found = SHAPE.fullmatch(line)
        if found and found[1] in values:
            return f"({values[found[1]]})->num"
    raise Unknown


def _share(nest: Loop, body: list[str], definitions: dict[tuple[int, str], str]) -> tuple[int, str] | None:
    """Return the line of the loop of a nest that can be shared, and how; None where there is none."""
    inside = range(nest.start, nest.end + 1)
    local: dict[str, set[str]] = {}
    for (number, name), value in definitions.items():
        if number in inside:
            local.setdefault(name, set()).add(value)
    if any(loop.bound in local for loop in _all_loops(nest)):
        return None
    written = {found[1] for number in inside if (found := WRITTEN.fullmatch(body[number]))}
    access = re.compile(r"\b(" + "|".join(sorted(written)) + r")\[([^\[\]]*)\]")
    accesses = {found for number in inside for found in access.findall(body[number])}

    def separate(loop: Loop) -> bool:
        """Whether every element of a written array is touched in one iteration of `loop` only."""
        places: dict[str, set[str]] = {}
        for array, index in accesses:
            for formula in local.get(index, {""}):
                terms = TERM.findall("+ " + formula.lstrip("+ "))
                own = [stride for name, stride in terms if local.get(name, {name}) == {loop.variable}]
                places.setdefault(array, set()).add(own[0] if len(own) == 1 else "")
        return all(len(found) == 1 and "" not in found for found in places.values())

    second = nest.loops[0] if len(nest.loops) == 1 and not nest.others else None
    if separate(nest):
        if not nest.loops:
            return nest.start, f"schedule(static, {BLOCK})"
        both = second is not None and bool(second.loops) and separate(second)
        return nest.start, "collapse(2) schedule(static)" if both else "schedule(static)"
    if second is not None and second.loops and separate(second):
        return second.start, "schedule(static) nowait"  # of equal loops, a thread gets the same part each time
    return None


def _all_loops(loop: Loop) -> list[Loop]:
    return [loop, *(other for inner in loop.loops for other in _all_loops(inner))]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    sys.stdout.buffer.write(shared(text).encode("utf-8", "surrogateescape"))
