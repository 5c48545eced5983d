"""Weights of the built-in segmenter, a file in this folder, and the classes of its channels.

DeepLabV3+ MobileNetV2, trained by Google on ADE20K's 31 commonest classes (Apache-2.0, see NOTICE): MLPerf Mobile's
`deeplabv3_mnv2_ade20k_int8.tflite` as NumPy arrays, `<layer>.weight` (int8), `.scale` (per output) and `.bias`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shanshui.data.labels import NO_CLASS
from shanshui.errors import UsageError

FILE = Path(__file__).with_name("deeplab_ade20k32.npz")
LAYERS = (  # ours, in the order of the file
    "stem", "blocks.0.depthwise", "blocks.0.project",
    *(f"blocks.{i}.{part}" for i in range(1, 17) for part in ("expand", "depthwise", "project")),
    "context", "skip", "pooled", "fuse", *(f"refine.{i}" for i in range(4)), "classify",
)  # fmt: skip
SIDE_STEP = 32  # sides of images are multiples of it
REST = "other"
NAMES: tuple[tuple[str, ...], ...] = (  # of every channel, the best first; a coarser one will do where that is lacking
    (), ("wall",), ("building",), ("sky",), ("floor",), ("tree", "vegetation"), ("ceiling",), ("road",), ("bed",),
    ("windowpane", "window"), ("grass", "terrain"), ("cabinet",), ("sidewalk", "pavement", "path"), ("person",),
    ("earth", "ground", "dirt"), ("door",), ("table",), ("mountain",), ("plant", "vegetation"), ("curtain",),
    ("chair",), ("car",), ("water",), ("painting",), ("sofa",), ("shelf",), ("house", "building"), ("sea", "water"),
    ("mirror",), ("rug",), ("field", "grass"), ("armchair", "chair"),
)  # fmt: skip


def read_weights() -> dict[str, np.ndarray]:
    """Read the arrays of `shanshui.architectures.deeplab.DeepLab` by name, dequantised to float32."""
    with np.load(FILE, allow_pickle=False) as archive:
        stored = [name.removesuffix(".weight") for name in archive.files if name.endswith(".weight")]
        arrays = {}
        for ours, theirs in zip(LAYERS, stored, strict=True):
            scale = archive[f"{theirs}.scale"].reshape(-1, 1, 1, 1)
            arrays[f"{ours}.weight"] = archive[f"{theirs}.weight"].astype(np.float32) * scale
            arrays[f"{ours}.bias"] = archive[f"{theirs}.bias"]
    return arrays


def translation(classes: Sequence[str]) -> list[int]:
    """Map each output channel to the id of its class in `classes`, else to that of "other", else to 255.

    Names are compared without regard to case; a suffix `-other`, as in COCO-Stuff's `sky-other`, is ignored.

    Raises:
        UsageError: `classes` has none of the network's classes.
    """
    numbers = {name.casefold().removesuffix(f"-{REST}"): number for number, name in reversed([*enumerate(classes)])}
    rest = numbers.pop(REST, NO_CLASS)
    found = [next((numbers[name] for name in names if name in numbers), rest) for names in NAMES]
    if all(number == rest for number in found):
        known = ", ".join(names[0] for names in NAMES[1:])
        raise UsageError(
            f"the built-in segmenter knows none of the classes {', '.join(classes)}", f"one or more of {known}",
            "give a segmenter of these classes",
        )  # fmt: skip
    return found


def unjudged(classes: Sequence[str]) -> list[str]:
    """Return the names in `classes` that no channel stands for, whose segmentation cannot be scored."""
    known = set(translation(classes))
    return [name for i, name in enumerate(classes) if i not in known or name.casefold() == REST]
