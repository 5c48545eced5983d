"""CUDA in made-up folders: what is found where, under which names Jittor gets it, and what a gap says."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import util
from pathlib import Path

import pytest

from shanshui.backend import cuda_toolkit
from shanshui.backend.cuda_compat import assemble
from shanshui.backend.cuda_toolkit import PARTS, Toolkit, ask_compiler, find_toolkit, wheels_of
from shanshui.backend.cudnn_header import GONE_FROM_CUDNN_9

COMPILER = shutil.which("g++") or ""
needs_compiler = pytest.mark.skipif(not COMPILER, reason="no g++")
HOPPER = (9, 0)
OF_WHEELS = (  # headers of the wheels of CUDA 13 that Jittor's kernels include
    "cuda_runtime", "cuda_runtime_api", "driver_types", "cuda_fp16", "cuda_bf16", "math_constants",
    "cublas", "cublas_v2", "cudnn", "curand", "cufft", "cufftXt", "cusparse",
)  # fmt: skip
Make = Callable[..., Path]
PRETENDED = Path(__file__).parent / "pretended_cuda" / "include"


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def make_nvcc(path: Path, version: str) -> Path:
    return write(path, f'#!/bin/sh\necho "release {version}, V{version}.1" "$@"\n')


def make_part(part: str, include: Path, library: Path, soname: str, cudnn: int = 8) -> None:
    """Header and library of one part."""
    header, name = PARTS[part]
    write(include / header, f"// {part} {soname}\n")
    write(library / f"lib{name}.so{soname}")
    if part == "cudnn":
        write(include / "cudnn_version.h", f"#define CUDNN_MAJOR {cudnn}\n")
        for piece in ("ops_infer", "ops_train", "cnn_infer", "cnn_train") if cudnn == 8 else ("ops", "cnn", "graph"):
            write(library / f"libcudnn_{piece}.so{soname}")
    if part == "cuda-runtime":
        write(library / "libcudadevrt.a")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a system's toolkit; nothing else is found on this machine, nor in its Python."""
    site = tmp_path / "site packages"
    site.mkdir()
    monkeypatch.setattr(cuda_toolkit, "SYSTEM_NVCC", ())
    monkeypatch.setattr(cuda_toolkit.sys, "path", ["", str(site)])
    monkeypatch.setattr(cuda_toolkit.shutil, "which", lambda name: None)

    def make(version: str, without: str = "", cudnn: int = 8) -> Path:
        home = tmp_path / "opt" / "cuda"
        for part in PARTS:
            if part != without:
                make_part(part, home / "include", home / "lib64", f".{cudnn}" if part == "cudnn" else "", cudnn)
        nvcc = make_nvcc(home / "bin" / "nvcc", version)
        monkeypatch.setattr(cuda_toolkit.shutil, "which", lambda name: str(nvcc))
        return nvcc

    make.site = site  # type: ignore[attr-defined]
    return make


def pip_13(site: Path) -> Path:
    """All wheels of CUDA 13 and their cuDNN 9."""
    for part in PARTS:
        package = "cudnn" if part == "cudnn" else "cu13"
        number = ".9" if part == "cudnn" else ".13"
        make_part(part, site / "nvidia" / package / "include", site / "nvidia" / package / "lib", number, cudnn=9)
    (site / "nvidia_cudnn_cu13-9.13.0.50.dist-info").mkdir()
    return make_nvcc(site / "nvidia" / "cu13" / "bin" / "nvcc", "13.0")


def cudnn_of_pip(site: Path, cuda: int, cudnn: int) -> None:
    make_part("cudnn", site / "nvidia/cudnn/include", site / "nvidia/cudnn/lib", f".{cudnn}", cudnn)
    (site / f"nvidia_cudnn_cu{cuda}-{cudnn}.9.7.29.dist-info").mkdir()


def find(tmp_path: Path, driver: tuple[int, int], capability: tuple[int, int] = HOPPER) -> Toolkit | str:
    return find_toolkit(driver, capability, tmp_path / "root")


def found(tmp_path: Path, driver: tuple[int, int]) -> Toolkit:
    toolkit = find(tmp_path, driver)
    assert isinstance(toolkit, Toolkit), toolkit
    return toolkit


# --- what is found ------------------------------------------------------------------------------------


def test_system_with_cudnn_8(system: Make, tmp_path: Path) -> None:
    nvcc = system("12.2")
    toolkit = found(tmp_path, (12, 4))
    assert (toolkit.nvcc, toolkit.version, toolkit.cudnn) == (str(nvcc), (12, 2), 8)
    assert toolkit.describe() == f"nvcc 12.2 at {nvcc}, cuDNN 8"
    folder = assemble(toolkit, tmp_path / "home").parent.parent
    assert "cudnnSetRNNDescriptor_v6" not in (folder / "include" / "cudnn.h").read_text(), "8 has it"
    assert (folder / "include" / "cuda_runtime.h").is_symlink()
    for name in ("cudart", "cublas", "cudnn", "cudnn_ops_infer", "curand", "cufft", "cusparse"):
        assert (folder / "lib64" / f"lib{name}.so").is_file(), name
    assert (folder / "lib64" / "libcudnn.so.8").is_file(), "the name a program linked with it asks for"


def test_cudnn_9_gets_the_names_of_8(system: Make, tmp_path: Path) -> None:
    system("12.2", cudnn=9)
    folder = assemble(found(tmp_path, (12, 4)), tmp_path / "ho me").parent.parent
    for old, new in (("ops_infer", "ops"), ("ops_train", "ops"), ("cnn_infer", "cnn"), ("cnn_train", "cnn")):
        assert (folder / "lib64" / f"libcudnn_{old}.so").resolve().name == f"libcudnn_{new}.so.9"
    text = (folder / "include" / "cudnn.h").read_text()
    assert f'#include "{tmp_path}/opt/cuda/include/cudnn.h"' in text
    assert all(f" {name}(" in text for name in GONE_FROM_CUDNN_9)


@needs_compiler
def test_cudnn_9_names_compile(system: Make, tmp_path: Path) -> None:
    system("12.2", cudnn=9)
    write(tmp_path / "opt/cuda/include/cudnn.h", f'#include "{PRETENDED / "cudnn.h"}"\n')
    folder = assemble(found(tmp_path, (12, 4)), tmp_path / "home").parent.parent
    calls = "".join(f"static_assert(sizeof({name}(1, nullptr)) == 4);\n" for name in GONE_FROM_CUDNN_9)
    source = write(tmp_path / "a.cc", f"#include <cudnn.h>\n{calls}")
    subprocess.run([COMPILER, "-std=c++17", "-fsyntax-only", f"-I{folder / 'include'}", str(source)], check=True)


def test_wheels_alone(system: Make, tmp_path: Path) -> None:
    site: Path = system.site  # type: ignore[attr-defined]
    nvcc = pip_13(site)
    toolkit = found(tmp_path, (13, 0))
    assert (toolkit.nvcc, toolkit.version, toolkit.cudnn) == (str(nvcc), (13, 0), 9)
    script = assemble(toolkit, tmp_path / "home")
    folder = script.parent.parent
    assert (folder / "lib64" / "libcudart.so").resolve().name == "libcudart.so.13"
    assert (folder / "lib64" / "libcudnn_cnn_train.so").resolve().name == "libcudnn_cnn.so.9"
    assert (folder / "lib64" / "libcudadevrt.a").is_file()
    assert (folder.parent / "cudnn").resolve() == site / "nvidia" / "cudnn", "where libraries look for each other"
    said = subprocess.run([script, "-std=c++14", "a b", "-O2"], capture_output=True, text=True, check=True).stdout
    assert said == f"release 13.0, V13.0.1 -I{folder / 'first'} -std=c++17 a b -O2\n", "headers of CUDA 13 need C++17"


JITTOR = util.find_spec("jittor")


def includes_of_jittor() -> dict[str, Path]:
    """Headers in angle brackets that Jittor's kernels include, each with a file that does."""
    assert JITTOR
    assert JITTOR.origin
    folder = Path(JITTOR.origin).parent
    files = [*(folder / "src" / "misc").glob("*.h"), *(folder / "src" / "type").glob("*.h")]
    files += [*(folder / "extern" / "cuda").glob("cu*/*/*.*"), *(folder / "extern" / "cuda" / "inc").glob("*.h")]
    found = {}
    for file in files:
        if "test" in file.name or "timer" in file.name:  # of NVIDIA's examples
            continue
        for name in re.findall(r"#include\s*<([\w/.]+)>", file.read_text(encoding="utf-8", errors="replace")):
            found[name] = file
    return found


@needs_compiler
def test_every_header_that_kernels_include_is_in_a_toolkit_or_made(system: Make, tmp_path: Path) -> None:
    """What pip's wheels of CUDA 13 lack (npp.h was the one that no kernel compiled without) is written here."""
    pip_13(system.site)  # type: ignore[attr-defined]
    include = assemble(found(tmp_path, (13, 0)), tmp_path / "home").parent.parent / "include"
    of_wheels = {f"{name}.h" for name in OF_WHEELS}
    missing = {}
    assert JITTOR
    for name, file in includes_of_jittor().items():
        of_cuda = name.startswith(("cub/", "thrust/")) or name in of_wheels
        if of_cuda or name == "windows.h" or (include / name).is_file() or (file.parent / name).is_file():
            continue
        command = [COMPILER, "-E", f"-I{Path(str(JITTOR.origin)).parent / 'src'}", "-x", "c++", "-"]
        if subprocess.run(command, input=f"#include <{name}>", text=True, capture_output=True, check=False).returncode:
            missing[name] = file.name
    assert missing == {}


def test_limits_of_integers_only_where_the_toolkit_has_none(system: Make, tmp_path: Path) -> None:
    system("12.2")
    write(tmp_path / "opt/cuda/include/npp.h", "// NVIDIA's own\n")
    folder = assemble(found(tmp_path, (12, 4)), tmp_path / "home").parent.parent
    assert (folder / "include" / "npp.h").read_text() == "// NVIDIA's own\n"
    assert (folder / "include" / "npp.h").is_symlink()


def test_a_link_of_an_older_form_of_the_folder_gives_way_to_a_header(system: Make, tmp_path: Path) -> None:
    system("12.2")
    toolkit = found(tmp_path, (12, 4))
    header = assemble(toolkit, tmp_path / "home").parent.parent / "include" / "cudnn.h"
    real = tmp_path / "opt/cuda/include/cudnn.h"
    before = real.read_text()
    header.unlink()
    header.symlink_to(real)
    assemble(toolkit, tmp_path / "home")
    assert not header.is_symlink()
    assert real.read_text() == before


@needs_compiler
def test_fields_that_cuda_13_lost(system: Make, tmp_path: Path) -> None:
    site: Path = system.site  # type: ignore[attr-defined]
    pip_13(site)
    runtime = site / "nvidia/cu13/include/cuda_runtime.h"
    write(runtime, "#pragma once\nstruct cudaDeviceProp { int major; };\nint ask(cudaDeviceProp *);\n")
    include = assemble(found(tmp_path, (13, 0)), tmp_path / "home").parent.parent / "include"
    source = write(
        tmp_path / "a.cc",
        "#include <cuda_runtime.h>\n"
        "int f() { cudaDeviceProp p; ask(&p); return p.computeMode + p.clockRate + p.major; }\n",
    )
    subprocess.run([COMPILER, "-std=c++14", "-fsyntax-only", f"-I{include}", str(source)], check=True)


def test_compiler_of_the_system_with_cudnn_of_pip(system: Make, tmp_path: Path) -> None:
    site: Path = system.site  # type: ignore[attr-defined]
    system("12.2", without="cudnn")
    cudnn_of_pip(site, cuda=12, cudnn=8)
    toolkit = found(tmp_path, (12, 4))
    assert toolkit.cudnn == 8
    folder = assemble(toolkit, tmp_path / "home").parent.parent
    assert (folder / "lib64" / "libcudnn.so").resolve() == site / "nvidia/cudnn/lib/libcudnn.so.8"
    assert f'#include "{site}/nvidia/cudnn/include/cudnn.h"' in (folder / "include" / "cudnn.h").read_text()


def test_wheels_for_another_cuda_are_left_alone(system: Make, tmp_path: Path) -> None:
    site: Path = system.site  # type: ignore[attr-defined]
    system("12.2", without="cudnn")
    cudnn_of_pip(site, cuda=13, cudnn=9)
    assert wheels_of(12, [site / "nvidia"]) == []
    assert "nvidia-cudnn-cu12==8.9.7.29" in str(find(tmp_path, (13, 0)))


def test_a_set_that_is_incomplete_gives_way_to_one_that_is_not(system: Make, tmp_path: Path) -> None:
    system("12.2", without="cudnn")
    nvcc = pip_13(system.site)  # type: ignore[attr-defined]
    assert found(tmp_path, (13, 0)).nvcc == str(nvcc)


# --- what a gap says ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "without", "driver", "capability", "says"),
    [
        ("12.2", "cudnn", (12, 2), HOPPER, "lacks headers and library of cudnn: uv pip install --no-deps nvidia-cudnn"),
        ("12.2", "cuda-runtime", (12, 2), HOPPER, "install the full toolkit of CUDA 12"),
        ("13.0", "cublas", (13, 0), HOPPER, "cublas: uv pip install --no-deps --require-hashes -r envs/cuda.txt"),
        ("13.0", "", (12, 8), HOPPER, "CUDA 13.0 is newer than the driver, which serves CUDA 12.8: install a newer"),
        ("13.0", "", (13, 0), (7, 0), "does not compile for compute capability 7.0: install CUDA 12"),
        ("10.2", "", (13, 0), HOPPER, "is of CUDA 10.2; Jittor works with 11 to 13"),
        ("14.0", "", (14, 0), HOPPER, "is of CUDA 14.0; Jittor works with 11 to 13"),
    ],
)
def test_gap(
    version: str, without: str, driver: tuple[int, int], capability: tuple[int, int], says: str,
    system: Make, tmp_path: Path,
) -> None:  # fmt: skip
    nvcc = system(version, without, cudnn=9)
    gap = find(tmp_path, driver, capability)
    assert isinstance(gap, str)
    assert says in gap
    assert str(nvcc) in gap
    assert "\n" not in gap


def test_cudnn_of_another_time(system: Make, tmp_path: Path) -> None:
    system("12.2", cudnn=7)
    assert "cuDNN 7 in" in str(find(tmp_path, (12, 2)))


@pytest.mark.parametrize(
    ("driver", "capability", "says"),
    [
        ((13, 0), HOPPER, "-r envs/cuda.txt"),
        ((12, 4), HOPPER, "install the toolkit of CUDA 12"),
        ((13, 0), (6, 1), "install the toolkit of CUDA 12"),
    ],
)
def test_nothing_at_all(
    driver: tuple[int, int], capability: tuple[int, int], says: str, system: Make, tmp_path: Path
) -> None:
    assert says in str(find(tmp_path, driver, capability))


def test_compiler_that_does_not_run(tmp_path: Path) -> None:
    assert ask_compiler(str(write(tmp_path / "bin" / "nvcc", "not a script")))[0] == (0, 0)


def test_second_time_nothing_is_written(system: Make, tmp_path: Path) -> None:
    system("12.2", cudnn=9)
    toolkit = found(tmp_path, (12, 4))
    folder = assemble(toolkit, tmp_path / "home").parent.parent
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    assemble(toolkit, tmp_path / "home")
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before
