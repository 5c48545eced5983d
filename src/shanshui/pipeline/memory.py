"""Available memory of the machine, and an estimate of what a training step takes where that is known to be large."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.config.schema import Config
from shanshui.config.sections import Training

GIB = 1024**3
NUMBER = 4  # bytes of a float32


def available_memory() -> int:
    """Return the bytes of memory that can be used without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def rows(phase: Training, parts: int | None = None) -> int:
    """Return how many pairs a process computes at a time, with the batch in `parts`, by default as configured."""
    return phase.batch // (phase.processes * (parts or phase.accumulate))


def step_bytes(config: Config, counts: NetworkCounts) -> int | None:
    """Estimate the peak bytes of a step per process, without weights and discriminators; None if not known."""
    peak = config.model.generator.step_peak
    return None if peak is None else int(peak * NUMBER * counts.outputs * most_rows(config))


def most_rows(config: Config) -> int:
    """Return how many pairs a process computes at a time, in the phase with more."""
    return max(rows(phase) for phase in (config.pretrain, config.finetune))


def step_sentence(config: Config, taken: int) -> str:
    """Format the estimated bytes of a step as text."""
    return (
        f"a training step takes about {taken / GIB:.1f} GiB in each process, besides weights and discriminators, at "
        f"{most_rows(config)} pairs at a time, {config.data.size}"
    )


def reset_peak() -> None:
    """Start a new measurement of the peak memory of this process, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has had since `reset_peak`; None where it is not known."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
