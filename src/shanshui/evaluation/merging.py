"""Averages of checkpoints, and batch norm statistics for them, whose features differ from those of their members.

Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization", section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.noise_source import seeded_noise
from shanshui.backend.lazy import jt
from shanshui.data.nearest import nearest_index
from shanshui.nn.norms import BatchNorm
from shanshui.storage.checkpoint import Arrays, check_keys
from shanshui.storage.size import Size


def average(parts: Sequence[Arrays], sources: Sequence[str]) -> Arrays:
    """Average checkpoints with exactly the same names and shapes, name by name: float64 sums, float32 results.

    The singular vectors of spectral norm (`*.weight_u`, `*.weight_v`) are not averaged: a mean of unit vectors is not a
    unit vector. The first checkpoint's are returned, and the caller refreshes them by power iteration.

    Args:
        parts: arrays of each checkpoint by name.
        sources: what messages call each checkpoint.

    Raises:
        ShanshuiError: where a checkpoint's names or shapes differ from the first one's.
    """
    shapes = {name: array.shape for name, array in parts[0].items()}
    for part, source in zip(parts[1:], sources[1:], strict=True):
        check_keys(part, shapes, source)
    mean: Arrays = {}
    for name, first in parts[0].items():
        if name.endswith(("weight_u", "weight_v")):
            mean[name] = first
            continue
        total = first.astype(np.float64)
        for part in parts[1:]:
            total = total + part[name]
        mean[name] = (total / len(parts)).astype(np.float32)
    return mean


def estimate_statistics(generator: BuiltGenerator, label_maps: np.ndarray, size: Size, seed: int, batch: int) -> None:
    """Set the running statistics of G to means over whole batches, equally weighted, and change nothing else.

    Args:
        generator: the generator, with its networks in evaluation mode.
        label_maps: class ids uint8 (N, H, W), of any size; 255 is no class.
        size: at which G works.
        seed: of the noise, for a G that uses any.
        batch: label maps per batch; an incomplete last batch is not used.
    """
    norms = [module for module in generator.G.modules() if isinstance(module, BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    rows, columns = (nearest_index(*sides) for sides in zip(label_maps.shape[1:], size, strict=True))
    for norm in norms:
        norm.train()
    for count, start in enumerate(range(0, len(label_maps) - batch + 1, batch), start=1):
        for norm in norms:
            norm.momentum = 1 / count  # the first batch replaces what was there
        part = label_maps[start : start + batch][:, rows][:, :, columns]
        names = [str(index) for index in range(start, start + batch)]
        with jt.no_grad():
            generator.generate(generator.condition(part), seeded_noise(seed)(names)).sync()
        jt.sync_all()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
