"""Apply a function to many items, with a progress bar: in a few threads, where it releases the GIL, or in processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from shanshui.backend.parent import end_with

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Sequence[Item], title: str) -> list[Result]:
    """Apply `function` to all items in threads; return the results in order and raise the first error."""
    pool = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2)))
    try:
        return list(tqdm(pool.map(function, items), total=len(items), desc=title, unit="file", mininterval=0.5))
    finally:
        pool.shutdown(cancel_futures=True)


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], title: str, unit: str, least: int = 20
) -> list[Result]:
    """Apply `function` to all items in one process per core; return the results in order and raise the first error.

    Args:
        function: of a module, or a `functools.partial` of one.
        items: what it is applied to.
        title, unit: of the progress bar, on stderr.
        least: items of a process, where starting one takes as long as these; for fewer than twice as many, none is.
    """
    processes = min(len(os.sched_getaffinity(0)), len(items) // least)
    bar = tqdm(total=len(items), desc=title, unit=unit, file=sys.stderr)
    if processes < 2:
        results = []
        for item in items:
            results.append(function(item))
            bar.update()
        bar.close()
        return results
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (os.getpid(),)) as pool, bar:
        results = []
        for result in pool.map(function, items, chunksize=max(1, least // 5)):
            results.append(result)
            bar.update()
        return results


def _begin(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent, signal.SIGKILL)
