"""Stands in for g++ where Jittor itself is compiled for the counting device: hardly optimised, headers read once.

Three quarters of the time goes to reading Jittor's headers. They are precompiled at the first call with these flags.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

HEADERS = "core.h"  # beside this file
OFTEN_RUN = "/op_compiler.cc"  # the source of every kernel goes through it: half of the time without optimisation
SLOW = ("-O", "-march=", "-g")
LINKING = ("-l", "-L", "-Wl,", "-shared")


def precompiled(compiler: list[str], flags: list[str], home: Path) -> list[str]:
    """The flag by which the headers are read in their compiled form; nothing where they do not compile.

    Jittor's libraries add folders of headers, each its own; those that are read here come from the same ones for all.
    """
    kind = " ".join(flag for flag in flags if not flag.startswith("-I"))
    prelude = home / f"jittor-{hashlib.sha256(kind.encode()).hexdigest()[:12]}.h"
    ready = Path(f"{prelude}.gch")
    with open(home / "prelude.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            prelude.write_text((home / HEADERS).read_text(encoding="utf-8"), encoding="utf-8")
            command = [*compiler, *flags, "-x", "c++-header", str(prelude), "-o", str(ready)]
            if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
                ready.write_bytes(b"")
    return ["-include", str(prelude)] if ready.stat().st_size else []


def main(compiler: str, arguments: list[str]) -> int:
    """Compile as asked, but quickly; the exit code."""
    level = "-O2" if any(argument.endswith(OFTEN_RUN) for argument in arguments) else "-O0"
    quick = [compiler, level, *(argument for argument in arguments if not argument.startswith(SLOW))]
    if "-DHAS_CUDA" in arguments and "-include" not in arguments and "-x" not in arguments:
        flags, left = [], iter(quick[2:])
        for argument in left:
            if argument in ("-o", "-Xlinker"):
                next(left)
            elif argument != "-c" and not argument.startswith(LINKING) and argument.startswith("-"):
                flags.append(argument)
        include = precompiled([compiler, "-O0"], flags, Path(__file__).resolve().parent)
        if include and subprocess.run([*quick, *include], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return 0
    os.execv(compiler, quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
