"""shanshui (山水): from semantic label maps to landscape photographs.

    import shanshui

    synthesizer = shanshui.load()  # the starter model; or load("W.safetensors")
    images = synthesizer.generate(synthesizer.read_label_map("label.png"), seed=7)
    shanshui.to_pil(images)[0].save("landscape.png")

Importing the package loads nothing else; Jittor starts with `load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.storage.size import Size

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from PIL import Image

    from shanshui.synthesis.synthesizer import Synthesizer

__version__ = "0.1.0"


def load(weights: str | Path | None = None, size: Size | None = None) -> Synthesizer:
    """Read the weights of a generator, ready to generate images.

    Args:
        weights: safetensors file: a checkpoint, an average or imported weights; without, those of the starter model.
        size: of label maps and images; by default the size it was trained at.

    Raises:
        ShanshuiError: the file is missing, broken or holds something else; the network cannot generate the size; or
            neither weights nor a starter model are there.
    """
    from shanshui.synthesis.starter import given_or_starter
    from shanshui.synthesis.synthesizer import Synthesizer

    return Synthesizer.load(given_or_starter(weights, "weights"), size)


def to_pil(images: np.ndarray) -> list[Image.Image]:
    """Convert images float (N, 3, H, W) or (3, H, W) in [-1, 1] to Pillow's, with 8 bits a channel, rounded."""
    from shanshui.storage.images import to_pil

    return to_pil(images)
