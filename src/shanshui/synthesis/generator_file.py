"""Read weights files of generators, and check their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shanshui.architectures.registry import GENERATORS
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint


def read_generator(path: str | Path) -> checkpoint.Checkpoint:
    """Read the weights and metadata of a generator; arrays are float32.

    Raises:
        UsageError: the file holds something else.
        ShanshuiError: its metadata is incomplete, or an array is not of real numbers.
    """
    weights = checkpoint.load(path)
    if weights.meta.get("kind") != "generator":
        raise UsageError(f"{path} holds no generator", "a checkpoint of pretraining or fine-tuning, or an average")
    if wrong := _undescribed(weights.meta):
        raise ShanshuiError(
            f"{path} does not say as this version does what it holds: {', '.join(wrong)} in its metadata, written by "
            f"{weights.meta.get('shanshui', 'another program')}",
            "a checkpoint of this version",
            "write it again by this version, or read it by the one that wrote it",
        )
    single = {name: _single(array) for name, array in weights.arrays.items()}
    if odd := [name for name, array in single.items() if array.dtype != np.float32]:
        raise ShanshuiError(f"{path}: {odd[0]} holds numbers of type {single[odd[0]].dtype}", "real numbers")
    return checkpoint.Checkpoint(single, weights.meta)


def _single(array: np.ndarray) -> np.ndarray:
    """Convert float16 and float64 to float32; return other arrays as they are."""
    return array.astype(np.float32) if array.dtype in (np.float16, np.float64) else array


def _undescribed(meta: Mapping[str, Any]) -> list[str]:
    """Return the fields of a generator's metadata that are missing or of another type."""
    data, side = meta.get("data"), (int, type(None))
    if not isinstance(data, dict) or not isinstance(meta.get("model"), dict):
        return [name for name in ("data", "model") if not isinstance(meta.get(name), dict)]
    generator = meta["model"].get("generator")
    if not isinstance(generator, dict):
        return ["model.generator"]
    wanted: dict[str, tuple[object, type | tuple[type, ...]]] = {
        "data.classes": (data.get("classes"), list), "data.label_offset": (data.get("label_offset"), int),
        "data.ignore_label": (data.get("ignore_label", ""), side), "data.width": (data.get("width", ""), side),
        "data.height": (data.get("height", ""), side), "model.generator.name": (generator.get("name"), str),
        "seg_noise": (meta.get("seg_noise"), bool), "level": (meta.get("level", ""), side),
        "alpha": (meta.get("alpha"), (int, float)),
    }  # fmt: skip
    if "plan" in meta["model"]:
        plan = meta["model"]["plan"]
        whole = isinstance(plan, dict) and all(type(n) is int and n >= 0 for n in plan.values())
        wanted["model.plan"] = (plan if whole else None, dict)
    if kind := GENERATORS.get(generator.get("name", "")):
        wanted |= {name: (meta.get(name), type_) for name, type_ in kind.header_entries.items()}
    return [name for name, (value, kind) in wanted.items() if not isinstance(value, kind)]
