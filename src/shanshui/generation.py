"""Generating pictures from label maps with trained weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shanshui.data.labels import one_hot
from shanshui.noise import batch_noise
from shanshui.runtime import load_jittor

jt = load_jittor()


def generate_batch(
    G: Any, E: Any, label_maps: np.ndarray, num_classes: int, names: Sequence[str], seed: int | None,
    level: int | None = None, alpha: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Pictures float32 (N, 3, H, W) in [-1, 1] of label maps uint8 (N, H, W).

    Args:
        names: image names; with `seed` they determine the noise, whatever the batch.
        seed: noise seed, or None for no noise.
        level, alpha: step of the progressive schedule; level None is the full network.
    """
    noise = None if seed is None else batch_noise(seed, names, jt.array)
    with jt.no_grad():
        segmap = jt.array(one_hot(label_maps, num_classes))
        fake = G(E(segmap), segmap, level=level, alpha=alpha, noise=noise)
        pictures = np.array(fake.numpy())
    jt.sync_all()
    return pictures
