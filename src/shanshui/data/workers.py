"""Apply a function to many files in a few threads, with a progress bar; decoding releases the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Sequence[Item], title: str) -> list[Result]:
    """Apply `function` to all items in threads; return the results in order and raise the first error."""
    pool = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2)))
    try:
        return list(tqdm(pool.map(function, items), total=len(items), desc=title, unit="file", mininterval=0.5))
    finally:
        pool.shutdown(cancel_futures=True)
