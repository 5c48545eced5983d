"""A watchdog that kills a child process if it makes no progress, for code that may deadlock."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import psutil

STDERR = 2
AT_LEAST = 0.01  # of a core: less work than this is waiting


def processor_seconds(process: psutil.Process) -> float:
    """Return the CPU time of `process` and its current and former children, in seconds."""
    seconds = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def end_all(process: psutil.Process) -> None:
    """Kill `process` and all below it."""
    for one in (*process.children(recursive=True), process):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def run_with_watchdog(command: Sequence[str], patience: float = 60.0) -> int | None:
    """Run `command` until it ends, or kill it if it makes no progress.

    Args:
        command: program and arguments; it inherits the environment and stderr, its stdout goes to stderr.
        patience: seconds in which it must use CPU time of `AT_LEAST` of them, itself or through its children.

    Returns:
        The exit code (negative: the signal), None if it was killed.
    """
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=STDERR)
    try:
        process = psutil.Process(child.pid)
        worked = 0.0
        while True:
            try:
                return child.wait(patience)
            except subprocess.TimeoutExpired:
                before, worked = worked, processor_seconds(process)
            if abs(worked - before) < AT_LEAST * patience:
                return None
    finally:
        if child.poll() is None:
            end_all(process)
            child.wait()
