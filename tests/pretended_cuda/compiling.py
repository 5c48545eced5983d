"""Compiles with the real nvcc what Jittor generated: the sources that a run on the counting device left behind.

Jittor's text of a kernel does not depend on who compiles it. So a run on the counting device says which kernels there
are, in seconds, and nvcc compiles them thereafter, as many at a time as there are cores, without Jittor.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pretended_cuda.counting_nvcc import LOG
from pretended_cuda.runs import PretendedDevice

ASK = """
from shanshui.backend.cuda_compat import assemble
from shanshui.backend.device import find_device
from shanshui.backend.runtime import cache_home
print("nvcc:", assemble(find_device().toolkit, cache_home() / "jittor"))
"""


@dataclass(frozen=True)
class Kernel:
    """A source of Jittor's, and the arguments it was to be compiled with."""

    source: Path
    arguments: tuple[str, ...]


def asked_of(device: PretendedDevice) -> list[Kernel]:
    """What the counting device was asked to compile, each source once."""
    lines = (device.folder / "site" / "nvidia" / "cu13" / LOG).read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines]
    kernels = {call["source"]: Kernel(Path(call["source"]), tuple(call["arguments"])) for call in asked}
    return [kernel for kernel in kernels.values() if kernel.source.is_file()]


def bridged_nvcc(device: PretendedDevice) -> Path:
    """The compiler as the product hands it to Jittor: around the toolkit it finds on this device."""
    said = device.start("-c", ASK)
    found = [line.removeprefix("nvcc: ") for line in said.stdout.splitlines() if line.startswith("nvcc: ")]
    assert found, said.stdout + said.stderr
    return Path(found[0])


def arguments_for(kernel: Kernel, nvcc: Path, out: Path, whole: bool = True) -> list[str]:
    """The same arguments with headers of another toolkit, for an object file, or for PTX alone."""
    include, left, kept = nvcc.parent.parent / "include", iter(kernel.arguments), [str(nvcc)]
    for argument in left:
        if argument in ("-o", "-Xlinker"):
            next(left)
        elif argument.startswith("-I") and argument.endswith("/toolkit/include"):
            kept.append(f"-I{include}")
        elif not argument.startswith(("-l", "-L", "-shared", "-ccbin")) and not argument.endswith("/first"):
            kept.append(argument)
    return [*kept, "-c" if whole else "-ptx", "-o", str(out)]


def failures(kernels: Iterable[Kernel], nvcc: Path, whole: bool = True) -> dict[str, str]:
    """Compile all, or of all what the device runs; what nvcc said of those that it refused, by source."""

    def compile_one(kernel: Kernel) -> tuple[str, str]:
        with tempfile.TemporaryDirectory() as folder:
            command = arguments_for(kernel, nvcc, Path(folder) / "kernel.o", whole)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        return str(kernel.source), "" if done.returncode == 0 else f"{done.stderr[-3000:]}\n{' '.join(command)}"

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return {source: said for source, said in pool.map(compile_one, kernels) if said}
