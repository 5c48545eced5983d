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

from shanshui.backend import cuda_probe, device
from shanshui.backend.cuda_toolkit import Toolkit
from shanshui.backend.device import Device, find_device


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What was found is not remembered from or for other tests."""
    find_device.cache_clear()
    yield
    find_device.cache_clear()


TOOLKIT = Toolkit("/opt/cuda/bin/nvcc", (12, 2), 8, (), ())


def driver_shows(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int]) -> None:
    """Let the driver show devices of these compute capabilities."""
    shown = {"version": "12.2", "devices": [{"capability": list(capability)} for capability in capabilities]}
    monkeypatch.setattr(device, "ask_driver", lambda: shown)
    monkeypatch.delenv("SHANSHUI_DEVICE", raising=False)


def test_complete_toolkit_and_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    driver_shows(monkeypatch, (9, 0), (8, 6))
    asked: list[object] = []

    def answer(*question: object) -> Toolkit:
        asked.extend(question)
        return TOOLKIT

    monkeypatch.setattr(device, "find_toolkit", answer)
    found = find_device()
    assert asked == [(12, 2), (8, 6)], "the driver's version, and the least capability"
    assert (found.kind, found.toolkit, found.capability) == ("cuda", TOOLKIT, (9, 0))
    assert found.why == "CUDA: 2 device(s), nvcc 12.2 at /opt/cuda/bin/nvcc, cuDNN 8"


def test_gap_of_the_toolkit_is_the_reason_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    driver_shows(monkeypatch, (9, 0))
    monkeypatch.setattr(device, "find_toolkit", lambda *_: "no nvcc: get one")
    assert find_device() == Device("cpu", "CPU: a CUDA device, but no nvcc: get one")


@pytest.mark.parametrize(
    ("nvcc", "why"), [((), "CPU: no CUDA device"), (("/a/nvcc",), "(nvcc at /a/nvcc alone is not")]
)
def test_without_a_device_nobody_looks_for_a_toolkit(
    nvcc: tuple[str, ...], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver_shows(monkeypatch)
    monkeypatch.setattr(device, "compilers", lambda folders: [*folders, *nvcc])
    monkeypatch.setattr(device, "find_toolkit", lambda *_: pytest.fail("looked for a toolkit"))
    assert (find_device().kind, find_device().toolkit) == ("cpu", None)
    assert why in find_device().why


def test_cpu_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    driver_shows(monkeypatch, (9, 0))
    monkeypatch.setattr(device, "find_toolkit", lambda *_: pytest.fail("looked for a toolkit"))
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
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : device; return 0; }
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
        {"name": "Card A", "memory_mib": 8192, "uuid": "10" * 16, "capability": [9, 0]},
        {"name": "Card B", "memory_mib": 8192, "uuid": "11" * 16, "capability": [9, 1]},
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
    assert (device.cuda_devices(), device.driver_version()) == ([], "")
    device.ask_driver.cache_clear()
