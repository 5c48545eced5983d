"""What the machine is: card, driver, compiler, Python, and where NVIDIA's packages lie. Needs numpy only."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from measuring import report

PACKAGES = (
    "nvidia-cudnn-cu13", "nvidia-cublas", "nvidia-cuda-runtime", "nvidia-cuda-nvcc", "torch", "jittor", "numpy",
    "scipy", "pillow", "pydantic", "snakemake",
)  # fmt: skip


def said(*command: str) -> str:
    """What a command prints, or why it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({error})"
    return (done.stdout + done.stderr).strip()


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    gpu = said("nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader")
    report("facts", gpu=gpu, cores=len(os.sched_getaffinity(0)), python=sys.version.split()[0])
    usual = Path("/usr/local/cuda/bin/nvcc")
    nvcc = shutil.which("nvcc") or (str(usual) if usual.is_file() else "")
    compiler = said("g++", "--version").splitlines()[0] if shutil.which("g++") else "no g++"
    report("facts", nvcc=nvcc, nvcc_version=said(nvcc, "--version").splitlines()[-1] if nvcc else "", cxx=compiler)
    headers = [Path(sysconfig.get_path("include")), Path(f"/usr/include/python3.{sys.version_info.minor}")]
    report("facts", python_headers=any((folder / "Python.h").is_file() for folder in headers))
    for name in ("libcuda.so", "libcuda.so.1"):  # Jittor opens the first, this project the second
        try:
            ctypes.CDLL(name)
            report("facts", **{name: "found"})
        except OSError as error:
            report("facts", **{name: str(error)})
    report("facts", **{package: version(package) for package in PACKAGES})
    for entry in sys.path:
        if (folder := Path(entry) / "nvidia").is_dir():
            report("facts", nvidia=str(folder), parts=sorted(path.name for path in folder.iterdir()))
    print(
        "\n".join(line for line in said("lscpu").splitlines() if line.startswith(("Model name", "CPU(s)"))), flush=True
    )
    print(said("nvidia-smi"), flush=True)
    report(
        "facts", disk=said("df", "-h", "--output=avail", ".").split()[-1], memory=said("free", "-g").splitlines()[1:2]
    )


if __name__ == "__main__":
    main()
