"""CUDA only where all of it is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shanshui import cuda_probe, device
from shanshui.device import find_device


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What was found is not remembered from or for other tests."""
    find_device.cache_clear()
    yield
    find_device.cache_clear()


def toolkit(folder: Path, *files: str) -> Path:
    """A CUDA toolkit of empty files; returns its `bin`."""
    for name in ("bin/nvcc", *files):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    return folder / "bin"


RUNTIME = ("include/cuda_runtime.h", "lib64/libcudart.so")
CUDNN = ("include/cudnn.h", "lib64/libcudnn_ops_infer.so")


@pytest.mark.parametrize(
    ("devices", "files", "kind", "why"),
    [
        (0, (*RUNTIME, *CUDNN), "cpu", "no driver with a device"),
        (1, (), "cpu", "without the CUDA runtime"),
        (1, RUNTIME, "cpu", "no cuDNN 8"),
        (2, (*RUNTIME, *CUDNN), "cuda", "2 device"),
    ],
)
def test_cuda_only_where_all_of_it_is_there(
    devices: int, files: tuple[str, ...], kind: str, why: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if why == "no cuDNN 8" and Path("/usr/include/cudnn.h").exists():
        pytest.skip("this machine has cuDNN where every toolkit finds it")
    monkeypatch.setenv("PATH", str(toolkit(tmp_path, *files)))
    monkeypatch.delenv("SHANSHUI_DEVICE", raising=False)
    monkeypatch.setattr(device, "cuda_device_count", lambda: devices)
    found = find_device()
    assert (found.kind, "\n" in found.why) == (kind, False)
    assert why in found.why
    assert found.nvcc == (str(tmp_path / "bin" / "nvcc") if kind == "cuda" else "")


def test_device_without_nvcc_is_a_cpu_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(device, "find_nvcc", lambda: "")
    monkeypatch.delenv("SHANSHUI_DEVICE", raising=False)
    assert "install the CUDA toolkit" in find_device().why


def test_cpu_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(toolkit(tmp_path, *RUNTIME, *CUDNN)))
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    monkeypatch.setenv("SHANSHUI_DEVICE", "cpu")
    assert find_device().kind == "cpu"


# --- asking the driver --------------------------------------------------------------------------------

DRIVER = """
#include <string.h>
#include <stdlib.h>
int cuInit(unsigned flags) { return getenv("FAKE_FAILS") ? 100 : 0; }
int cuDriverGetVersion(int *version) { *version = 12020; return 0; }
int cuDeviceGetCount(int *count) { *count = getenv("CUDA_VISIBLE_DEVICES") ? 1 : 2; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int id) { strncpy(name, id ? "Card B" : "Card A", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)8 << 30; return 0; }
int cuDeviceGetUuid(unsigned char *uuid, int device) { memset(uuid, 16 + device, 16); return 0; }
"""


def probe(folder: Path, **environment: str) -> dict[str, object]:
    """What the probe prints with the libraries in `folder`."""
    said = subprocess.run(
        [sys.executable, "-I", "-S", cuda_probe.__file__], capture_output=True, text=True, check=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), **environment},
    )  # fmt: skip
    answer: dict[str, object] = json.loads(said.stdout)
    return answer


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a driver that shows two devices, or one where CUDA_VISIBLE_DEVICES is set."""
    compiler = shutil.which("gcc") or shutil.which("g++")
    if not compiler:
        pytest.skip("no C compiler")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    subprocess.run(
        [compiler, "-x", "c", "-shared", "-fPIC", str(tmp_path / "driver.c"), "-o", str(library)], check=True
    )
    return tmp_path


def test_probe_tells_every_visible_device_apart(driver: Path) -> None:
    answer = probe(driver)
    assert answer["version"] == "12.2"
    assert answer["devices"] == [
        {"name": "Card A", "memory_mib": 8192, "uuid": "10" * 16},
        {"name": "Card B", "memory_mib": 8192, "uuid": "11" * 16},
    ]
    assert len(probe(driver, CUDA_VISIBLE_DEVICES="1")["devices"]) == 1  # type: ignore[arg-type]


def test_probe_without_a_working_driver_finds_nothing(driver: Path, tmp_path: Path) -> None:
    assert probe(driver, FAKE_FAILS="1") == cuda_probe.NOTHING
    (driver / "libcuda.so.1").write_bytes(b"")
    assert probe(driver) == cuda_probe.NOTHING


def test_nobody_asks_a_driver_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    device.ask_driver.cache_clear()
    monkeypatch.setattr(device.ctypes, "CDLL", missing)
    monkeypatch.setattr(device.subprocess, "run", lambda *_, **__: pytest.fail("a child was started"))
    assert (device.cuda_device_count(), device.cuda_devices(), device.driver_version()) == (0, [], "")
    device.ask_driver.cache_clear()
