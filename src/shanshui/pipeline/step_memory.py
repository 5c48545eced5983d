"""Estimate the memory of a training step where it is known to be large."""

from __future__ import annotations

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.config.schema import Config

GIB = 1024**3
NUMBER = 4  # bytes of a float32


def step_bytes(config: Config, counts: NetworkCounts) -> int | None:
    """Estimate the peak bytes of a step per process, without weights and discriminators; None if not known."""
    peak = config.model.generator.step_peak
    batch = max(phase.batch // phase.processes for phase in (config.pretrain, config.finetune))
    return None if peak is None else int(peak * NUMBER * counts.outputs * batch)


def sentence(config: Config, taken: int) -> str:
    """Format the estimated bytes of a step as text."""
    return (
        f"a training step takes about {taken / GIB:.1f} GiB in each process, besides weights and discriminators, at "
        f"batch {max(config.pretrain.batch, config.finetune.batch)}, {config.data.size}"
    )
