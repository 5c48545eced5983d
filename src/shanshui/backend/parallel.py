"""Training as several processes: a job restarts itself under mpirun, and no rank outlives it.

Each rank takes its rows of every batch; `shanshui.backend.ranks` combines their steps into one step.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from shanshui.backend import gpu_lock, mpi
from shanshui.backend.device import cuda_identities, find_device
from shanshui.backend.parent import end_with
from shanshui.backend.runtime import compile_for_ranks
from shanshui.errors import UsageError

THREADS = "OMP_NUM_THREADS"


def spread(processes: int, arguments: Sequence[str]) -> bool:
    """Run `python -m shanshui ARGUMENTS` as `processes` ranks.

    Where ranks fail the process ends with the exit code of the first that did, which has printed the reason.

    Returns:
        True once the ranks have done it; False where this process is to do it itself: alone, or as one of the ranks.

    Raises:
        UsageError: where mpirun started another number of ranks.
    """
    if mpi.size() != processes and mpi.inside_mpi():
        raise UsageError(f"{mpi.size()} MPI ranks", f"{processes}, as the option `processes` says")
    if mpi.inside_mpi():
        become_rank()
    if processes == 1 or mpi.inside_mpi():
        return False
    command = rank_command(mpi.find_mpi().mpirun, processes, arguments, os.geteuid() == 0)
    devices = gpu_lock.acquire_gpus(cuda_identities(), processes) if find_device().kind == "cuda" else []
    compile_for_ranks()
    code = run_ranks(command, {**os.environ, **rank_environment(processes, devices)})
    if code:
        sys.exit(code if code > 0 else 128 - code)
    return True


def rank_command(mpirun: str, processes: int, arguments: Sequence[str], root: bool) -> list[str]:
    """Build the command line of mpirun.

    There may be more ranks than cores, and they are not bound to one: each has threads. `--quiet` is set because
    mpirun's report of a failed rank would bury the rank's own message.
    """
    options = ["-np", str(processes), "--oversubscribe", "--bind-to", "none", "--quiet"]
    options += ["--allow-run-as-root"] if root else []
    return [mpirun, *options, sys.executable, "-m", "shanshui", *arguments]


def rank_environment(processes: int, devices: Sequence[str]) -> dict[str, str]:
    """Return the variables common to all ranks: their share of the threads, and the devices they share."""
    threads = int(os.environ.get(THREADS) or len(os.sched_getaffinity(0)))
    shares = {THREADS: str(max(1, threads // processes))}
    shares["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"  # forbidden in containers, and then it complains
    if devices:
        shares |= {gpu_lock.VISIBLE: ",".join(devices), gpu_lock.HELD: "1"}
    return shares


def run_ranks(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run mpirun to its end and return its exit code; it ends when this process does, whatever ends that."""
    here = os.getpid()
    process = subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.DEVNULL, preexec_fn=lambda: end_with(here, signal.SIGTERM)
    )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def become_rank() -> None:
    """Tie this process to mpirun, and show it one device only, unless NCCL is there, which chooses among all."""
    end_with(os.getppid(), signal.SIGKILL)
    devices = os.environ.get(gpu_lock.VISIBLE, "").split(",")
    if gpu_lock.HELD in os.environ and mpi.nccl_variables()["use_nccl"] == "0":
        os.environ[gpu_lock.VISIBLE] = devices[mpi.rank()]
