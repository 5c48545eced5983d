"""Estimate the memory of a training step where it is known to be large."""

from __future__ import annotations

from shanshui.config.schema import Config

GIB = 1024**3


def step_bytes(config: Config) -> int | None:
    """Bytes at the peak of a step in each process, without weights and discriminators; None if it was not counted."""
    batch = max(phase.batch // phase.processes for phase in (config.pretrain, config.finetune))
    return config.networks().generator.step_bytes(batch)


def sentence(config: Config) -> str | None:
    """The same for people."""
    taken = step_bytes(config)
    if taken is None:
        return None
    return (
        f"a training step takes about {taken / GIB:.1f} GiB in each process, besides weights and discriminators, at "
        f"batch {max(config.pretrain.batch, config.finetune.batch)}, {config.data.width}x{config.data.height}"
    )
