"""The built-in segmenter in numpy, from its published graph: a second implementation, for its stored outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def evaluate(folder: Path, images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) -> logits, float32 (N, H, W, 32), by `graph.json` and `weights.npz` of a folder."""
    steps = json.loads((folder / "graph.json").read_text())["ops"]
    with np.load(folder / "weights.npz") as file:
        arrays = dict(file)
    return np.stack([_one(steps, arrays, image)[0].transpose(1, 2, 0) for image in images])


def _one(steps: list[dict[str, Any]], arrays: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    found = {0: (image.transpose(2, 0, 1) / np.float32(127.5) - np.float32(1))[None]}
    size = image.shape[:2]
    for step in steps:
        inputs = [found[number] for number in step["in"]]
        match step["op"]:
            case "conv" | "dw":
                out = _convolve(inputs[0], step, arrays)
            case "add":
                out = inputs[0] + inputs[1]
            case "concat":
                out = np.concatenate(inputs, 1)
            case "global_mean":
                out = inputs[0].mean((2, 3), keepdims=True)
            case _:
                out = _resize(inputs[0], size[0] // step["divide"], size[1] // step["divide"])
        found[step["out"]] = out
    return out


def _convolve(x: np.ndarray, step: dict[str, Any], arrays: dict[str, np.ndarray]) -> np.ndarray:
    layer, stride, dilation = step["layer"], step["stride"], step["dilation"]
    weight = arrays[f"{layer}.weight"] * arrays[f"{layer}.scale"].reshape(-1, 1, 1, 1)
    sides, reach = x.shape[2:], [(kernel - 1) * dilation for kernel in weight.shape[2:]]
    outs = [-(-side // stride) for side in sides]
    pads = [max((n - 1) * stride + far + 1 - side, 0) for n, far, side in zip(outs, reach, sides, strict=True)]
    wide = np.pad(x, [(0, 0), (0, 0), *((pad // 2, pad - pad // 2) for pad in pads)])
    total = np.zeros((1, len(weight), *outs), np.float32)
    last = [(n - 1) * stride + 1 for n in outs]
    for row, column in np.ndindex(*weight.shape[2:]):
        top, left, tap = row * dilation, column * dilation, weight[:, :, row, column]
        seen = wide[:, :, top : top + last[0] : stride, left : left + last[1] : stride]
        if step["op"] == "dw":
            total += seen * tap[:, 0, None, None]
        else:
            total += np.einsum("oc,nchw->nohw", tap, seen, optimize=True)
    total += arrays[f"{layer}.bias"][:, None, None]
    highest = {"relu": np.inf, "relu6": 6}.get(step["act"])
    return total if highest is None else np.clip(total, 0, highest)


def _resize(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear from the corner on: output i takes from input i * n_in / n_out."""
    for axis, n in ((2, height), (3, width)):
        last = x.shape[axis] - 1
        place = np.arange(n) * np.float32(x.shape[axis] / n)
        low = place.astype(int)
        share = (place - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(4)])
        x = x.take(low, axis) * (1 - share) + x.take(np.minimum(low + 1, last), axis) * share
    return x
