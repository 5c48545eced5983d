"""Search for the parts of CUDA that Jittor compiles with: from the system, from pip's `nvidia-*` wheels, or from both.

Jittor 1.3.11 expects one folder with all of them, libraries without version numbers, and cuDNN 8.
`shanshui.backend.cuda_compat` converts other places and newer names to that form.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from shanshui.storage.files import digest

SYSTEM_NVCC = ("/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc")
LEAST, MOST = 11, 13  # major versions of CUDA whose headers Jittor's sources are known to compile with
PINNED = "envs/cuda.txt"
RUNTIME = "cuda-runtime"
DEVICE_RUNTIME = "libcudadevrt.a"  # nvcc links it into everything
LEAST_CAPABILITY_OF_13 = (7, 5)
PARTS = {  # header and library of everything Jittor links
    RUNTIME: ("cuda_runtime.h", "cudart"),
    "cublas": ("cublas.h", "cublas"),
    "cudnn": ("cudnn.h", "cudnn"),
    "curand": ("curand.h", "curand"),
    "cufft": ("cufft.h", "cufft"),
    "cusparse": ("cusparse.h", "cusparse"),
}
WHEELS = {  # versions that belong together, for the parts a system lacks
    11: {
        "cublas": "11.11.3.6",
        "cudnn": "8.9.6.50",
        "curand": "10.3.0.86",
        "cufft": "10.9.0.58",
        "cusparse": "11.7.5.86",
    },
    12: {
        "cublas": "12.2.5.6",
        "cudnn": "8.9.7.29",
        "curand": "10.3.3.141",
        "cufft": "11.0.8.103",
        "cusparse": "12.1.2.141",
    },
}


@dataclass(frozen=True)
class Toolkit:
    """A complete set: compiler, its version, and the folders of headers and libraries, the first to be preferred."""

    nvcc: str
    version: tuple[int, int]
    cudnn: int  # major version
    includes: tuple[Path, ...]
    libraries: tuple[Path, ...]
    packages: tuple[Path, ...] = ()  # folders of pip's wheels, whose libraries find each other by relative paths

    def describe(self) -> str:
        """Return a readable description."""
        return f"nvcc {self.version[0]}.{self.version[1]} at {self.nvcc}, cuDNN {self.cudnn}"

    @property
    def key(self) -> str:
        """Return a key that identifies the toolkit in the cache."""
        return digest([self.nvcc, *self.version, self.cudnn, *map(str, (*self.includes, *self.libraries))])


def pip_folders() -> list[Path]:
    """List the folders `nvidia` of this environment, where pip installs CUDA."""
    return [folder for entry in sys.path if entry and (folder := Path(entry).absolute() / "nvidia").is_dir()]


def wheels_of(major: int, folders: Iterable[Path]) -> list[Path]:
    """List the unpacked wheels for one major version of CUDA.

    From 13 on there is one folder for all and cuDNN's, before that one for each part.
    """
    found = []
    for folder in folders:
        found += [whole for whole in (folder / f"cu{major}",) if whole.is_dir()]
        for note in sorted(folder.parent.glob(f"nvidia_*_cu{major}-*.dist-info")):
            package = folder / note.name.removeprefix("nvidia_").partition(f"_cu{major}-")[0]
            found += [package] if package.is_dir() else []
    return found


def compilers(folders: Iterable[Path]) -> list[str]:
    """List every nvcc: on the PATH, in the usual places, in pip's wheels (they hold one from CUDA 13 on)."""
    candidates = [shutil.which("nvcc") or "", *SYSTEM_NVCC]
    candidates += [str(nvcc) for folder in folders for nvcc in sorted(folder.glob("*/bin/nvcc"))]
    return list(dict.fromkeys(nvcc for nvcc in candidates if nvcc and Path(nvcc).is_file()))


def ask_compiler(nvcc: str) -> tuple[tuple[int, int], Path]:
    """Return version and home of a compiler, also of a script that calls another; (0, 0) where it does not run."""

    def say(*arguments: str) -> str:
        try:
            said = subprocess.run([nvcc, *arguments], capture_output=True, text=True, check=False)
        except OSError:
            return ""
        return said.stdout + said.stderr

    release = re.search(r"release (\d+)\.(\d+)", say("--version"))
    top = re.search(r"^#\$ TOP=(.+)$", say("--dryrun", "-E", "-x", "cu", "/dev/null"), re.MULTILINE)
    home = Path(top[1].strip()).resolve() if top else Path(nvcc).resolve().parent.parent
    return ((int(release[1]), int(release[2])) if release else (0, 0)), home


def library_in(folder: Path, name: str) -> Path | None:
    """Find `lib<name>.so` in a folder, or the one with the shortest version number after it."""
    return min(folder.glob(f"lib{name}.so*"), key=lambda path: (len(path.name), path.name), default=None)


def first_with(folders: Iterable[Path], header: str) -> Path | None:
    """Find the first folder with a header."""
    return next((folder for folder in folders if (folder / header).is_file()), None)


def cudnn_major(include: Path) -> int:
    """Read the major version of the cuDNN whose headers are in `include`; 0 where they do not say."""
    for name in ("cudnn_version.h", "cudnn.h"):
        if (include / name).is_file():
            text = (include / name).read_text(encoding="utf-8", errors="replace")
            if number := re.search(r"#define\s+CUDNN_MAJOR\s+(\d+)", text):
                return int(number[1])
    return 0


def _parts_missing(includes: Iterable[Path], libraries: Iterable[Path]) -> list[str]:
    """List the parts whose header or library is in none of the folders."""
    includes, libraries = list(includes), list(libraries)
    missing = [
        part
        for part, (header, library) in PARTS.items()
        if not first_with(includes, header) or not any(library_in(folder, library) for folder in libraries)
    ]
    if RUNTIME not in missing and not first_with(libraries, DEVICE_RUNTIME):
        missing.insert(0, RUNTIME)
    return missing


def to_install(major: int, missing: Collection[str]) -> str:
    """Return the command that installs the parts missing next to a compiler of one major version of CUDA."""
    if major not in WHEELS:
        return f"uv pip install --no-deps --require-hashes -r {PINNED}"
    if RUNTIME in missing:  # before CUDA 13, pip's wheel of it holds too little to compile with
        return f"install the full toolkit of CUDA {major} from NVIDIA, then ask again"
    return "uv pip install --no-deps " + " ".join(f"nvidia-{part}-cu{major}=={WHEELS[major][part]}" for part in missing)


def complete(nvcc: str, folders: list[Path], root: Path = Path("/")) -> Toolkit | str:
    """Return the toolkit around one compiler, or a line that says what is missing and how to install it.

    Args:
        nvcc: path of the compiler.
        folders: see `pip_folders`.
        root: root of the system's own folders.
    """
    version, home = ask_compiler(nvcc)
    major = version[0]
    if not major:
        return f"nvcc at {nvcc} does not run"
    if not LEAST <= major <= MOST:
        return f"nvcc at {nvcc} is of CUDA {version[0]}.{version[1]}; Jittor works with {LEAST} to {MOST}"
    machine = platform.machine()
    target = home / "targets" / f"{machine}-linux"
    wheels = wheels_of(major, folders)
    includes = [home / "include", target / "include", root / "usr/include", *(wheel / "include" for wheel in wheels)]
    libraries = [
        home / "lib64",
        target / "lib",
        home / "lib",
        root / f"usr/lib/{machine}-linux-gnu",
        root / "usr/lib64",
    ]
    libraries += [wheel / "lib" for wheel in wheels]
    if missing := _parts_missing(includes, libraries):
        lacks = ", ".join("headers and library of " + part for part in missing)
        return f"nvcc {major}.{version[1]} at {nvcc} lacks {lacks}: {to_install(major, missing)}"
    include = first_with(includes, "cudnn.h")
    cudnn = cudnn_major(include) if include else 0
    parts = {8: "cudnn_ops_infer", 9: "cudnn_ops"}
    if cudnn not in parts or not any(library_in(folder, parts[cudnn]) for folder in libraries):
        return f"cuDNN {cudnn or '?'} in {include} is not the 8 or 9 Jittor can use: {to_install(major, ['cudnn'])}"
    return Toolkit(nvcc, version, cudnn, _present(includes), _present(libraries), tuple(wheels))


def _present(folders: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def does_not_serve(version: tuple[int, int], driver: tuple[int, int], capability: tuple[int, int]) -> str:
    """Say why a toolkit cannot be used with a driver and a device, "" where it can.

    Args:
        version: of the toolkit, (major, minor).
        driver: the newest CUDA version the driver serves.
        capability: compute capability of the device.
    """
    name = f"CUDA {version[0]}.{version[1]}"
    if version[0] > driver[0]:
        older = f"CUDA {driver[0]}.{driver[1]}"
        return f"{name} is newer than the driver, which serves {older}: install a newer driver, or {older}"
    if version[0] >= 13 and capability < LEAST_CAPABILITY_OF_13:
        return f"{name} does not compile for compute capability {capability[0]}.{capability[1]}: install CUDA 12"
    return ""


def find_toolkit(driver: tuple[int, int], capability: tuple[int, int], root: Path = Path("/")) -> Toolkit | str:
    """Find the first complete set that serves driver and device, or return one line about what to install.

    Args:
        driver: the newest CUDA version the driver serves.
        capability: the least compute capability of the devices.
        root: root of the system's own folders.
    """
    folders, gaps = pip_folders(), []
    for nvcc in compilers(folders):
        version, _ = ask_compiler(nvcc)
        gap = does_not_serve(version, driver, capability)
        found = f"nvcc at {nvcc} of {gap}" if gap else complete(nvcc, folders, root)
        if isinstance(found, Toolkit):
            return found
        gaps.append(found)
    if gaps:
        return gaps[0]
    if driver[0] >= MOST and capability >= LEAST_CAPABILITY_OF_13:
        return f"no nvcc, with which Jittor compiles: {to_install(MOST, ())}"
    return (
        f"no nvcc, with which Jittor compiles: install the toolkit of CUDA {min(driver[0], MOST - 1)} from NVIDIA "
        f"(pip's compiler, of CUDA {MOST}, wants a newer driver or device)"
    )
