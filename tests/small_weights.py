"""Weights files of tiny generators whose images are not grey, and label maps for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shanshui.storage import checkpoint
from shanshui.storage.size import Size

SIZE = Size(64, 128)
CLASSES = 3
Z = 8


def save_apf(path: Path, **data: Any) -> Path:
    """APF-GAN with noise in every SPADE layer; `data` replaces numbers of that section."""
    from shanshui.architectures.networks import build_generator
    from shanshui.backend.modules import gather
    from shanshui.backend.runtime import seed_everything
    from shanshui.training.precompilation_steps import SETTINGS

    seed_everything(0)
    settings: dict[str, Any] = {**SETTINGS, "parity": {**SETTINGS["parity"], "seg_noise_init": "xavier"}}
    generator = build_generator(settings, seg_noise=True)
    arrays = checkpoint.prefixed("G", gather(generator.G)) | checkpoint.prefixed("E", gather(generator.E))
    arrays = {n: a * 300 if "seg_noise_var.weight" in n else a for n, a in arrays.items()}
    size = {"width": SIZE.width, "height": SIZE.height}
    data = {**settings["data"], **size, "label_offset": 0, "ignore_label": None, **data}
    meta = {**settings, "data": data, "heads": 0, "seg_noise": True, "level": None, "alpha": 0.0}
    checkpoint.save(path, arrays, kind="generator", **meta)
    return path


def save_spade(path: Path, encoder: bool = True, **model: Any) -> Path:
    """SPADE from a style vector, of classes for which a file's 9 is no class; `model` replaces options."""
    from shanshui.architectures.networks import build_generator
    from shanshui.backend.modules import gather
    from shanshui.config.settings import merge, stage_settings, validate

    data: dict[str, Any] = {
        "classes": ["sky", "water", "tree"], "width": SIZE.width, "height": SIZE.height, "load_width": SIZE.width,
        "ignore_label": 9,
    }  # fmt: skip
    if model.get("edges") == "instance":
        data |= {"train_instances": "x", "test_instances": "y"}
    section = {"name": "spade", "z_dim": Z, "base_channels": 4, "spade_hidden": 8}
    sizes = {
        "generator": section | ({"style_encoder": {"base_channels": 2}} if encoder else {}),
        "discriminator": {"name": "multiscale", "count": 2, "base_channels": 8},
        "edges": "label",
    }
    settings = stage_settings(validate({"data": data, "model": merge(sizes, model)}), "finetune")
    generator, rng = build_generator(settings), np.random.default_rng(0)
    arrays = {
        n: a
        for letter, net in generator.networks().items()
        for n, a in checkpoint.prefixed(letter, gather(net)).items()
    }
    arrays = {
        name: rng.normal(0, 1 / np.sqrt(array[0].size), array.shape).astype(np.float32) if array.ndim > 1 else array
        for name, array in arrays.items()
    }
    meta = {name: settings[name] for name in ("data", "model", "parity", "preset", "seed")}
    facts = {**generator.declared.extra_header(), "level": None, "alpha": 0.0, "phase": "finetune", "epoch": 7}
    checkpoint.save(path, arrays, kind="generator", **meta, **facts)
    return path


def label_map(name: str) -> np.ndarray:
    """Class ids uint8 of `SIZE`, in squares of 8 pixels, another for every name."""
    rng = np.random.default_rng(list(name.encode()))
    return rng.integers(0, CLASSES, (SIZE.height // 8, SIZE.width // 8)).astype(np.uint8).repeat(8, 0).repeat(8, 1)


def save_label_maps(folder: Path, names: Iterable[str]) -> Path:
    """A PNG for each name."""
    folder.mkdir()
    for name in names:
        Image.fromarray(label_map(name)).save(folder / f"{name}.png")
    return folder
