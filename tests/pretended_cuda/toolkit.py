"""Builds the pretended toolkit in the layout of NVIDIA's wheels, so that the product finds it in the normal way.

Two kinds. The *counting* one has stand-in headers of its own and `counting_nvcc` as its compiler: it needs nothing
of NVIDIA's and compiles a kernel in a fraction of a second. The *compiling* one has the real nvcc and headers of
NVIDIA's wheels (`make test-cuda`), and only libraries and driver are pretended.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pretended_cuda.counting_nvcc import ROOM
from shanshui.backend.core_headers import HEADERS

HERE = Path(__file__).resolve().parent
CUDNN_NOTE = "Metadata-Version: 2.1\nName: nvidia-cudnn-cu13\nVersion: 9.0\n"
LIBRARIES = {  # soname: (sources, words its functions begin with)
    "libcudart.so.13": (["runtime"], "cuda"),
    "libcublas.so.13": (["cublas"], "cublas"),
    "libcublasLt.so.13": ([], "cublasLt"),
    "libcurand.so.10": (["curand"], "curand"),
    "libcufft.so.12": ([], "cufft"),
    "libcusparse.so.12": ([], "cusparse"),
}
OWN_HEADERS = (
    "cublas.h", "cublas_v2.h", "cudnn.h", "cudnn_version.h", "curand.h", "cufft.h", "cufftXt.h", "cusparse.h",
)  # fmt: skip
CUDNN_LIBRARIES = {"libcudnn.so.9": (["cudnn"], "cudnn")} | {
    f"libcudnn_{part}.so.9": ([], f"cudnn_{part}") for part in ("ops", "cnn", "graph", "adv")
}


def digest() -> str:
    """Tells builds apart: of everything in this folder that makes them, and this Python."""
    whole = hashlib.sha256(f"{sys.executable}{HEADERS}".encode())
    for file in sorted(HERE.rglob("*")):
        if file.suffix in (".cc", ".h", ".cuh") or file.name in ("toolkit.py", "counting_nvcc.py", "quick_gxx.py"):
            whole.update(str(file.relative_to(HERE)).encode() + file.read_bytes())
    return whole.hexdigest()[:12]


def declared(word: str, includes: Iterable[Path]) -> set[str]:
    """Functions that the headers of a library declare: their names begin with one word."""
    names: set[str] = set()
    for include in includes:
        for header in include.glob(f"{word.removesuffix('Lt')}*.h"):
            text = header.read_text(encoding="utf-8", errors="replace")
            names.update(re.findall(rf"\b({word}[A-Z][A-Za-z0-9_]*) *\(", text))
    return names


def build_library(file: Path, sources: list[Path], names: set[str], includes: Iterable[Path]) -> None:
    """A library from its sources; every other name of `names` is a function that answers 0."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for source in sources:
            objects.append(str(Path(folder) / f"{source.stem}.o"))
            flags = ["-std=c++17", "-O1", "-fPIC", "-w", *(f"-I{include}" for include in includes)]
            subprocess.run(["g++", *flags, "-c", str(source), "-o", objects[-1]], check=True)
        known = subprocess.run(["nm", "-g", *objects], capture_output=True, text=True).stdout if objects else ""
        names = names - set(re.findall(r" [TDB] (\w+)$", known, re.MULTILINE))
        rest = Path(folder) / "rest.cc"
        lines = [f"int {name}() {{ return 0; }}" for name in sorted(names)]
        rest.write_text("\n".join(['extern "C" {', *lines, "}", ""]), encoding="utf-8")
        command = ["g++", "-shared", "-fPIC", "-w", f"-Wl,-soname,{file.name}", *objects, str(rest), "-o", str(file)]
        subprocess.run(command, check=True)


def write_program(path: Path, text: str) -> None:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def build_libraries(home: Path, cudnn: Path, extra: list[str], includes: list[Path], into: Path) -> None:
    """All libraries, those of cuDNN in its own folder, and the driver."""
    for folder, libraries in ((home / "lib", LIBRARIES), (cudnn / "lib", CUDNN_LIBRARIES)):
        for soname, (names, word) in libraries.items():
            sources = [HERE / "libraries" / f"{name}.cc" for name in [*names, *(extra if "cudart" in soname else [])]]
            build_library(folder / soname, sources, declared(word, includes) | {f"{word}_pretended"}, includes)
    (home / "lib" / "libcudadevrt.a").write_bytes(b"!<arch>\n")
    build_library(into / "driver" / "libcuda.so.1", [HERE / "libraries" / "driver.cc"], set(), [])
    note = into / "site" / "nvidia_cudnn_cu13-9.0.dist-info" / "METADATA"
    note.parent.mkdir(parents=True)
    note.write_text(CUDNN_NOTE, encoding="utf-8")


def build_counting(into: Path) -> None:
    """The counting toolkit in the new folder `into`: `site`, `driver`, and a `bin/g++` that does not optimise."""
    home, cudnn = into / "site" / "nvidia" / "cu13", into / "site" / "nvidia" / "cudnn"
    of_cudnn = [name for name in OWN_HEADERS if name.startswith("cudnn")]
    shutil.copytree(HERE / "include", home / "include", ignore=shutil.ignore_patterns(*of_cudnn))
    shutil.copytree(HERE / "jittor_headers", home / "jittor_headers")
    (cudnn / "include").mkdir(parents=True)
    for name in of_cudnn:
        shutil.copy(HERE / "include" / name, cudnn / "include" / name)
    python = shlex.quote(sys.executable)
    write_program(home / "bin" / "nvcc", f'#!/bin/sh\nexec {python} -I -S "${{0%/*}}/counting_nvcc.py" "$@"\n')
    shutil.copy(HERE / "counting_nvcc.py", home / "bin" / "counting_nvcc.py")
    compiler = shlex.quote(shutil.which("g++") or "g++")
    write_program(into / "bin" / "g++", f'#!/bin/sh\nexec {python} -I -S "${{0%/*}}/quick_gxx.py" {compiler} "$@"\n')
    shutil.copy(HERE / "quick_gxx.py", into / "bin" / "quick_gxx.py")
    (into / "bin" / "core.h").write_text(HEADERS, encoding="utf-8")
    build_libraries(home, cudnn, [], [home / "include", cudnn / "include"], into)
    names = f'-DPRETENDED_NAMES="{"@" * ROOM}"'
    command = ["g++", "-shared", "-fPIC", "-O0", names, str(HERE / "libraries" / "launches.cc")]
    runtime = str(home / "lib" / "libcudart.so.13")
    subprocess.run([*command, runtime, "-o", str(home / "bin" / "launches.so")], check=True)


def build_compiling(into: Path, wheels: Path) -> None:
    """The compiling toolkit in the new folder `into`, of the wheels unpacked in `wheels`.

    Where the wheels of cuBLAS, cuDNN, cuRAND, cuFFT, cuSPARSE are not among them, our own headers declare them.
    """
    real, home, cudnn = wheels / "nvidia", into / "site" / "nvidia" / "cu13", into / "site" / "nvidia" / "cudnn"
    shutil.copytree(real / "cu13" / "bin", home / "bin")  # nvcc looks for all else beside its own file
    (home / "nvvm").symlink_to(real / "cu13" / "nvvm")
    for include, theirs in ((home / "include", real / "cu13"), (cudnn / "include", real / "cudnn")):
        include.mkdir(parents=True)
        for entry in (theirs / "include").glob("*"):
            (include / entry.name).symlink_to(entry)
    for name in OWN_HEADERS:
        include = (cudnn if name.startswith("cudnn") else home) / "include"
        if not (include / name).exists():
            (include / name).symlink_to(HERE / "include" / name)
    build_libraries(home, cudnn, ["compiled_kernels"], [home / "include", cudnn / "include"], into)
