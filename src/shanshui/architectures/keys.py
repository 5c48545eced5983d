"""Translation of parameter names in the checkpoints of APF-GAN and of the SPADE family to the names used here.

They differ only where the others show how the modules were wrapped: spectral norm's `weight_orig` (and its
vectors, which APF-GAN's code never uses), containers of one layer, and layers that no forward pass reaches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

Entry = TypeVar("Entry")
Rule = Callable[[str], str | None]

SPECTRAL_VECTORS = re.compile(r"\.weight_[uv]$")


def generator_key(key: str) -> str | None:
    """Translate a name of `net_G`; None where it is not needed."""
    return _spectral(key.replace(".mlp_shared.0.", ".mlp_shared."))


def encoder_key(key: str) -> str | None:
    """Translate a name of `net_E`; None where it is not needed (the two unused linear layers)."""
    if key.startswith(("fc_mu.", "fc_var.")):
        return None
    return _spectral(re.sub(r"^(layer\d)\.0\.", r"\1.", key))


def discriminator_key(key: str) -> str | None:
    """Translate a name of `net_D`; None where it is not needed (input layers of earlier levels)."""
    if match := re.match(r"multiscale_discriminator_(\d)\.toRGB_extra(\d)\.", key):
        level, i = map(int, match.groups())
        if i < level - 1:
            return None
    key = key.replace("multiscale_discriminator_", "discriminators.")
    key = re.sub(r"toRGB_extra(\d)\.0\.", r"from_rgb_\1.", key)
    return _spectral(re.sub(r"(extra|model)(\d)(?:\.0)+\.", r"\1_\2.", key))


def spade_key(key: str) -> str | None:
    """Translate a name of `net_G`, `net_E` or `net_D` of SPADE or CLADE; None for torch's batch counters.

    The vectors of spectral norm are needed: evaluation there divides by the value the stored ones give.
    """
    if key.endswith(".num_batches_tracked"):
        return None
    key = re.sub(r"\b(mlp_shared|layer\d|model\d)(?:\.0)+\.", r"\1.", key)
    return re.sub(r"\.weight_orig$", ".weight", key)


def translate(entries: Mapping[str, Entry], rule: Rule) -> dict[str, Entry]:
    """Rename the entries of a foreign state dict; what the rule does not need is left out."""
    return {ours: entry for key, entry in entries.items() if (ours := rule(key)) is not None}


def _spectral(key: str) -> str | None:
    if SPECTRAL_VECTORS.search(key):
        return None
    return re.sub(r"\.weight_orig$", ".weight", key)
