"""Generating pictures from label maps with trained weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shanshui.data.labels import one_hot
from shanshui.models import patch_spade
from shanshui.noise import batch_noise
from shanshui.patches import patch_pyramid
from shanshui.runtime import load_jittor

jt = load_jittor()


def generate_batch(
    G: Any, E: Any, label_maps: np.ndarray, num_classes: int, names: Sequence[str], seed: int | None,
    level: int | None = None, alpha: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Pictures float32 (N, 3, H, W) in [-1, 1] of label maps uint8 (N, H, W).

    On a CPU they are made one after another: each needs only its own label map's distinct patches, and no
    sum is then taken in another order because of its neighbours.

    Args:
        names: image names; with `seed` they determine the noise, whatever the batch.
        seed: noise seed, or None for no noise.
        level, alpha: step of the progressive schedule; level None is the full network.
    """
    together = 1 if patch_spade.available() else len(label_maps)
    pictures = [
        _generate(G, E, label_maps[i : i + together], num_classes, names[i : i + together], seed, level, alpha)
        for i in range(0, len(label_maps), together)
    ]
    return np.concatenate(pictures)


def _generate(
    G: Any, E: Any, label_maps: np.ndarray, num_classes: int, names: Sequence[str], seed: int | None,
    level: int | None, alpha: float,
) -> np.ndarray:  # fmt: skip
    noise = None if seed is None else batch_noise(seed, names, jt.array)
    sizes = G.patch_sizes(*label_maps.shape[1:], level, alpha)
    with jt.no_grad():
        segmap = jt.array(one_hot(label_maps, num_classes))
        patches = patch_spade.to_device(patch_pyramid(label_maps, sizes), num_classes)
        fake = G(E(segmap), segmap, level=level, alpha=alpha, noise=noise, patches=patches)
        pictures = np.array(fake.numpy())
    jt.sync_all()
    return pictures
