"""Processes that do not outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with(parent: int, number: signal.Signals) -> None:
    """Let the kernel send this process the signal `number` as soon as its parent, process `parent`, has ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:  # it has ended already
        os.kill(os.getpid(), number)
