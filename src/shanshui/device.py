"""CUDA or CPU: what the driver, the toolkit and cuDNN on this machine really allow."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shanshui import cuda_probe

NVCC_PLACES = ("/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc")


@dataclass(frozen=True)
class Device:
    """What the networks will run on: `kind` is "cuda" or "cpu", `why` one line for people."""

    kind: str
    why: str
    nvcc: str = ""


@functools.cache
def ask_driver() -> dict[str, Any]:
    """What the CUDA driver shows (see `cuda_probe`), asked in a child: this process can then still choose a device."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return cuda_probe.NOTHING
    child = [sys.executable, "-I", "-S", cuda_probe.__file__]
    said = subprocess.run(child, capture_output=True, text=True, check=False)
    return dict(json.loads(said.stdout)) if said.returncode == 0 else cuda_probe.NOTHING


def cuda_device_count() -> int:
    """Number of CUDA devices the driver shows to this process; 0 without a driver."""
    return len(ask_driver()["devices"])


def cuda_devices() -> list[dict[str, object]]:
    """Name and memory (MiB) of every device the driver shows."""
    return [{"name": d["name"], "memory_mib": d["memory_mib"]} for d in ask_driver()["devices"]]


def cuda_identities() -> list[str]:
    """What tells every device the driver shows from all others, in the driver's order."""
    return [str(d["uuid"]) for d in ask_driver()["devices"]]


def driver_version() -> str:
    """The newest CUDA version the driver serves, e.g. "12.2"; "" without a driver."""
    return str(ask_driver()["version"])


def find_nvcc() -> str:
    """Path of the CUDA compiler, "" without one."""
    return shutil.which("nvcc") or next((place for place in NVCC_PLACES if Path(place).is_file()), "")


def _holds(folders: Iterable[Path], name: str) -> bool:
    return any((folder / name).is_file() for folder in folders)


def toolkit_gap(nvcc: str) -> str:
    """What Jittor 1.3.11 would miss beside `nvcc`, "" where nothing: the runtime, its headers, cuDNN 8."""
    root = Path(nvcc).resolve().parent.parent
    target = root / "targets" / "x86_64-linux"
    includes = [root / "include", target / "include", Path("/usr/include")]
    libraries = [
        root / "bin",
        root / "lib64",
        target / "lib",
        Path("/usr/lib/x86_64-linux-gnu"),
        Path("/usr/lib"),
    ]
    if not _holds(includes, "cuda_runtime.h") or not _holds(libraries, "libcudart.so"):
        return f"nvcc at {nvcc} comes without the CUDA runtime and its headers; install the full toolkit"
    if not _holds(includes, "cudnn.h") or not _holds(libraries, "libcudnn_ops_infer.so"):
        return f"no cuDNN 8 with headers beside {nvcc}, which Jittor needs (9 does not serve)"
    return ""


@functools.cache
def find_device() -> Device:
    """Decide between CUDA and CPU from what is really usable: driver with a device, compiler, runtime, cuDNN.

    SHANSHUI_DEVICE=cpu in the environment asks for the CPU.
    """
    nvcc = find_nvcc()
    if os.environ.get("SHANSHUI_DEVICE", "").lower() == "cpu":
        return Device("cpu", "CPU, because SHANSHUI_DEVICE=cpu")
    devices = cuda_device_count()
    if devices == 0:
        also = f" (nvcc at {nvcc} alone is not enough: no driver with a device)" if nvcc else ""
        return Device("cpu", f"CPU: no CUDA device{also}")
    if not nvcc:
        return Device("cpu", "CPU: a CUDA device but no nvcc, with which Jittor compiles; install the CUDA toolkit")
    if gap := toolkit_gap(nvcc):
        return Device("cpu", f"CPU: a CUDA device, but {gap}")
    return Device("cuda", f"CUDA: {devices} device(s), nvcc at {nvcc}", nvcc)
