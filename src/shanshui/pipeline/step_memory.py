"""Estimate the memory of a training step where it is known to be large."""

from __future__ import annotations

from shanshui.config.schema import Config
from shanshui.nn.ccfpse_shape import activation_bytes

GIB = 1024**3
PEAK = 2.6  # of the convolutions' results, with norms, activations and gradients


def step_bytes(config: Config) -> int | None:
    """Bytes at the peak of a step in each process, without weights and discriminators; None if it was not counted."""
    model, data = config.model, config.data
    if model.generator != "ccfpse" or model.upsampling == "most":
        return None
    batch = max(phase.batch // phase.processes for phase in (config.pretrain, config.finetune))
    return int(PEAK * activation_bytes(data.height, data.width, batch, model.base_channels, model.upsampling))


def sentence(config: Config) -> str | None:
    """The same for people."""
    taken = step_bytes(config)
    if taken is None:
        return None
    return (
        f"a training step takes about {taken / GIB:.1f} GiB in each process, besides weights and discriminators, at "
        f"batch {max(config.pretrain.batch, config.finetune.batch)}, {config.data.width}x{config.data.height}"
    )
