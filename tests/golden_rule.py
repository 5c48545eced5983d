"""The published rule of the reference outputs: weights from their names alone, inputs from a seed.

Whoever has a network with the reference's names and shapes can give it the reference's weights without a file. The
value of the array `name` of shape `s` starts from `n`, float32 rounded from standard normal numbers of
`numpy.random.RandomState(crc32(name + salt))`:

    num_batches_tracked                     0
    running_mean                            0.1 n
    running_var                             0.1 |n| + 1
    weight, weight_orig of rank 2 or more   gain n / sqrt(numbers of one output)
    weight of rank 1                        0.1 n + 1
    weight_u, weight_v                      n / |n|, then `power` power iterations on weight_orig in float64
    everything else, biases too             0.1 n
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FLOAT = np.float32
Shapes = Mapping[str, tuple[int, ...]]


def value(name: str, shape: tuple[int, ...], salt: str = "", gain: float = 1.0) -> np.ndarray:
    """Make one array from its name; spectral norm's vectors without power iterations."""
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    stream = np.random.RandomState(zlib.crc32((name + salt).encode()))
    n = np.asarray(stream.standard_normal(shape)).astype(FLOAT)
    if kind in ("weight_u", "weight_v"):
        return unit(n.astype(np.float64)).astype(FLOAT)
    if kind in ("weight", "weight_orig") and len(shape) > 1:
        return np.asarray(n * FLOAT(gain / math.sqrt(math.prod(shape[1:]))))
    tenth = np.abs(n) * FLOAT(0.1) if kind == "running_var" else n * FLOAT(0.1)
    return np.asarray(tenth + FLOAT(1) if kind in ("running_var", "weight", "weight_orig") else tenth)


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.sqrt((vector**2).sum()))


def fill(shapes: Shapes, salt: str = "", gain: float = 1.0, power: int = 1) -> dict[str, np.ndarray]:
    """Make a state dict from its names and shapes, in their order."""
    made = {name: value(name, tuple(shape), salt, gain) for name, shape in shapes.items()}
    for name in shapes:
        if not name.endswith("weight_u"):
            continue
        layer = name.removesuffix("u")
        matrix = made[f"{layer}orig"].astype(np.float64).reshape(len(made[f"{layer}orig"]), -1)
        u, v = made[name].astype(np.float64), made.get(f"{layer}v")
        for _ in range(power):
            v = unit(matrix.T @ u)
            u = unit(matrix @ v)
        made[name] = u.astype(FLOAT)
        if f"{layer}v" in made and v is not None:
            made[f"{layer}v"] = v.astype(FLOAT)
    return made


def smooth(height: int, width: int, seed: int, n: int = 1, c: int = 3, cell: int = 8) -> NDArray[np.float32]:
    """Draw pictures in [-1, 1], float32 (n, c, height, width): uniform every `cell` pixels, bilinear between."""
    stream = np.random.RandomState(seed)
    coarse = stream.uniform(-1, 1, size=(n, c, height // cell + 2, width // cell + 2))
    rows, columns = np.arange(height) / cell, np.arange(width) / cell
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], (columns - left)[None, :]

    def between(row: NDArray[np.int_]) -> np.ndarray:
        return np.asarray(coarse[:, :, row][..., left] * (1 - right) + coarse[:, :, row][..., left + 1] * right)

    return np.asarray(between(top) * (1 - down) + between(top + 1) * down).astype(FLOAT)


def onehot(label_map: np.ndarray, classes: int) -> NDArray[np.float32]:
    """uint8 (N, H, W) -> float32 (N, classes, H, W); 255 is none of them."""
    return np.asarray(label_map[:, None] == np.arange(classes)[:, None, None]).astype(FLOAT)
