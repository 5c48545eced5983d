"""Open MPI on this machine, and the rank of this process."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from shanshui.errors import ShanshuiError

_SIZE, _RANK = "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"  # as mpirun sets them, and as Jittor looks for them
NCCL_HEADERS = ("/usr/include", "/usr/local/cuda/include")
NCCL_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/cuda/lib64")


def inside_mpi() -> bool:
    """Return whether mpirun started this process."""
    return _SIZE in os.environ


def size() -> int:
    """Return the number of ranks; 1 outside of MPI."""
    return int(os.environ.get(_SIZE, "1"))


def rank() -> int:
    """Return this process's rank; 0 outside of MPI."""
    return int(os.environ.get(_RANK, "0"))


@dataclass(frozen=True)
class Mpi:
    """Open MPI's two programs and its `version`."""

    mpirun: str
    mpicc: str
    version: str

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables through which Jittor finds Open MPI and NCCL."""
        return {"mpicc_path": self.mpicc, **nccl_variables()}


@functools.cache
def find_mpi() -> Mpi:
    """Find Open MPI on the PATH.

    Raises:
        ShanshuiError: where mpirun or mpicc is missing, or belongs to another MPI.
    """
    mpirun, mpicc = shutil.which("mpirun"), shutil.which("mpicc")
    do = "apt-get install openmpi-bin libopenmpi-dev    (Fedora: dnf install openmpi-devel), or set `processes: 1`"
    expected = "Open MPI's mpirun and mpicc, by which several processes train together (option `processes`)"
    if not mpirun or not mpicc:
        absent = " and ".join(name for name, path in (("mpirun", mpirun), ("mpicc", mpicc)) if not path)
        raise ShanshuiError(f"{absent} not found on the PATH", expected, do)
    said = subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False).stdout
    version = said.partition("\n")[0]
    if "Open MPI" not in version and "OpenRTE" not in version:
        raise ShanshuiError(f"{mpirun} is {version or 'of an unknown kind'}", expected, do)
    return Mpi(mpirun, mpicc, version)


@functools.cache
def nccl_variables() -> dict[str, str]:
    """Return variables for an installed NCCL, or to disable its download; gradients then go through host memory."""
    header = next((folder for folder in NCCL_HEADERS if (Path(folder) / "nccl.h").is_file()), "")
    library = next((folder for folder in NCCL_LIBRARIES if (Path(folder) / "libnccl.so").is_file()), "")
    if header and library:
        return {"use_nccl": "1", "nccl_include_path": header, "nccl_lib_path": library}
    return {"use_nccl": "0"}


def finish() -> None:
    """Finalise MPI, as required of a process that ends normally; waits for the other ranks."""
    if inside_mpi():
        ctypes.CDLL(None).MPI_Finalize()
