"""Generating pictures from label maps with trained weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shanshui.architectures.chances import Chance, Chances
from shanshui.architectures.painters import FULL, Painter
from shanshui.architectures.schedule import Step
from shanshui.backend.runtime import load_jittor
from shanshui.nn import patch_spade

jt = load_jittor()


def trained_step(meta: dict[str, Any]) -> Step:
    """The step of the progressive schedule up to which a checkpoint with these metadata was trained."""
    return Step(meta["level"], meta["alpha"], meta["alpha"] > 0, meta["level"] is None)


def generate_batch(
    painter: Painter, label_maps: np.ndarray, names: Sequence[str], chances: Chances, step: Step = FULL,
    instances: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Pictures float32 (N, 3, H, W) in [-1, 1] of label maps uint8 (N, H, W); 255 is no class.

    On a CPU they are made one after another: each needs only its own label map's distinct patches, and no
    sum is then taken in another order because of its neighbours.

    Args:
        painter: with its networks in evaluation mode.
        names: image names, by which `chances` tells random numbers.
        step: of the progressive schedule.
        instances: numbers of instances (N, H, W), for a generator with edges; without, classes are taken for them.
    """
    together = 1 if patch_spade.available() else len(label_maps)
    parts = [slice(i, i + together) for i in range(0, len(label_maps), together)]
    return np.concatenate([
        _generate(
            painter, label_maps[part], chances(names[part]), step, None if instances is None else instances[part]
        )
        for part in parts
    ])  # fmt: skip


def _generate(
    painter: Painter, label_maps: np.ndarray, chance: Chance, step: Step, instances: np.ndarray | None
) -> np.ndarray:
    _, height, width = label_maps.shape
    sizes = painter.patch_sizes(height, width, step)
    with jt.no_grad():
        fake = painter.paint(painter.show(label_maps, sizes, instances), chance, step)
        pictures = np.array(fake.numpy())
    jt.sync_all()
    return pictures
