"""How jobs share a machine: how many run at a time, with how many cores and threads.

On GPUs every job has one of them, and its part of the cores. On a CPU two jobs that use the networks run at a time: a
job alone leaves cores idle while it starts, reads and writes, and wherever one thread must finish before others can
begin. Each claims half of the cores, and has as many threads as there are cores.
"""

from __future__ import annotations

import os

from shanshui.backend import gpu_lock
from shanshui.backend.device import cuda_identities, find_device
from shanshui.config.schema import Config

CPU_JOBS = 2  # that use the networks at a time, where there is no GPU


def parallel_jobs(config: Config, local: bool = True) -> int:
    """Return how many jobs that use the networks run at a time on this machine: on its GPUs, or on its cores.

    Args:
        config: of the run.
        local: jobs run on this machine; on a cluster's nodes without GPUs, each is alone.
    """
    if find_device().kind != "cuda":
        return min(CPU_JOBS, len(os.sched_getaffinity(0))) if local else 1
    wanted = ",".join(map(str, config.gpus)) if isinstance(config.gpus, list) else gpu_lock.AUTO
    return len(gpu_lock.allowed(gpu_lock.visible_gpus(cuda_identities()), wanted)) * config.jobs_per_gpu


def cores(jobs: int, processes: int = 1) -> int:
    """Return the cores that a job claims next to others; Snakemake limits them to those it was given.

    Args:
        jobs: number of parallel jobs.
        processes: of each job.
    """
    return 64 if jobs == 1 else processes * max(1, len(os.sched_getaffinity(0)) // jobs)


def threads(claimed: int, given: int | None) -> int:
    """Return the threads of a job: the cores it claims or, of a local run on a CPU, all it was `given`.

    Bits depend on the number of threads (oneDNN's), which therefore must not depend on what else runs.
    """
    return claimed if given is None or find_device().kind == "cuda" else max(claimed, given)


def niceness(local: bool) -> int:
    """Return by how much jobs other than trainings give way: on a shared CPU they take what a training leaves."""
    return 19 if local and find_device().kind != "cuda" else 0
