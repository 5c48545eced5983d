"""Weights files of any generator under the rule's values: of the reference's names, or of our own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_rule
import numpy as np

from shanshui.architectures.converter import translate
from shanshui.storage import checkpoint
from shanshui.storage.size import Size

PARITY = {"spectral_norm": "on", "seg_noise_init": "zero"}


def write(
    path: Path, generator: dict[str, Any], arrays: checkpoint.Arrays, size: Size, classes: int = 29, **meta: Any
) -> Path:
    """Write a weights file; `meta` replaces entries of its metadata, of its model `edges`, `unknown_class`, `plan`."""
    model = {"generator": generator, **{k: meta.pop(k) for k in ("edges", "unknown_class", "plan") if k in meta}}
    data = {
        "classes": [f"class {i}" for i in range(classes)], "label_offset": 0,
        "ignore_label": meta.pop("ignore_label", None), "width": size.width, "height": size.height,
    }  # fmt: skip
    given = {"seg_noise": False, "heads": 0, "level": None, "alpha": 0.0, "parity": PARITY} | meta
    checkpoint.save(path, arrays, kind="generator", data=data, model=model, **given)
    return path


def reference(keys: list[Any], rule: Callable[[str], str | None], letter: str = "G") -> checkpoint.Arrays:
    """The rule's values of a reference's names and shapes, by our names."""
    values = golden_rule.fill({key: tuple(shape) for key, shape in keys}, power=1)
    return checkpoint.prefixed(letter, translate(values, rule))


def own(generator: dict[str, Any], size: Size, classes: int, **context: Any) -> checkpoint.Arrays:
    """The rule's values of the names and shapes of a generator that is built here."""
    from shanshui.architectures.registry import generator_of

    data = {"classes": [str(i) for i in range(classes)], "width": size.width, "height": size.height}
    model = {"generator": generator, **{k: context.pop(k) for k in ("edges", "unknown_class") if k in context}}
    declared = generator_of({"data": data, "model": model, "parity": PARITY, "heads": 0, **context})
    networks = dict(zip("GE", declared.build(), strict=True))
    arrays: checkpoint.Arrays = {}
    for letter, network in networks.items():
        if network is not None:
            shapes = {n: tuple(v.shape) for n, v in network.state_dict().items()}
            arrays |= checkpoint.prefixed(letter, filled(shapes))
    return arrays


def filled(shapes: dict[str, tuple[int, ...]]) -> checkpoint.Arrays:
    """The rule's values; where both vectors of spectral norm are stored, they have one power iteration behind them."""
    made = {name: golden_rule.value(name, shape) for name, shape in shapes.items()}
    for name in shapes:
        if name.endswith("weight_v"):
            layer = name.removesuffix("_v")
            matrix = made[layer].reshape(len(made[layer]), -1).astype(np.float64)
            v = golden_rule.unit(matrix.T @ made[f"{layer}_u"])
            made[name], made[f"{layer}_u"] = (v.astype(np.float32), golden_rule.unit(matrix @ v).astype(np.float32))
    return made
