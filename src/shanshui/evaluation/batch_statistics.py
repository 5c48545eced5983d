"""Re-estimation of batch norm statistics for averaged weights, whose features differ from those of their members.

Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization", section 3.2.
"""

from __future__ import annotations

import numpy as np

from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.noise_source import seeded_noise
from shanshui.backend.lazy import jt
from shanshui.data.nearest import nearest_index
from shanshui.nn.norms import BatchNorm
from shanshui.storage.size import Size


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
