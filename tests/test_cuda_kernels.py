"""What Jittor generates for a device, compiled by NVIDIA's compiler for compute capability 9.0; no device is needed.

A run on the counting device (tests/pretended_cuda) makes the sources; then nvcc compiles them. In `make test` that is
one kernel of each kind, of most of them to PTX, which is what the device runs, with the compiler of envs/nvcc.txt; in
`make test-cuda` every kernel of every network, and Jittor itself, with all wheels of envs/cuda.txt.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pretended_cuda.checks import MORE, WORK, through_the_host
from pretended_cuda.compiling import Kernel, asked_of, bridged_nvcc, failures
from pretended_cuda.runs import PretendedDevice, compiling_device, counting_device

KINDS = {
    "fused elementwise": "sqrt", "sum": "__opkey0_reduce", "transpose": "transpose", "convolution": "cudnn_conv__",
    "its gradient of x": "cudnn_conv_backward_x", "its gradient of w": "cudnn_conv_backward_w", "product": "cublas_",
    "sort": "cub_argsort", "argmax": "cub_arg_reduce", "where": "cub_where", "random numbers": "curand",
    "a kernel of our own": "add_one", "depthwise convolution": "KernelDepthwiseConv(", "its gradient": "LaneId",
    "softmax": "cub::Max",
}  # fmt: skip
WHOLE = ("fused elementwise", "its gradient of x", "sort", "a kernel of our own")  # with the host's half, and assembled
EVERYTHING = 400  # kernels, at least


def wheels(root: Path, name: str) -> Path:
    folder = root / "build" / name
    if not folder.is_dir():
        pytest.skip(f"no {folder.relative_to(root)}: make it by envs/cuda_wheels.sh {name}")
    return folder


@pytest.fixture(scope="module")
def kernels() -> list[Kernel]:
    """One source of each kind."""
    device = counting_device()
    counts = device.run("operations")["operations"]
    assert "error" not in counts, counts["error"]
    return asked_of(device)


def one_of(kernels: list[Kernel], sign: str) -> Kernel:
    """The first kernel by name whose name or text has a sign."""
    ordered = sorted(kernels, key=lambda kernel: kernel.source.name)
    found = [kernel for kernel in ordered if sign in kernel.source.name or sign in kernel.source.read_text()]
    assert found, f"no kernel with {sign}"
    return found[0]


def test_one_kernel_of_each_kind_compiles(root: Path, kernels: list[Kernel]) -> None:
    nvcc = bridged_nvcc(compiling_device(wheels(root, "nvcc")))
    chosen = {kind: one_of(kernels, sign) for kind, sign in KINDS.items()}
    whole = [chosen.pop(kind) for kind in WHOLE]
    refused = failures(whole, nvcc) | failures(chosen.values(), nvcc, whole=False)
    assert refused == {}, "\n".join(refused.values())


@pytest.mark.cuda
def test_every_kernel_of_every_network_compiles(root: Path) -> None:
    device, nvcc = counting_device(), bridged_nvcc(compiling_device(wheels(root, "cuda")))
    counts: dict[str, Any] = device.run(*WORK, *MORE, seconds=3000)
    assert {name: found["error"] for name, found in counts.items() if "error" in found} == {}
    assert [name for name in MORE if through_the_host(counts[name]["step"])] == []
    every = asked_of(device)
    assert len(every) >= EVERYTHING
    start = time.monotonic()
    refused = failures(every, nvcc)
    print(f"{len(every)} kernels compiled for compute capability 9.0 in {time.monotonic() - start:.0f} s")
    assert refused == {}, "\n".join([*refused, *list(refused.values())[:2]])


@pytest.mark.cuda
def test_jittor_compiles_links_and_launches(root: Path) -> None:
    """Its core and the parts for NVIDIA's libraries against the real headers; kernels linked, loaded, launched."""
    device: PretendedDevice = compiling_device(wheels(root, "cuda"))
    start = time.monotonic()
    counts = device.run("operations", seconds=3000)["operations"]
    print(f"Jittor and its kernels compiled in {time.monotonic() - start:.0f} s")
    assert "error" not in counts, counts["error"]
    assert counts["fused elementwise"]["launches"] > 0
