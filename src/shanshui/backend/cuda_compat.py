"""One folder with all parts of CUDA under the names Jittor 1.3.11 looks for, made of links and a few short files.

Two things are newer than Jittor. cuDNN 9 has other library names, and lost the functions of the old RNN layers,
which Jittor compiles although nothing here has such layers: they are declared again, and refuse to run. CUDA 13
lost two fields of `cudaDeviceProp` that an unused function of Jittor's reads, its headers require C++17, and its CUB 3
lost two iterators (`jt.where(condition)`, boolean indices) and a function (gradients of depthwise convolutions).
One thing is not in pip's wheels: `npp.h`, which nearly every kernel includes for eight limits of integers. And one
is Jittor's own: the arithmetic that it asks cuDNN for (`backend.cudnn_header`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

from shanshui.backend.cuda_toolkit import DEVICE_RUNTIME, Toolkit, first_with
from shanshui.backend.cudnn_header import cudnn_header
from shanshui.backend.toolchain import write_script
from shanshui.storage.files import temporary_name, write_text

SYSTEM_INCLUDE = "/usr/include"  # compilers look there anyway
LIBRARIES = ("cudart", "cublas", "cublasLt", "cudnn", "curand", "cufft", "cusparse", "nvJitLink", "nvrtc")
CUDNN_9_NAMES = {
    "cudnn_ops_infer": "cudnn_ops",
    "cudnn_ops_train": "cudnn_ops",
    "cudnn_cnn_infer": "cudnn_cnn",
    "cudnn_cnn_train": "cudnn_cnn",
}
LIMITS_HEADER = """// Of NVIDIA's header of this name, all that Jittor uses: the limits of integers.
#pragma once
#define NPP_MIN_32U (0)
#define NPP_MAX_32U (4294967295U)
#define NPP_MIN_32S (-2147483647 - 1)
#define NPP_MAX_32S (2147483647)
#define NPP_MIN_64U (0)
#define NPP_MAX_64U (18446744073709551615ULL)
#define NPP_MIN_64S (-9223372036854775807LL - 1)
#define NPP_MAX_64S (9223372036854775807LL)
"""
CUB_HEADER = """// CUB 3, and of 2 what Jittor uses and 3 lacks.
#pragma once
#include_next <cub/cub.cuh>
#if CUB_VERSION >= 300000
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
namespace cub {
template <class Value, class Offset = std::ptrdiff_t> using CountingInputIterator = thrust::counting_iterator<Value>;
template <class Value, class Function, class Iterator, class Offset = std::ptrdiff_t>
using TransformInputIterator = thrust::transform_iterator<Function, Iterator, Value>;
struct Max {
    template <class Value> __host__ __device__ __forceinline__ Value operator()(const Value& a, const Value& b) const {
        return a > b ? a : b;
    }
};
__device__ __forceinline__ unsigned LaneId() {
    unsigned lane;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    return lane;
}
}
#endif
"""


def runtime_header(real: Path) -> str:
    """Write the text of a `cuda_runtime.h` for CUDA 13 that adds the fields of `cudaDeviceProp` that Jittor reads."""
    return f"""// CUDA 13, and of 12 two fields of cudaDeviceProp.
#pragma once
#include "{real}"
#ifdef __cplusplus
struct device_properties_with_gone_fields : cudaDeviceProp {{
    int computeMode = 0, clockRate = 0;
}};
#define cudaDeviceProp device_properties_with_gone_fields
#endif
"""


def own_headers(toolkit: Toolkit) -> dict[str, str]:
    """Return names and texts of the headers that replace others of these names, or missing ones."""
    headers = {} if first_with(toolkit.includes, "npp.h") else {"npp.h": LIMITS_HEADER}
    if place := first_with(toolkit.includes, "cudnn.h"):
        headers["cudnn.h"] = cudnn_header(place / "cudnn.h", toolkit.cudnn)
    place = first_with(toolkit.includes, "cuda_runtime.h")
    if toolkit.version[0] >= 13 and place:
        headers["cuda_runtime.h"] = runtime_header(place / "cuda_runtime.h")
    return headers


def nvcc_script(toolkit: Toolkit, first: Path) -> str:
    """Write the text of a script that calls the real compiler, with headers in `first` before others of their names.

    It asks for C++17 where the toolkit's headers need that.
    """
    standard = "17" if toolkit.version[0] >= 13 else "14"
    return f"""#!/bin/sh
for argument do
    shift
    case "$argument" in
    -std=c++14) set -- "$@" -std=c++{standard} ;;
    *) set -- "$@" "$argument" ;;
    esac
done
exec {shlex.quote(toolkit.nvcc)} -I{shlex.quote(str(first))} "$@"
"""


def link(target: Path, name: Path) -> None:
    """Make `name` a link to `target`, whatever it was linked to."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if not (name.is_symlink() and os.readlink(name) == str(target)):
        staged = temporary_name(name)
        staged.symlink_to(target)
        os.replace(staged, name)


def link_headers(includes: Iterable[Path], into: Path, without: Collection[str] = ()) -> None:
    """Link every header except `without`; of two of a name the first counts, and folders of a name are merged."""
    into.mkdir(parents=True, exist_ok=True)
    entries: dict[str, list[Path]] = {}
    for include in includes:
        for entry in sorted(include.iterdir()):
            entries.setdefault(entry.name, []).append(entry)
    for name, places in entries.items():
        if name in without:
            continue
        if len(places) > 1 and all(place.is_dir() for place in places):
            link_headers(places, into / name)
        else:
            link(places[0], into / name)


def link_libraries(toolkit: Toolkit, into: Path) -> None:
    """Link every library under its own name, without version number, and under cuDNN 8's names."""
    into.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    for folder in toolkit.libraries:
        for name in LIBRARIES:
            for file in sorted(folder.glob(f"lib{name}*.so*"), key=lambda path: len(path.name)):
                files.setdefault(file.name, file)
                files.setdefault(file.name.partition(".so")[0] + ".so", file)
    if archive := first_with(toolkit.libraries, DEVICE_RUNTIME):
        files[DEVICE_RUNTIME] = archive / DEVICE_RUNTIME
    if toolkit.cudnn == 9:
        files.update({f"lib{old}.so": files[f"lib{new}.so"] for old, new in CUDNN_9_NAMES.items()})
    for name, file in files.items():
        link(file, into / name)


def assemble(toolkit: Toolkit, home: Path) -> Path:
    """Create the folder under `home`, or update it; return the path of its nvcc.

    The folder is placed among links to pip's packages in the layout these have themselves: some libraries look for
    others in `../../cublas/lib`.
    """
    root = home / "cuda" / toolkit.key
    for package in toolkit.packages:
        link(package, root / package.name)
    folder = root / "toolkit"
    headers = own_headers(toolkit)
    link_headers((path for path in toolkit.includes if str(path) != SYSTEM_INCLUDE), folder / "include", headers)
    first = folder / "first"  # not in `include`, where the folder `cub` may be a link to the toolkit's
    for header, text in {
        **{folder / "include" / name: text for name, text in headers.items()},
        first / "cub" / "cub.cuh": CUB_HEADER,
    }.items():
        if header.is_symlink():  # of an older form of this folder; what is written goes where links lead
            header.unlink()
        if not header.is_file() or header.read_text(encoding="utf-8") != text:  # else nothing is compiled again
            write_text(header, text)
    link_libraries(toolkit, folder / "lib64")
    (folder / "bin").mkdir(exist_ok=True)
    return write_script(folder / "bin" / "nvcc", nvcc_script(toolkit, first))
