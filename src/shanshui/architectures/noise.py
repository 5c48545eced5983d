"""Noise of an image from (seed, image name) alone: any batch, order or subset gives the same image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.architectures.apf_generator import Noise


def image_noise(seed: int, name: str, layer: int, height: int, width: int) -> np.ndarray:
    """Draw standard normal noise float32 (1, height, width) for one SPADE layer of one image."""
    return _stream(seed, name, str(layer)).standard_normal((1, height, width), dtype=np.float32)


def batch_noise(seed: int, names: Sequence[str], to_var: Callable[[np.ndarray], Var]) -> Noise:
    """Create a generator's noise function, for a batch of named images: (layer, n, h, w) -> tensor (n, 1, h, w)."""

    def draw(layer: int, n: int, height: int, width: int) -> Var:
        if n != len(names):
            raise ValueError(f"batch of {n} for {len(names)} names")
        return to_var(np.stack([image_noise(seed, name, layer, height, width) for name in names]))

    return draw


def image_style(seed: int, name: str, z_dim: int, sample: int = 0) -> np.ndarray:
    """Draw a standard normal style vector float32 (z_dim,) of one image; `sample` numbers several of the same image."""
    return _stream(seed, name, f"z{sample}").standard_normal(z_dim, dtype=np.float32)


def _stream(seed: int, name: str, use: str) -> np.random.Generator:
    """Create the random number generator of (seed, name, use)."""
    key = hashlib.sha256(f"{seed}\0{name}\0{use}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))
