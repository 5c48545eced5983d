"""Weights with 16 bits a number, for files of half the size; they are loaded and computed with as float32."""

from __future__ import annotations

import numpy as np

from shanshui.data.labels import Classes
from shanshui.errors import ShanshuiError
from shanshui.storage.checkpoint import Arrays, Checkpoint
from shanshui.storage.size import Size
from shanshui.synthesis.onnx_check import made_label_maps
from shanshui.synthesis.synthesizer import Synthesizer

SIDE = 4  # of the label maps of weights without a size, in multiples of the network's divisor


def halved(found: Checkpoint) -> Checkpoint:
    """Round the weights of a generator to float16; equal weights give equal numbers.

    Biases, norms and other arrays of one dimension stay float32: they are few, and variances can be tiny.

    Raises:
        ShanshuiError: a weight is beyond float16's range.
    """
    arrays: Arrays = {}
    for name, array in found.arrays.items():
        with np.errstate(over="ignore"):
            arrays[name] = array.astype(np.float16) if array.ndim > 1 else array
        if not np.isfinite(arrays[name]).all():
            largest = np.abs(array).max()
            raise ShanshuiError(f"{name} holds {largest:.3g}", f"at most {np.finfo(np.float16).max} in a float16 file")
    return Checkpoint(arrays, {**found.meta, "stored": "float16"})


def differences(one: Synthesizer, other: Synthesizer, seed: int = 0) -> tuple[float, float]:
    """Compare images of made label maps, in steps of 8 bits.

    Args:
        one: of the weights.
        other: of the weights to compare, with the same classes and inputs.
        seed: of the noise.

    Returns:
        Largest and mean absolute difference.
    """
    side = SIDE * one.multiple
    maps = made_label_maps(Classes(one.classes.names), one.size or Size(side, side))
    instances = maps if one.accepts.instances else None
    first, second = (of.generate(maps, seed=seed, instances=instances) for of in (one, other))
    apart = np.abs(first - second) * 127.5
    return float(apart.max()), float(apart.mean())
