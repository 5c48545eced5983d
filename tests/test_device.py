"""CUDA only where all of it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shanshui import device
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
