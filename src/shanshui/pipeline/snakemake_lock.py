"""Set up the execution of Snakemake: detect other processes in this folder, limit parallel GPU jobs.

Snakemake marks files in use by notes in `.snakemake/locks`, and refuses to run on files so marked. A killed Snakemake
leaves its notes behind, and nothing in them tells whether it is alive: on a shared file system it may run on another
machine, in the same folder with another Snakefile. So the notes are never touched here. Instead, every Snakemake that
executes this workflow holds a lock of the operating system, which ends with its process; if that is free, the message
names the command that removes the notes.
"""

from __future__ import annotations

import contextlib
import fcntl
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shanshui.errors import exit_on_error
from shanshui.pipeline import file_times
from shanshui.pipeline.inputs_there import check_targets

if TYPE_CHECKING:
    from snakemake.workflow import Workflow


STATE = ".snakemake"
LOCK = "shanshui.lock"


def is_locked(state: Path) -> bool:
    """Test whether a Snakemake visible from this machine executes in the folder of `state`, its `.snakemake`."""
    try:
        with open(state / LOCK, encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or a file system without locks
        return False
    return False


@contextlib.contextmanager
def registered(state: Path) -> Iterator[None]:
    """Hold the lock of a running Snakemake during the body, if the folder can be written and locked."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            state.mkdir(parents=True, exist_ok=True)
            handle = held.enter_context(open(state / LOCK, "a", encoding="utf-8"))
            fcntl.flock(handle, fcntl.LOCK_SH)  # somebody who looks holds it for a moment
        yield


def call_again(arguments: Sequence[str], *options: str) -> str:
    """Return the shell command of a Snakemake called with these arguments (`sys.argv`), and with more options."""
    name, rest = arguments[0], arguments[1:]
    called = [name] if Path(name).name == "snakemake" else [sys.executable, "-m", "snakemake"]
    return shlex.join([*called, *options, *rest])


def unlocking(arguments: Sequence[str]) -> str:
    """Return the command that removes the notes of a Snakemake called with these arguments."""
    return call_again(arguments, "--unlock")


def locked_message(alive: bool, arguments: Sequence[str]) -> str:
    """Return the message of a refused start.

    Args:
        alive: another Snakemake of this workflow is running in this folder.
        arguments: `sys.argv` of this one.
    """
    if alive:
        return (
            "Another Snakemake is at work on these files in this folder. Wait for it, or end it with Ctrl-C: "
            "`python -m shanshui status RUN` shows how far it is."
        )
    return (
        "Directory cannot be locked: a Snakemake that was killed (kill -9, a power cut) has left its locks on these\n"
        "files. No other one of this workflow is seen at work here from this machine. Where none works in this\n"
        "folder on another machine or from another Snakefile either, remove the locks, then give the same command:\n\n"
        f"    {unlocking(arguments)}\n"
    )


def prepare(workflow: Workflow, gpu_jobs: int, run: str) -> None:
    """Wrap Snakemake's `workflow.execute`: check the targets, register, explain a refused start.

    Files of the run that were touched or copied get their recorded times back, unless another Snakemake is running in
    this folder. Processes that Snakemake starts for single jobs are left alone.

    Args:
        workflow: Snakemake's workflow.
        gpu_jobs: parallel GPU jobs, of local jobs without `--resources gpu=N`; clusters assign their own devices.
        run: name of the configured run, to which all targets must belong.
    """
    if not workflow.is_main_process:
        return
    from snakemake.exceptions import LockException

    execute = workflow.execute

    def execute_registered(*args: Any, **kwargs: Any) -> Any:
        executor = (kwargs.get("executor_plugin") or args[0]).common_settings
        with exit_on_error():
            check_targets(workflow.dag_settings.targets, run)
        if executor.local_exec:
            workflow.global_resources.setdefault("gpu", gpu_jobs)
        state = Path(STATE).absolute()
        alive = is_locked(state)
        if not alive and (count := file_times.restore(Path("results") / run)):
            print(f"{count} file(s) of {run} touched or copied, contents as before: times set back", file=sys.stderr)
        try:
            with contextlib.nullcontext() if executor.dryrun_exec else registered(state):
                return execute(*args, **kwargs)
        except LockException:
            sys.exit(locked_message(alive, sys.argv))

    workflow.execute = execute_registered
