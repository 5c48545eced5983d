"""CUDA or CPU: what the driver, the toolkit and cuDNN on this machine really allow."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NVCC_PLACES = ("/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc")


@dataclass(frozen=True)
class Device:
    """What the networks will run on: `kind` is "cuda" or "cpu", `why` one line for people."""

    kind: str
    why: str
    nvcc: str = ""


def cuda_driver() -> ctypes.CDLL | None:
    """The driver's library, initialised; None where there is no usable driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return driver if driver.cuInit(0) == 0 else None


def cuda_device_count() -> int:
    """Number of CUDA devices the driver shows to this process; 0 without a driver."""
    count = ctypes.c_int(0)
    driver = cuda_driver()
    return count.value if driver and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0


def cuda_devices() -> list[dict[str, object]]:
    """Name and memory (MiB) of every device the driver shows."""
    devices: list[dict[str, object]] = []
    driver = cuda_driver()
    if driver is None:
        return devices
    for index in range(cuda_device_count()):
        name, memory, handle = ctypes.create_string_buffer(100), ctypes.c_size_t(0), ctypes.c_int(0)
        driver.cuDeviceGet(ctypes.byref(handle), index)
        driver.cuDeviceGetName(name, len(name), handle)
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
        devices.append({"name": name.value.decode(errors="replace"), "memory_mib": memory.value // 1024**2})
    return devices


def driver_version() -> str:
    """The newest CUDA version the driver serves, e.g. "12.2"; "" without a driver."""
    driver, version = cuda_driver(), ctypes.c_int(0)
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return ""
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


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
