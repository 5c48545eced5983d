"""Requirements for importing Jittor: g++, Python headers, oneDNN."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from shanshui.backend import kernel_threads
from shanshui.errors import ShanshuiError
from shanshui.storage.files import atomic, digest, write_text

ONEDNN_PACKAGE = "onednn-devel-cpu-gomp"
CACHE_NAME = "shanshui"  # of the innermost folder of Jittor's cache


@dataclass(frozen=True)
class Compiler:
    """The C++ compiler Jittor will use."""

    path: str
    version: str


@functools.cache
def find_compiler() -> Compiler:
    """Find the compiler named by $cc_path (Jittor's own variable) or else g++.

    Raises:
        ShanshuiError: where there is none, or it does not run.
    """
    path = os.environ.get("cc_path") or shutil.which("g++")
    if not path or not shutil.which(path):
        raise ShanshuiError(
            "no C++ compiler: g++ is not on the PATH",
            "g++, with which Jittor compiles its kernels",
            "apt-get install g++    (Fedora: dnf install gcc-c++; conda: conda install -c conda-forge gxx)",
        )
    said = subprocess.run([path, "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=False)
    if said.returncode:
        raise ShanshuiError(f"the C++ compiler {path} does not run: {said.stderr.strip() or said.returncode}", "g++")
    return Compiler(path, said.stdout.strip())


def python_include() -> Path:
    """Find the folder with this Python's `Python.h`.

    Raises:
        ShanshuiError: where there is none.
    """
    include = Path(sysconfig.get_path("include"))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for folder in (include, Path(f"/usr/include/python{version}")):
        if (folder / "Python.h").is_file():
            return folder
    raise ShanshuiError(
        f"the headers of Python {version} are missing: no Python.h in {include}",
        "the development files of the Python that runs this",
        f"apt-get install python{version}-dev    (Fedora: dnf install python3-devel)",
    )


def onednn_prefix() -> Path:
    """Find the folder whose `include/` and `lib/` hold the pinned oneDNN of this environment.

    Raises:
        ShanshuiError: where the package is missing.
    """
    try:
        files = metadata.files(ONEDNN_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "dnnl.hpp" and file.parent.name == "include":
            prefix = Path(str(file.locate())).resolve().parent.parent
            if (prefix / "lib" / "libmkldnn.so").is_file():
                return prefix
    raise ShanshuiError(
        f"oneDNN is missing from {sys.prefix}",
        f"the packages {ONEDNN_PACKAGE} and onednn-cpu-gomp, version 2021.2.0",
        "run `make setup`, or `pip install --require-hashes -r envs/requirements.lock`",
    )


def jittor_finds_python_config() -> bool:
    """Return whether Jittor's own search ends at a `python3.x-config`; in a virtual environment it may not."""
    name = f"python3.{sys.version_info.minor}-config"
    folder = Path(sys.executable).parent
    places = [
        folder / name,
        Path(sys.executable + "-config"),
        Path("/usr/bin") / name,
        Path("/usr/local/bin") / name,
    ]
    return any(place.is_file() for place in [*places, folder / "python3-config"])


def write_script(path: Path, lines: str) -> Path:
    """Write an executable shell script unless it is there already; return its path."""
    if not path.is_file() or path.read_text(encoding="utf-8") != lines:
        with atomic(path) as staged:
            staged.write_text(lines, encoding="utf-8")
            staged.chmod(0o755)
    return path


def write_python_config(home: Path) -> Path:
    """Write the two answers Jittor wants from a `python3.x-config`, as a script in `home`; return its path."""
    return write_script(
        home / f"python3.{sys.version_info.minor}-config",
        f"""#!/bin/sh
case "$1" in
--includes) echo '-I{python_include()}' ;;
--extension-suffix) echo '{sysconfig.get_config_var("EXT_SUFFIX")}' ;;
esac
""",
    )


PRELUDE = """// What nearly every kernel of Jittor includes, compiled once.
#define JIT 1
#define JIT_cpu 1
#include <cmath>
#include <algorithm>
#include "var.h"
#include "ops/op_register.h"
#include "ops/array_op.h"
#include "ops/binary_op.h"
#include "ops/broadcast_to_op.h"
#include "ops/reduce_op.h"
#include "ops/unary_op.h"
#include "ops/ternary_op.h"
#include "ops/reindex_op.h"
#include "ops/code_op.h"
#include "ops/fuse_transpose_op.h"
#include "misc/cpu_math.h"
#include "fused_op.h"
"""


def write_kernel_compiler(home: Path, key: str = "") -> Path:
    """Write the script that Jittor calls instead of Python to compile a kernel; return its path.

    Jittor's own `asm_tuner.py` compiles every kernel to assembler, with debug information, and rewrites what
    "@begin" marks. Few kernels have such a mark. All others go straight to the compiler: the same machine
    code, without debug information and without a Python that uses ~/.cache/jittor. Nine tenths of the remaining time
    is reading Jittor's headers: they are precompiled with the first kernel's flags
    (the compiler checks that they fit, and otherwise reads the text), which makes a kernel four times faster.
    Half of the time that linking takes is saved where there is gold, a faster linker.
    Loops are shared among threads (`backend/kernel_threads.py`); kernels that only hand their arrays to a library's
    operation have none.

    `key` distinguishes environments whose headers differ. The name ends in a digest of the text: another version of
    this package writes another file, and keeps its kernels in another folder (`kernel_folder`).
    """
    sharing = Path(kernel_threads.__file__).read_text(encoding="utf-8")
    threads = home / f"kernel-threads-{digest(sharing)}.py"  # a copy: versions of the package do not see each other's
    if not threads.is_file():
        write_text(threads, sharing)
    prelude = home / f"prelude-{key or 'any'}.h"
    if not prelude.is_file():
        write_text(prelude, PRELUDE)
    text = f"""#!/bin/sh
# usage: kernel-compiler .../asm_tuner.py --cc_path=g++ kernel.cc <flags>
export HOME={shlex.quote(str(home))} JITTOR_HOME={shlex.quote(str(home))} cache_name={CACHE_NAME}
case "$*" in
*--cc_path=*) ;;
*) exec {shlex.quote(sys.executable)} "$@" ;;
esac
tuner=
while :; do
    case "$1" in
    --cc_path=*) break ;;
    *) tuner="${{tuner:+$tuner }}$1" ;; # a path with spaces arrives in pieces
    esac
    shift
done
kind=loops
case "$(cat "$2")" in
*@begin*) exec {shlex.quote(sys.executable)} "$tuner" "$@" ;;
*'#define JIT_cpu 1'*) ;;
*'Op* rop_'*'->do_run();'*) kind=relay ;;
*) kind=other ;;
esac
compiler="${{1#--cc_path=}}"
shift
[ "$kind" != other ] || exec "$compiler" "$@"

prelude={shlex.quote(str(prelude))}
precompile() {{ # the flags without source, output and what concerns linking
    shift
    left=$#
    while [ "$left" -gt 0 ]; do
        case "$1" in
        -o) shift; left=$((left - 1)) ;;
        -shared | -l* | -L* | -Wl,*) ;;
        *) set -- "$@" "$1" ;;
        esac
        shift
        left=$((left - 1))
    done
    staged=$(mktemp -u "$prelude.XXXXXXXXXX") # no $$: machines that share the folder have equal ones
    "$compiler" "$@" -x c++-header "$prelude" -o "$staged" 2>/dev/null || : > "$staged"
    mv "$staged" "$prelude.gch"
}}
[ -e "$prelude.gch" ] || precompile "$@"
if [ "$kind" = relay ]; then
    text=$(cat "$1")
else
    text=$({shlex.quote(sys.executable)} -I -S {shlex.quote(str(threads))} "$1") || exit
fi
shift
command -v ld.gold > /dev/null && set -- -fuse-ld=gold "$@"
printf '%s\\n' "$text" | "$compiler" -include "$prelude" -x c++ - -x none "$@"
"""
    return write_script(home / f"kernel-compiler-{digest([key, text])}", text)


def kernel_folder(compiled: Path, compiler: Path) -> Path:
    """Make the folder of the kernels that the script `compiler` compiles, inside that of the compiled Jittor."""
    folder = compiled / compiler.name.replace("compiler", "folder")
    for name in ("jit", "obj_files", "tmp", "gen"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


def cpu_model() -> str:
    """Return the processor's name; Jittor compiles for exactly this one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
