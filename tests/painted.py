"""A picture that `generate` makes of one label map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.__main__ import main


def generate(weights: Path, folder: Path, label_map: np.ndarray, *arguments: object) -> np.ndarray:
    """The picture of one label map, float32 (3, H, W)."""
    (folder / "labels").mkdir(exist_ok=True)
    Image.fromarray(label_map).save(folder / "labels" / "x.png")
    common = ["--weights", weights, "--labels", folder / "labels", "--out", folder / "out", "--format", "npy"]
    assert main(["generate", *map(str, [*common, *arguments])]) == 0
    return np.asarray(np.load(folder / "out" / "x.npy"))
