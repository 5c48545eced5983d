"""Styles for generators that start from one: a photo's, or one given as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shanshui.architectures.chances import Chance, Chances
from shanshui.architectures.painters import Painter
from shanshui.backend.runtime import load_jittor
from shanshui.errors import ShanshuiError, UsageError

jt = load_jittor()


def one_style(z: np.ndarray, z_dim: int, source: object) -> np.ndarray:
    """The style (z_dim,) in an array (z_dim,) or (1, z_dim); UsageError where it is no such array."""
    vector = np.asarray(z, np.float32)
    if vector.shape not in ((z_dim,), (1, z_dim)) or not np.isfinite(vector).all():
        raise UsageError(f"{source} holds numbers of shape {vector.shape}", f"{z_dim} finite numbers, float32")
    return vector.reshape(-1)


def blended(styles: Sequence[np.ndarray], share: float) -> np.ndarray:
    """One style (z_dim,) as it is; on the line between two, the second with its share in [0, 1]."""
    if len(styles) > 2:
        raise UsageError(f"{len(styles)} styles", "one, or two to go from one to the other")
    return styles[0] if len(styles) == 1 else (1 - np.float32(share)) * styles[0] + np.float32(share) * styles[1]


def every_picture(style: np.ndarray) -> Chances:
    """The same style (z_dim,) for every image."""
    return lambda names: Chance(None, lambda n, length: jt.array(np.tile(style, (n, 1))))


def style_of(E: Any, photo: np.ndarray) -> np.ndarray:
    """Mean style (z_dim,) of a photo float32 (3, H, W) in [-1, 1], by the encoder."""
    with jt.no_grad():
        mean, _ = E(jt.array(photo[None]))
        style = np.array(mean.numpy()[0])
    jt.sync_all()
    return style


def encoder_of(painter: Painter, source: object) -> Any:
    """The style encoder of the weights in `source`; ShanshuiError where they take no style, or came without one."""
    if not painter.takes_style:
        raise UsageError("--style", "weights of a generator that starts from a style, not from the label map")
    if painter.style_encoder is None:
        raise ShanshuiError(
            f"{source} holds no style encoder", "one, to see a photo's style", "import the weights with --encoder"
        )
    return painter.style_encoder
