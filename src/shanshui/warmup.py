"""Compiling kernels before jobs run side by side: one process, all cores, something to look at.

Jittor compiles a kernel when it first meets an operation. Several processes that all meet new ones wait for
each other; so one process goes through all steps of a run once, small, and the others find the result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shanshui.compilation import environment_key
from shanshui.files import digest, sha256, write_json
from shanshui.runtime import cache_home, load_jittor

Step = tuple[str, Callable[[], object]]
Networks = dict[str, Any]  # their sections in settings
SOURCES = (
    "models",
    "training",
    "metrics",
    "generation.py",
    "segmenters.py",
    "networks.py",
    "painters.py",
    "chances.py",
    "warmup.py",
)  # whose changes may ask for new kernels


def kernel_stamp(networks: Networks | None = None) -> Path:
    """The note that the kernels of this code were compiled in this environment; or those of other `networks`."""
    root = Path(__file__).parent
    files = [root / name for name in SOURCES if name.endswith(".py")]
    files += [file for name in SOURCES for file in (root / name).rglob("*.py")]
    code = {str(file.relative_to(root)): sha256(file) for file in files}
    of_networks = [networks] if networks else []
    return cache_home() / "jittor" / "kernels" / f"{digest([environment_key(), code, *of_networks])}.json"


def convolution() -> None:
    """One convolution with its gradients: reaches the compiler and oneDNN."""
    jt = load_jittor()
    image, weight = jt.randn(1, 3, 8, 8), jt.randn(4, 3, 3, 3)
    loss = jt.nn.conv2d(image, weight).sqr().mean()
    jt.sync(jt.grad(loss, [image, weight]))


def steps() -> list[Step]:
    """What a run does, in order, each once and small."""
    from shanshui.training.rehearsal import rehearsals

    return [("convolution", convolution), *rehearsals()]


def other_steps(networks: Networks) -> list[Step]:
    """What a run of other networks does beyond that."""
    from shanshui.training.rehearsal import others

    return [*others(networks)]


def compile_kernels(work: Sequence[Step]) -> float:
    """Run every step of `work` in this process with Jittor's parallel compiler; return the seconds it took.

    One line per step on stderr, where Jittor's own counter appears in between.
    """
    start = time.monotonic()
    load_jittor(parallel_compile=True)
    for number, (name, step) in enumerate(work, 1):
        print(f"compiling kernels, {number} of {len(work)}: {name} ...", file=sys.stderr, flush=True)
        before = time.monotonic()
        step()
        print(f"    {time.monotonic() - before:.1f} s", file=sys.stderr, flush=True)
    return time.monotonic() - start


def ensure_compiled(networks: Networks | None = None) -> bool:
    """Compile Jittor and all kernels unless that was done before; True where there was something to do.

    Args:
        networks: sections of others than APF-GAN and its bank (`structure.rehearsed`), whose kernels are wanted too.
    """
    done = _ensure(kernel_stamp(), steps)
    return (bool(networks) and _ensure(kernel_stamp(networks), lambda: other_steps(networks or {}))) or done


def _ensure(stamp: Path, work: Callable[[], Sequence[Step]]) -> bool:
    if stamp.is_file():
        return False
    load_jittor(parallel_compile=True)  # before anything below imports it without
    seconds = compile_kernels(work())
    write_json(stamp, {"seconds": round(seconds, 1)})
    return True
