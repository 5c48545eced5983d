"""How long OpenMP's threads keep their cores while they wait, which GNU's library reads when it is loaded.

A thread that waits for work goes round a loop before it sleeps. Alone on its cores a process is fastest if that lasts
longer than a wait; where processes share them, the loop takes the core from a thread that has work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "GOMP_SPINCOUNT"
SPINS = "20000"  # 1 ms, of a training, in a pipeline
SPINS_WHEN_NICE = "1000"  # of a process that gives way to others (nice)


def spins_when_nice(environment: Mapping[str, str], nice: int) -> dict[str, str]:
    """Return the variable to load OpenMP with in a process that gives way; what the user has set stays.

    Args:
        environment: variables of this process.
        nice: its niceness, 0 or less if it does not give way.
    """
    chosen = "OMP_WAIT_POLICY" in environment or environment.get(VARIABLE, SPINS) != SPINS
    return {} if nice <= 0 or chosen else {VARIABLE: SPINS_WHEN_NICE}


def let_waiting_threads_sleep() -> None:
    """Set the environment of jobs so that threads soon sleep where they wait, unless it says otherwise already."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(VARIABLE, SPINS)
