"""A tiny teacher with the files of a run around it, for tests of the stage `compress`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from small_weights import CLASSES, SIZE, label_map, save_apf, save_spade

from shanshui.config.settings import merge, stage_settings, validate
from shanshui.storage import checkpoint
from shanshui.storage.files import write_json

NAMES = ["a", "b", "c", "d"]
MARGIN = 8  # pixels around the crop
CONFIG: dict[str, Any] = {
    "seed": 3,
    "data": {
        "classes": [str(i) for i in range(CLASSES)], "width": SIZE.width, "height": SIZE.height,
        "load_width": SIZE.width + 2 * MARGIN,
    },
    "model": {
        "generator": {"name": "apf", "base_channels": 4, "halvings": 5, "spade_hidden": 8},
        "discriminator": {"name": "progressive", "base_channels": 8, "count": 3},
    },
    "finetune": {"reconstruction": 1.0, "perceptual": {"net": "none"}},
    "compress": {
        "shares": [0.6], "epochs": 2, "batch": 2, "lr": 2e-3, "reconstruction": 10.0, "perceptual": {"net": "none"},
    },
}  # fmt: skip


STYLES: dict[str, Any] = {  # of `small_weights.save_spade`
    **CONFIG,
    "data": {"classes": ["sky", "water", "tree"], "width": SIZE.width, "height": SIZE.height,
             "load_width": SIZE.width + 2 * MARGIN, "ignore_label": 9},
    "model": {
        "generator": {
            "name": "spade", "z_dim": 8, "base_channels": 4, "spade_hidden": 8, "style_encoder": {"base_channels": 2},
        },
        "discriminator": {"name": "multiscale", "count": 2, "base_channels": 8},
        "edges": "label",
    },
}  # fmt: skip


def save_run(folder: Path, config: Mapping[str, Any] = CONFIG) -> Path:
    """Write a teacher, a training state with its discriminator, and training pairs."""
    from shanshui.architectures.networks import build_discriminator
    from shanshui.backend.modules import gather

    folder.mkdir(parents=True, exist_ok=True)
    (save_spade if config is STYLES else save_apf)(folder / "epoch_007.safetensors")
    settings = stage_settings(validate(config), "finetune")
    checkpoint.save(
        folder / "state.safetensors", checkpoint.prefixed("D", gather(build_discriminator(settings).D)), kind="state"
    )
    room = ((0, 0), (0, SIZE.height // SIZE.width * 2 * MARGIN + MARGIN), (0, 2 * MARGIN))
    maps = np.pad(np.stack([label_map(name) for name in NAMES]), room, mode="edge")
    rng = np.random.default_rng(0)
    colours = np.array([[200, 80, 60], [70, 190, 90], [60, 90, 210]])[maps]
    np.save(folder / "photos.npy", np.clip(colours + rng.normal(0, 9, colours.shape), 0, 255).astype(np.uint8))
    np.save(folder / "label_maps.npy", maps)
    return folder


def command(
    run: Path, out: Path, *more: str, share: float = 0.6, config: Mapping[str, Any] = CONFIG, **compress: Any
) -> list[str]:
    """Return the command line of the stage, after writing its settings next to `out`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    settings = stage_settings(validate(merge(config, {"compress": compress})), "compress")
    write_json(out.with_suffix(".settings.json"), settings)
    given = {
        "settings": out.with_suffix(".settings.json"), "teacher": run / "epoch_007.safetensors", "share": share,
        "photos": run / "photos.npy", "label-maps": run / "label_maps.npy", "weights": out,
        "resume": out.with_suffix(".states"),
    }  # fmt: skip
    if settings["compress"]["photographs"]:
        given["discriminator"] = run / "state.safetensors"
    return ["compress", *(f"--{name}={value}" for name, value in given.items()), *more]
