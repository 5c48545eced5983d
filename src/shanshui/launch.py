"""What is settled when Snakemake begins to execute: locks of a killed one, and how many GPU jobs run at a time.

Snakemake marks files in use by notes under `.snakemake/locks`, which a killed Snakemake leaves behind; the next
one then asks for `--unlock`. Here every Snakemake that executes also holds a lock of the operating system, which
ends with its process. Whoever finds nobody holding it knows the notes to be stale. Where another one is at
work the notes stay, and Snakemake says itself what it says of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

STATE = ".snakemake"
LOCK = "shanshui.lock"
PATIENCE = 0.5  # seconds; a look at the lock holds it for a moment, too


def _alone(handle: TextIO) -> bool:
    """Take the lock for this process alone, if nobody holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another, or a file system without locks
        return False
    return True


def somebody_runs(state: Path) -> bool:
    """Whether a Snakemake is executing in the folder whose `.snakemake` is given."""
    try:
        with open(state / LOCK, encoding="utf-8") as handle:
            return not _alone(handle)
    except OSError:
        return False


def _remove_notes(state: Path) -> None:
    for note in (state / "locks").glob("*.lock"):
        note.unlink(missing_ok=True)


@contextlib.contextmanager
def registered(state: Path, executes: bool = True) -> Iterator[bool]:
    """Be known as a living Snakemake while the body runs; yield whether no other one lives.

    Stale notes are removed first. With `executes` false (a dry run) only that is done.
    """
    state.mkdir(parents=True, exist_ok=True)
    try:
        handle = open(state / LOCK, "a", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError:  # a folder that cannot be written to; Snakemake says so
        yield False
        return
    with handle:
        until = time.monotonic() + PATIENCE
        alone = _alone(handle)
        while not alone and executes and time.monotonic() < until:
            time.sleep(PATIENCE / 10)
            alone = _alone(handle)
        if alone:
            _remove_notes(state)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH if executes else fcntl.LOCK_UN)
        yield alone


def prepare(workflow: Any, gpu_jobs: int) -> None:
    """Wrap Snakemake's `workflow.execute`: register first, and let `gpu_jobs` GPU jobs run at a time.

    The number holds for local jobs without `--resources gpu=N`; a cluster deals out its own devices.
    Processes that Snakemake starts for single jobs are left alone.
    """
    if not workflow.is_main_process:
        return
    execute = workflow.execute

    def execute_registered(*args: Any, **kwargs: Any) -> Any:
        executor = (kwargs.get("executor_plugin") or args[0]).common_settings
        if executor.local_exec:
            workflow.global_resources.setdefault("gpu", gpu_jobs)
        with registered(Path(STATE).absolute(), executes=not executor.dryrun_exec):
            return execute(*args, **kwargs)

    workflow.execute = execute_registered
