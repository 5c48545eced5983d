"""Precompiled headers for the compilation of Jittor itself, with a faster form of one of its functions."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from shanshui.backend.toolchain import write_script

PREFIX = "headers-"  # of the temporary folder
HEADERS = """// What nearly every file of Jittor includes, compiled once.
#include <cmath>
#include <algorithm>
#include "var.h"
#include "pyjt/py_converter.h"
#include "pyjt/py_obj_holder.h"
#include "executor.h"
#include "ops/op_register.h"

namespace jittor {
// Jittor's own takes two strings. Where it generates a kernel, also one that is compiled already, it asks at every
// character of its sources for "#if", "#else" and "#endif", and made three strings of them each time.
__attribute__((always_inline)) inline bool startswith(const string& text, const char* part, unsigned start = 0) {
    for (; *part; part++, start++)
        if (start >= text.size() || text[start] != *part) return false;
    return true;
}
}
"""


def write_stand_in(folder: Path, real: Path) -> Path:
    """Write the script that g++ calls instead of its `cc1plus`, the program `real`, into `folder`; return its path.

    The process of the first file of Jittor's core compiles the headers, with the same flags; the others wait for it.
    The compiler checks that the headers fit wherever they are used. What does not compile with them, and all other
    files, are compiled as without the script.
    """
    (folder / "core.h").write_text(HEADERS, encoding="utf-8")
    text = f"""#!/bin/sh
real={shlex.quote(str(real))} headers={shlex.quote(str(folder / "core.h"))}
source= flags= skipped=
for argument; do
    if [ -n "$skipped" ]; then
        skipped=
        continue
    fi
    case "$argument" in
    -E | -include) exec "$real" "$@" ;;
    -o | -dumpdir | -dumpbase | -dumpbase-ext | -auxbase | -auxbase-strip) skipped=yes ;;
    */jittor/src/utils/*) flags="$flags $argument" ;; # among them the helper library, built in one piece before all
    */jittor/src/*.cc | */gen/*.cc) source="$argument" ;;
    *) flags="$flags $argument" ;;
    esac
done
[ -n "$source" ] || exec "$real" "$@"

precompile() {{
    left=$#
    while [ "$left" -gt 0 ]; do
        case "$1" in
        -o | -dumpdir | -dumpbase | -dumpbase-ext | -auxbase | -auxbase-strip) shift; left=$((left - 1)) ;;
        "$source") ;;
        *) set -- "$@" "$1" ;;
        esac
        shift
        left=$((left - 1))
    done
    "$real" "$@" "$headers" -o "$headers.s" --output-pch="$headers.staged" 2>/dev/null || return 0
    printf '%s' "$flags" > "$headers.flags"
    mv "$headers.staged" "$headers.gch"
}}
if mkdir "$headers.begun" 2>/dev/null; then
    precompile "$@"
    : > "$headers.ended"
fi
tries=600 # a minute
until [ -e "$headers.ended" ] || [ "$tries" = 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
done
if [ -s "$headers.gch" ] && [ "$(cat "$headers.flags")" = "$flags" ]; then
    "$real" -include "$headers" "$@" && exit
fi
exec "$real" "$@"
"""
    return write_script(folder / "cc1plus", text)


def inner_program(compiler: str) -> Path | None:
    """Return the path of the `cc1plus` that `compiler` starts; None where it has none."""
    try:
        said = subprocess.run([compiler, "-print-prog-name=cc1plus"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    path = Path(said.stdout.strip())
    return path if path.is_absolute() and path.is_file() else None


@contextlib.contextmanager
def precompiled_headers(home: Path, compiler: str) -> Iterator[dict[str, str]]:
    """Yield variables under which `compiler` reads the headers of Jittor's core in compiled form.

    Reading them is two fifths of the work. The compiler's name and arguments stay as they are, because Jittor
    compiles again where they change; so its inner program is replaced, which gcc looks for in COMPILER_PATH. Other
    compilers have none, and get no variables. The headers (100 MB) are removed in the end.

    Args:
        home: folder for the headers; the caller holds its `import_lock`.
        compiler: path of the C++ compiler; empty: none.
    """
    real = inner_program(compiler)
    if real is None:
        yield {}
        return
    for left in home.glob(f"{PREFIX}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=home, ignore_cleanup_errors=True) as folder:
        write_stand_in(Path(folder), real)
        others = os.environ.get("COMPILER_PATH")
        yield {"COMPILER_PATH": f"{folder}{os.pathsep}{others}" if others else folder}
