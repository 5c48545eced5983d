"""Choice of CUDA or CPU by what the driver, the toolkit and cuDNN on this machine support."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from shanshui.backend import cuda_probe, gpu_patches
from shanshui.backend.cuda_toolkit import Toolkit, compilers, find_toolkit
from shanshui.backend.lazy import jt

if TYPE_CHECKING:
    from shanshui.backend.cuda_probe import Answer


@dataclass(frozen=True)
class Device:
    """Device of the networks: `kind` is "cuda" or "cpu", `why` a readable reason."""

    kind: str
    why: str
    toolkit: Toolkit | None = None
    capability: tuple[int, int] = (0, 0)  # the greatest of the devices


@functools.cache
def ask_driver() -> Answer:
    """Query the CUDA driver in a child process, so that this process can still choose a device."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return cuda_probe.NOTHING
    child = [sys.executable, "-I", "-S", cuda_probe.__file__]
    said = subprocess.run(child, capture_output=True, text=True, check=False)
    return cast("Answer", json.loads(said.stdout)) if said.returncode == 0 else cuda_probe.NOTHING


def cuda_devices() -> list[dict[str, object]]:
    """List name and memory (MiB) of every device the driver shows."""
    return [{"name": d["name"], "memory_mib": d["memory_mib"]} for d in ask_driver()["devices"]]


def cuda_identities() -> list[str]:
    """Return a unique identifier of every device, in the driver's order."""
    return [str(d["uuid"]) for d in ask_driver()["devices"]]


def driver_version() -> str:
    """Return the newest CUDA version the driver serves, e.g. "12.2"; "" without a driver."""
    return str(ask_driver()["version"])


def driver_capabilities() -> list[tuple[int, int]]:
    """List the compute capability of every device the driver shows, e.g. (9, 0)."""
    return [(int(d["capability"][0]), int(d["capability"][1])) for d in ask_driver()["devices"]]


@functools.cache
def find_device() -> Device:
    """Decide between CUDA and CPU from what is really usable: driver with a device, compiler, runtime, cuDNN.

    SHANSHUI_DEVICE=cpu in the environment chooses the CPU.
    """
    if os.environ.get("SHANSHUI_DEVICE", "").lower() == "cpu":
        return Device("cpu", "CPU, because SHANSHUI_DEVICE=cpu")
    capabilities = driver_capabilities()
    if not capabilities:
        nvcc = next(iter(compilers(())), "")
        also = f" (nvcc at {nvcc} alone is not enough: no driver with a device)" if nvcc else ""
        return Device("cpu", f"CPU: no CUDA device{also}")
    major, minor = (int(part) for part in driver_version().split("."))
    toolkit = find_toolkit((major, minor), min(capabilities))
    if isinstance(toolkit, str):
        return Device("cpu", f"CPU: a CUDA device, but {toolkit}")
    why = f"CUDA: {len(capabilities)} device(s), {toolkit.describe()}"
    return Device("cuda", why, toolkit, max(capabilities))


def on_cpu() -> bool:
    """Return whether the networks run in one process on a CPU, for which the OpenMP kernels are; loads Jittor."""
    return not (jt.flags.use_cuda or jt.in_mpi)


def distinct_patches(norm: Literal["batch", "instance"] = "batch") -> bool:
    """Return whether SPADE layers with that norm may run on distinct patches; otherwise they stay dense. Loads Jittor.

    On a CPU they always do, under MPI never. On a GPU with batch norm, in batches for which `gpu_patches.pay` says so.
    """
    return on_cpu() or (gpu_patches.wanted() != "off" and norm == "batch" and not jt.in_mpi)
