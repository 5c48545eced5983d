"""Compile kernels before parallel jobs start: in one process, on all cores, with progress.

Jittor compiles a kernel when it first meets an operation. Several processes that all meet new ones wait for
each other; so one process goes through all steps of a run once, small, and the others find the result. It is a
child of the one that asks, because Jittor's parallel compiler may crash or hang.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.backend.compilation import Progress, environment_key
from shanshui.backend.runtime import cache_home, load_jittor
from shanshui.backend.watchdog import STDERR, run_with_watchdog
from shanshui.errors import EXIT_INTERRUPTED, ShanshuiError
from shanshui.storage.files import digest, sha256, write_json

if TYPE_CHECKING:
    from shanshui.config.kernels import RunKernels

SAID_WHY = 3  # exit code of a child that needs something it cannot get by another attempt
CHILD = """
import json, sys
from shanshui.training.precompilation import compile_in_child
compile_in_child(json.loads(sys.argv[1]), sys.argv[2] == "threads")
"""

Step = tuple[str, Callable[[], object]]
SOURCES = (
    "architectures",
    "backend/kernel_threads.py",
    "backend/toolchain.py",
    "metrics",
    "nn",
    "synthesis/synthesizer.py",
    "training",
)  # whose changes may ask for new kernels


def kernel_stamp(kernels: RunKernels | None = None) -> Path:
    """Return the stamp file of the compiled kernels of this code and environment: of APF-GAN, or of one run."""
    root = Path(__file__).parent.parent
    files = [root / name for name in SOURCES if name.endswith(".py")]
    files += [file for name in SOURCES for file in (root / name).rglob("*.py")]
    code = {str(file.relative_to(root)): sha256(file) for file in files}
    of_run = [kernels] if kernels else []
    return cache_home() / "jittor" / "kernels" / f"{digest([environment_key(), code, *of_run])}.json"


def convolution() -> None:
    """Compute a convolution and its gradients, which needs the compiler and oneDNN."""
    jt = load_jittor()
    image, weight = jt.randn(1, 3, 8, 8), jt.randn(4, 3, 3, 3)
    loss = jt.nn.conv2d(image, weight).sqr().mean()
    jt.sync(jt.grad(loss, [image, weight]))


def steps() -> list[Step]:
    """List the steps of a run, in order, each once at a small size."""
    from shanshui.training.precompilation_steps import precompilation_steps

    return [("convolution", convolution), *precompilation_steps()]


def steps_of(kernels: RunKernels) -> list[Step]:
    """List the steps of one run alone."""
    from shanshui.training.precompilation_steps import of_run

    return [("convolution", convolution), *of_run(kernels)]


def compile_kernels(work: Sequence[Step]) -> float:
    """Run every step of `work` in this process, with a progress line on stderr; return the seconds it took."""
    start = time.monotonic()
    progress = Progress("compiling kernels", len(work), every=30.0, unit="steps")
    for number, (_, step) in enumerate(work):
        progress.show(number)
        step()
    progress.show(len(work), last=True)
    return time.monotonic() - start


def kernel_log() -> Path:
    """Return the file with what Jittor and the compiler print while kernels are compiled."""
    return cache_home() / "jittor" / "kernels.log"


def keep_compiler_output() -> None:
    """Send what libraries and compilers print on stderr to `kernel_log`; Python's own messages stay on the screen."""
    log = kernel_log()
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = os.fdopen(os.dup(STDERR), "w", encoding="utf-8", buffering=1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), STDERR)


def ensure_compiled(kernels: RunKernels | None = None) -> bool:
    """Compile Jittor and kernels, unless that was done before; return whether there was something to do.

    Args:
        kernels: of one run, which then are all that is compiled; None for those of APF-GAN, whatever its options.
            Where the latter exist, a run of APF-GAN compiles what little else it needs when it meets it.
    """
    stamp = kernel_stamp(kernels)
    if stamp.is_file() or (kernels and kernels["sizes"] > 1 and kernel_stamp().is_file()):
        return False
    start = time.monotonic()
    compile_apart(kernels)
    write_json(stamp, {"seconds": round(time.monotonic() - start, 1)})
    return True


def compile_in_child(kernels: RunKernels | None, in_parallel: bool) -> None:
    """Compile in the child of `compile_apart`; end without clean-up, which may wait for threads forever."""
    code = 0
    keep_compiler_output()
    try:
        load_jittor(parallel_compile=in_parallel)  # before anything below imports it without
        compile_kernels(steps() if kernels is None else steps_of(kernels))
    except ShanshuiError as error:
        print(error, file=sys.stderr)
        code = SAID_WHY
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    sys.stderr.flush()
    os._exit(code)


def compile_apart(kernels: RunKernels | None) -> None:
    """Compile in a child process: with threads or, if those crash or hang, one kernel after another.

    The threads of Jittor's parallel compiler share tables without locks: occasionally one reads what another writes,
    which leads to a crash or a process that never ends.

    Raises:
        ShanshuiError: the child reports that something is missing, or the second attempt fails too.
    """
    command = [sys.executable, "-c", CHILD, json.dumps(kernels)]
    code = run_with_watchdog([*command, "threads"])
    if code not in (0, SAID_WHY):
        how = "made no progress" if code is None else f"ended with exit code {code}"
        print(f"compiling kernels by several threads {how}; again with one", file=sys.stderr, flush=True)
        code = subprocess.run([*command, "one"], stdin=subprocess.DEVNULL, stdout=STDERR).returncode
    if code != 0:
        raise ShanshuiError(
            f"kernels could not be compiled (exit code {code}); the reason stands above or in {kernel_log()}",
            "a working g++, Python headers, 4 GB of memory and 1 GB of disk",
            "`python -m shanshui doctor` checks the machine; then the same command again",
        )
