"""Estimate the memory of a training step where it is known to be large."""

from __future__ import annotations

from shanshui.config.schema import Config

GIB = 1024**3


def step_bytes(config: Config) -> int | None:
    """Estimate the peak bytes of a step per process, without weights and discriminators; None if not known."""
    batch = max(phase.batch // phase.processes for phase in (config.pretrain, config.finetune))
    return config.networks().generator.step_bytes(batch)


def sentence(config: Config) -> str | None:
    """Format the estimate as text; None if it is not known."""
    taken = step_bytes(config)
    if taken is None:
        return None
    return (
        f"a training step takes about {taken / GIB:.1f} GiB in each process, besides weights and discriminators, at "
        f"batch {max(config.pretrain.batch, config.finetune.batch)}, {config.data.size}"
    )
