"""Whether SPADE layers run on distinct label patches on a GPU, or stay dense.

Patches save arithmetic, and dense layers have fewer launches. Where the host, which launches, is the bound, dense
layers are faster; with more arithmetic, patches are. The limits are those of a model, not of a measurement
(docs/gpu.md).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, cast

from shanshui.errors import UsageError

VARIABLE = "SHANSHUI_GPU_PATCHES"
Wanted = Literal["auto", "on", "off"]
DENSE_BELOW: Mapping[str, int] = {"fp32": 1 << 18, "tf32": 1 << 20, "bf16": 1 << 20}  # pixels of a batch, by precision
LEAST_PIXELS = 1 << 15  # of a batch at the size of the features, below which a layer stays dense


def wanted() -> Wanted:
    """Return what the environment asks for: by the model ("auto", the default), "on" wherever possible, or "off".

    Raises:
        UsageError: it is something else.
    """
    choice = os.environ.get(VARIABLE) or "auto"
    if choice not in ("auto", "on", "off"):
        raise UsageError(f"{VARIABLE}={choice}", "auto, on or off", f"set {VARIABLE} to one of them, or unset it")
    return cast("Wanted", choice)


def pay(pixels: int, precision: str) -> bool:
    """Return whether a batch is computed on distinct patches.

    Args:
        pixels: of the batch, at the largest size of the features.
        precision: of the convolutions.
    """
    choice = wanted()
    return choice == "on" or (choice == "auto" and pixels >= DENSE_BELOW[precision])
