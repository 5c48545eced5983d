"""Query of the CUDA driver for devices. Run as a separate script, so that no other process is bound to a device.

A process that has initialised CUDA no longer heeds CUDA_VISIBLE_DEVICES; a child can ask and end.
"""

from __future__ import annotations

import ctypes
import json
from typing import TypedDict

CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


class CudaDevice(TypedDict):
    """A device: its memory in MiB, and its compute capability as two numbers."""

    name: str
    memory_mib: int
    uuid: str
    capability: list[int]


class Answer(TypedDict):
    """What the driver says: the newest CUDA version it serves, "" without a driver, and its devices."""

    version: str
    devices: list[CudaDevice]


NOTHING: Answer = {"version": "", "devices": []}


def ask() -> Answer:
    """Query the newest CUDA version the driver serves, and every device.

    Returns:
        `version`, e.g. "12.2", "" without a driver; `devices`, each with name, memory_mib, uuid and capability.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return NOTHING
    count, version = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return NOTHING
    driver.cuDriverGetVersion(ctypes.byref(version))
    identify = getattr(driver, "cuDeviceGetUuid_v2", driver.cuDeviceGetUuid)  # the newer one tells MIG slices apart
    devices: list[CudaDevice] = []
    for index in range(count.value):
        name, memory, handle = ctypes.create_string_buffer(100), ctypes.c_size_t(0), ctypes.c_int(0)
        identity = (ctypes.c_ubyte * 16)()
        capability = (ctypes.c_int * 2)()
        driver.cuDeviceGet(ctypes.byref(handle), index)
        driver.cuDeviceGetName(name, len(name), handle)
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
        identify(ctypes.byref(identity), handle)
        for place, attribute in enumerate(CAPABILITY):
            driver.cuDeviceGetAttribute(ctypes.byref(capability, 4 * place), attribute, handle)
        devices.append(
            {
                "name": name.value.decode(errors="replace"),
                "memory_mib": memory.value // 1024**2,
                "uuid": bytes(identity).hex(),
                "capability": list(capability),
            }
        )
    return {"version": f"{version.value // 1000}.{version.value % 1000 // 10}", "devices": devices}


if __name__ == "__main__":
    print(json.dumps(ask()))
