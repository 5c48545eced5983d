"""What the pretended device counted in this process; load Jittor first."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

RUNTIME = "libcudart.so.13"  # which is loaded already, so that this name suffices

Counts = dict[str, Any]


def reset() -> None:
    """Count anew."""
    ctypes.CDLL(RUNTIME).pretended_reset()


def read() -> Counts:
    """Numbers by name since the last `reset`; in `kernels` and `calls` how often which.

    `waits` are those for all the device has to do. Copies down wait too, and are counted by themselves.
    """
    handle, path = tempfile.mkstemp()
    os.close(handle)
    ctypes.CDLL(RUNTIME).pretended_report(path.encode())
    counts: Counts = {"kernels": {}, "calls": {}}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            kind, number, name = line.rstrip("\n").split("\t")
            (counts if kind == "number" else counts[f"{kind}s"])[name] = int(number)
    os.unlink(path)
    return counts


@contextmanager
def counted(into: Counts, name: str) -> Iterator[None]:
    """Count what is done inside, as `into[name]`."""
    reset()
    yield
    into[name] = read()
