"""Stands in for nvcc where launches are to be counted: compiles the host's half by g++, kernels without their bodies.

Every kernel becomes a function that counts its launch, every launch a plain call of it. Which kernels Jittor makes,
how often it launches them and what it copies stays as it is; that they compile is what the real nvcc is for.
The host's half of most fused operations does nothing but launch, or hand its arrays to another operation: it needs no
compiler. A library that does so, compiled once (libraries/launches.cc, RELAYING), is copied with names or numbers.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

RELEASE = "Cuda compilation tools, release 13.0, V13.0.88"
PRELUDE = """
#define JIT 1
#define JIT_cuda 1
#include <cmath>
#include <algorithm>
#include <cuda_runtime.h>
#include "var.h"
#include "ops/op_register.h"
#include "ops/array_op.h"
#include "ops/binary_op.h"
#include "ops/broadcast_to_op.h"
#include "ops/reduce_op.h"
#include "ops/code_op.h"
#include "fused_op.h"
"""
ROOM = 8192  # bytes for names in launches.so
GOLD = [  # links in half the time
    "-fuse-ld=gold" for place in os.environ.get("PATH", "").split(os.pathsep) if os.path.exists(f"{place}/ld.gold")
][:1]
LOG = "commands.jsonl"  # what was compiled, and how Jittor asked for it
OF_NVCC = ("-arch", "-code", "--cudart", "-ccbin", "-O", "-march", "--use_fast_math", "-gencode")
SILENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.DOTALL)
FUNCTION = re.compile(r"\b__(global|device)__\b")
LAUNCH = re.compile(r"<<<.*?>>>", re.DOTALL)
FUSED = re.compile(r"^void jittor::FusedOp::jit_run\(\) \{\n(.*)\n\}\s*\Z", re.MULTILINE | re.DOTALL)
LAUNCHED = re.compile(r" *(func_\w+)<<<p1,p2>>>\([\w,]*\);")
NO_EFFECT = re.compile(  # nothing, a bracket, or a variable set to what is computed from shapes, places and numbers
    r" *(?:|[{}]|if \(tn\d+<\d+\) \{"
    r"|(?:(?:auto|int|\w+_(?:index_t|T\w)|int\d+|float\d+|bool)(?:\* __restrict__)? )?\w+ ?[-+]?="
    r"(?: ?(?:\w+->(?:ptr<\w+>\(\)|shape\[\d+\]|num)|\(\(\w+Op\*\)\(ops\[\d+\]\)\)->\w+(?:<\w+>\(\))?(?:\[\d+\])?"
    r"|std::(?:min|max)(?:<int64>)?|\b\w+\b|\d+\.\d+|<<|<=|[-+*/?:(),]))+;)"
)
RELAY = re.compile(
    r" *Op\* (\w+) = context->vrm\.relay_groups\[(\d+)\]\.oprcs\[(\d+)\]\.op;\n"
    r"((?: *GET_VAR_MEMBER\(\1, \d+\) = vars\[\d+\]\.var;\n)*) *\1->do_run\(\);"
)
RELAYING = f"""{PRELUDE}
#include "fused_op.h"
__attribute__((visibility("hidden"))) char pretended_numbers[] = "{"@" * ROOM}";
void jittor::FusedOp::jit_run() {{
    char *at = pretended_numbers;
    const long group = std::strtol(at, &at, 10), number = std::strtol(at, &at, 10);
    Op *op = context->vrm.relay_groups[group].oprcs[number].op;
    while (*at) {{
        const long offset = std::strtol(at, &at, 10), var = std::strtol(at, &at, 10);
        GET_VAR_MEMBER(op, offset) = vars[var].var;
    }}
    op->do_run();
}}
"""
CODE = "void CodeOp::jit_run() {"
DECLARED = re.compile(r"\b(?:auto|index_t)(?:\* __restrict__)? ((?:in|out)\d+(?:_\w+)?) = ([^;]+);")
WORD = re.compile(r"\b[A-Za-z_]\w*")
HEADER = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"(/[^"\n]+)"', re.MULTILINE)


def closing(text: str, opening: int) -> int:
    """Place of the bracket that closes the one at `opening`; `text` holds neither comments nor strings."""
    depth = 0
    for place in range(opening, len(text)):
        depth += (text[place] in "({[") - (text[place] in ")}]")
        if depth == 0:
            return place
    raise ValueError(f"nothing closes {text[opening : opening + 60]!r}")


def without_comments(text: str) -> str:
    """`text` with blanks for comments and for what strings hold, every character at its place."""

    def blank(found: "re.Match[str]") -> str:
        whole = found[0]
        if whole[0] == "/":
            return re.sub(r"[^\n]", " ", whole)
        return whole[0] + " " * (len(whole) - 2) + whole[-1]

    return SILENT.sub(blank, text)


def for_the_host(text: str, where: str) -> str:
    """`text` with kernels that count, functions of the device that end the program, and launches as calls."""
    text = HEADER.sub(lambda found: for_the_host(Path(found[1]).read_text(encoding="utf-8"), where), text)
    plain, parts, at = without_comments(text), [], 0
    for function in FUNCTION.finditer(plain):
        if function.start() < at:
            continue
        place = function.end()
        while place < len(plain) and plain[place] not in "{;":
            place = closing(plain, place) + 1 if plain[place] == "(" else place + 1
        if place == len(plain) or plain[place] == ";" or "=" in plain[function.end() : place].partition("(")[0]:
            continue
        host = re.search(r"__host__", plain[plain.rfind("\n", 0, function.start()) + 1 : place])
        if function[1] == "device" and host:
            continue
        head = plain[function.end() : place]
        name = re.search(r"(\w+)\s*\(", re.sub(r"__launch_bounds__\s*\([^)]*\)", "", head))
        body = f'{{ pretended_launch("{name[1] if name else "?"} of {where}"); }}'
        if function[1] == "device":
            body = "{ __builtin_trap(); }"
        end = closing(plain, place) + 1
        parts += [text[at:place], body + "\n" * text.count("\n", place, end)]
        at = end
    return LAUNCH.sub("", "".join(parts) + text[at:])


def without_unused(text: str) -> str:
    """An operation of our own code without what Jittor declares for each of its arrays, where nothing uses it.

    With some hundred arrays, compiling these declarations takes seconds.
    """
    before, begin, body = text.partition(CODE)
    needed = set(WORD.findall(DECLARED.sub("", body)))
    if "ARGS" in needed:  # Jittor's macro of all of them
        return text
    for name, value in reversed(DECLARED.findall(body)):
        if name in needed:
            needed.update(WORD.findall(value))
    return before + begin + DECLARED.sub(lambda found: found[0] if found[1] in needed else "", body)


def only_launched(text: str) -> list[str]:
    """Names of the kernels that a fused operation launches, in order; none where it does, or may do, more than that."""
    found, names = FUSED.search(text), []
    for line in found[1].split("\n") if found else []:
        if launch := LAUNCHED.fullmatch(line):
            names.append(launch[1])
        elif not NO_EFFECT.fullmatch(line):
            return []
    return names


def only_relayed(text: str) -> str:
    """Where a fused operation only hands its arrays to another: group, number, and pairs of offset and array."""
    found = FUSED.search(text)
    relay = RELAY.fullmatch(found[1]) if found else None
    return " ".join([relay[2], relay[3], *re.findall(r"\b\d+\b", relay[4])]) if relay else ""


def filled_in(library: Path, content: bytes, out: Path) -> bool:
    """Write a copy of `library` with `content` in its place; False without room."""
    if len(content) >= ROOM:
        return False
    staged = out.with_name(f"{out.name}.{os.getpid()}")
    staged.write_bytes(library.read_bytes().replace(b"@" * ROOM, content.ljust(ROOM, b"\0")))
    os.replace(staged, out)
    return True


def precompiled(compiler: list[str], flags: list[str], home: Path) -> list[str]:
    """The flag by which what nearly every kernel includes is read in its compiled form, made at first use."""
    prelude = home / "prelude.h"
    ready = home / "prelude.h.gch"
    if not ready.exists():
        own = home / f"prelude.{os.getpid()}"
        if not prelude.exists():
            own.write_text(PRELUDE, encoding="utf-8")
            os.replace(own, prelude)
        made = subprocess.run([*compiler, *flags, "-x", "c++-header", str(prelude), "-o", str(own)], check=False)
        if made.returncode == 0:
            os.replace(own, ready)
    return ["-include", str(prelude)]


def compiled(command: list[str], text: str, out: str) -> int:
    """Compile a text to the file `out`; the compiler's exit code. A text that does not compile is kept beside it."""
    done = subprocess.run([*command, out], input=text, text=True, check=False)
    if done.returncode:
        Path(f"{out}.failed.cc").write_text(text, encoding="utf-8")
    return done.returncode


def main(arguments: list[str]) -> int:
    """Compile as asked; the exit code."""
    home = Path(sys.argv[0]).resolve().parent.parent
    if "--version" in arguments:
        print(RELEASE)
        return 0
    if "--dryrun" in arguments:
        print(f"#$ TOP={home}")
        return 0
    compiler, flags, linking, source, out = ["g++", "-O0"], [], [], "", ""
    left = iter(arguments)
    for argument in left:
        if argument == "-Xcompiler":
            flags.append(next(left))
        elif argument == "-o":
            out = next(left)
        elif argument == "-x":
            next(left)
        elif argument == "-Xlinker":
            linking += [argument, next(left)]
        elif argument.startswith(("-l", "-L", "-Wl,", "-shared")):
            linking.append(argument)
        elif not argument.startswith(OF_NVCC):
            if argument.startswith("-"):
                flags.append(argument)
            else:
                source = argument
    flags = [f"-I{home / 'jittor_headers'}", *flags, f"-I{Path(source).parent}"]
    with open(home / LOG, "a", encoding="utf-8") as log:
        log.write(json.dumps({"source": source, "arguments": arguments}) + "\n")
    text, where = Path(source).read_text(encoding="utf-8"), Path(source).stem[:80]
    include = precompiled(compiler, [f for f in flags if f != "-c"], home / "bin") if "-c" not in flags else []
    command = [*compiler, *include, *flags, "-x", "c++", "-", "-x", "none", *linking, *GOLD, "-o"]
    names, relayed = only_launched(text), only_relayed(text)
    if names:
        listed = b"".join(f"{name} of {where}".encode() + b"\0" for name in names)
        if filled_in(home / "bin" / "launches.so", listed, Path(out)):
            return 0
    relaying = home / "bin" / "relaying.so"
    if relayed and not relaying.exists() and compiled(command, RELAYING, f"{relaying}.{os.getpid()}") == 0:
        os.replace(f"{relaying}.{os.getpid()}", relaying)
    if relayed and relaying.exists() and filled_in(relaying, relayed.encode(), Path(out)):
        return 0
    return compiled(command, for_the_host(without_unused(text), where), out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
