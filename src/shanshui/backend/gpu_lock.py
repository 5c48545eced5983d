"""GPU locks: parallel jobs on one machine get different devices, or share one if configured so.

A GPU lock is an operating system lock on a file named after the device, in a folder of the user on this machine.
It is released when the process that holds it ends for any reason; there is nothing to clean up. Devices are
those that the driver shows to the process, so that CUDA_VISIBLE_DEVICES, Slurm's too, limits the choice.
"""

from __future__ import annotations

import fcntl
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shanshui.errors import ShanshuiError, UsageError

GPUS, JOBS_PER_GPU, FOLDER = "SHANSHUI_GPUS", "SHANSHUI_JOBS_PER_GPU", "SHANSHUI_GPU_LOCKS"
HELD = "SHANSHUI_GPUS_LOCKED"  # set for processes whose parent holds the locks of all devices they see
VISIBLE = "CUDA_VISIBLE_DEVICES"
AUTO = "auto"
_jitter = random.Random()  # separate, so that the random numbers of a run stay the same


@dataclass(frozen=True)
class Gpu:
    """A device: `identity` names it to all processes of the machine, `token` in CUDA_VISIBLE_DEVICES."""

    identity: str
    token: str


@dataclass(frozen=True)
class GpuLock:
    """A device locked for as long as this object and its process live."""

    gpu: Gpu
    locks: list[int]  # open file descriptors

    def release(self) -> None:
        """Release the lock before the process ends."""
        for lock in self.locks:
            os.close(lock)


def lock_folder() -> Path:
    """Return the folder of the lock files: $SHANSHUI_GPU_LOCKS, else one per user in the machine's temporary folder.

    Not under $TMPDIR or $XDG_RUNTIME_DIR: the first differs from job to job on clusters, the second is removed
    when the user logs out, and a lock in a removed folder excludes no other process.

    Raises:
        ShanshuiError: where the folder belongs to another user.
    """
    chosen = os.environ.get(FOLDER)
    folder = Path(chosen) if chosen else Path("/tmp") / f"shanshui-{os.getuid()}"
    if folder.exists() and folder.stat().st_uid != os.getuid():
        raise ShanshuiError(
            f"{folder} belongs to another user", "a folder of yours for the GPU locks", f"export {FOLDER}=..."
        )
    return folder


def _lock(path: Path, mode: int) -> int | None:
    """Open and lock a file; None where another process holds it in a way that excludes `mode`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), path.stat()):  # not removed in between
            os.utime(path)
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None


def _take_place(gpu: Gpu, place: int, jobs_per_gpu: int, folder: Path) -> list[int] | None:
    """Lock one place of one device. A job that wants the device alone excludes those that would share it."""
    whole = _lock(folder / f"gpu-{gpu.identity}.lock", fcntl.LOCK_EX if jobs_per_gpu == 1 else fcntl.LOCK_SH)
    if whole is None:
        return None
    if jobs_per_gpu == 1:
        return [whole]
    part = _lock(folder / f"gpu-{gpu.identity}.{place}.lock", fcntl.LOCK_EX)
    if part is None:
        os.close(whole)
        return None
    return [whole, part]


def try_lock_gpu(gpus: Sequence[Gpu], jobs_per_gpu: int, folder: Path) -> GpuLock | None:
    """Lock a free device, the one with the fewest jobs first; None where there is none.

    Args:
        gpus: devices to choose from.
        jobs_per_gpu: number of jobs that may share a device.
        folder: of the lock files.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in range(jobs_per_gpu):
        for gpu in gpus:
            if locks := _take_place(gpu, place, jobs_per_gpu, folder):
                keep = os.open(folder, os.O_RDONLY)
                fcntl.flock(keep, fcntl.LOCK_SH)  # who clears away old files spares a folder that is locked
                return GpuLock(gpu, [*locks, keep])
    return None


def try_lock_gpus(gpus: Sequence[Gpu], count: int, jobs_per_gpu: int, folder: Path) -> list[GpuLock]:
    """Lock `count` devices, or none at all: jobs that kept some and waited for more could wait for each other."""
    held: list[GpuLock] = []
    while len(held) < count:
        taken = {got.gpu.identity for got in held}
        more = try_lock_gpu([gpu for gpu in gpus if gpu.identity not in taken], jobs_per_gpu, folder)
        if more is None:
            for got in held:
                got.release()
            return []
        held.append(more)
    return held


def lock_gpu(gpus: Sequence[Gpu], jobs_per_gpu: int, folder: Path, patience: float = 10, pause: float = 0.5) -> GpuLock:
    """Lock a device as soon as one is free; after `patience` seconds say on stderr what is waited for.

    Args:
        gpus: devices to choose from.
        jobs_per_gpu: number of jobs that may share a device.
        folder: of the lock files.
        patience: seconds until the message.
        pause: seconds between two tries, on average.
    """
    return lock_gpus(gpus, 1, jobs_per_gpu, folder, patience, pause)[0]


def lock_gpus(
    gpus: Sequence[Gpu], count: int, jobs_per_gpu: int, folder: Path, patience: float = 10, pause: float = 0.5
) -> list[GpuLock]:
    """Lock `count` devices as soon as enough are free at once; see `lock_gpu`."""
    start, announced = time.monotonic(), False
    while True:
        if held := try_lock_gpus(gpus, count, jobs_per_gpu, folder):
            return held
        if not announced and time.monotonic() - start > patience:
            announced = True
            names = ", ".join(gpu.token for gpu in gpus)
            print(f"waiting for a free GPU ({names} are locked by other jobs) ...", file=sys.stderr, flush=True)
        time.sleep(pause * (0.5 + _jitter.random()))


def visible_gpus(identities: Sequence[str]) -> list[Gpu]:
    """List the devices in the driver's order, each with the name that CUDA_VISIBLE_DEVICES has for it alone."""
    outer = [part.strip() for part in os.environ.get(VISIBLE, "").split(",") if part.strip()]
    tokens = outer if len(outer) >= len(identities) else [str(index) for index in range(len(identities))]
    return [Gpu(identity, token) for identity, token in zip(identities, tokens, strict=False)]


def allowed(gpus: Sequence[Gpu], wanted: str) -> list[Gpu]:
    """Return the visible devices selected by the option `gpus` ("auto" or indices with commas).

    Indices count the visible devices, from 0. Those beyond the last device are ignored where others remain, since one
    configuration serves machines of several sizes.

    Raises:
        UsageError: where none remains.
    """
    if wanted == AUTO or not gpus:
        return list(gpus)
    numbers = [int(number) for number in wanted.split(",")]
    chosen = [gpus[number] for number in numbers if number < len(gpus)]
    if not chosen:
        raise UsageError(f"gpus: {wanted} names no device", f"some of 0 to {len(gpus) - 1}", "or `gpus: auto`")
    return chosen


_held: list[GpuLock] = []


def acquire_gpu(identities: Sequence[str]) -> str:
    """Lock one visible device until this process ends, and make it the only one visible to CUDA; return its name.

    Must come before CUDA is initialised in this process. Nothing happens without devices, or where Slurm has
    given the job exactly one.

    Args:
        identities: identity of every device the driver shows, in its order.
    """
    if HELD in os.environ:
        return os.environ[VISIBLE]
    gpus = visible_gpus(identities)
    if not gpus or (len(gpus) == 1 and "SLURM_JOB_ID" in os.environ):
        return ""
    if not _held:
        os.environ[VISIBLE] = acquire_gpus(identities, 1)[0]
    return _held[0].gpu.token


def acquire_gpu_if_free(identities: Sequence[str]) -> bool:
    """Lock one visible device as `acquire_gpu` does, without waiting; return whether this process has one to use."""
    if HELD in os.environ or _held:
        return True
    gpus = visible_gpus(identities)
    if len(gpus) == 1 and "SLURM_JOB_ID" in os.environ:
        return True
    chosen = allowed(gpus, os.environ.get(GPUS, AUTO))
    held = try_lock_gpus(chosen, 1, int(os.environ.get(JOBS_PER_GPU, "1")), lock_folder())
    if held:
        _held.extend(held)
        os.environ[VISIBLE] = held[0].gpu.token
    return bool(held)


def acquire_gpus(identities: Sequence[str], count: int) -> list[str]:
    """Lock `count` of the visible devices until this process ends, unless Slurm has given the job just these.

    Args:
        identities: identity of every device the driver shows, in its order.
        count: number of processes, a device for each.

    Returns:
        Their names in CUDA_VISIBLE_DEVICES.

    Raises:
        UsageError: where there are fewer.
    """
    gpus = visible_gpus(identities)
    if len(gpus) == count and "SLURM_JOB_ID" in os.environ:
        return [gpu.token for gpu in gpus]
    chosen = allowed(gpus, os.environ.get(GPUS, AUTO))
    if len(chosen) < count:
        raise UsageError(
            f"{len(chosen)} GPU(s) for {count} processes", "a GPU for each", f"`processes: {len(chosen)}`, or more GPUs"
        )
    _held.extend(lock_gpus(chosen, count, int(os.environ.get(JOBS_PER_GPU, "1")), lock_folder()))
    return [held.gpu.token for held in _held]
