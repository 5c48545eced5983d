"""Second implementations in numpy, for outputs that are kept: the built-in segmenter from its published graph, and the
convolutions of torchvision's VGG16, VGG19 and AlexNet under the rule's weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import golden_rule
import numpy as np

VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions of 3x3 between poolings of 2x2
WIDTHS = (64, 128, 256, 512, 512)
ALEXNET = ((64, 11, 4, 2), (), (192, 5, 1, 2), (), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))


def layers(net: str) -> list[tuple[int, ...]]:
    """Outputs, kernel, stride and padding of each convolution; a pooling is an empty one."""
    if net == "alexnet":
        return [*ALEXNET]
    blocks = zip(VGG[net], WIDTHS, strict=True)
    return [layer for count, width in blocks for layer in ((), *[(width, 3, 1, 1)] * count)][1:]


def shapes(net: str) -> dict[str, tuple[int, ...]]:
    """Of its weights, by torchvision's names: every convolution is followed by a ReLU that has a number too."""
    found: dict[str, tuple[int, ...]] = {}
    number, channels = 0, 3
    for layer in layers(net):
        if layer:
            found |= {f"features.{number}.weight": (layer[0], channels, layer[1], layer[1])}
            found |= {f"features.{number}.bias": (layer[0],)}
            channels = layer[0]
        number += 2 if layer else 1
    return found


def features(net: str, x: np.ndarray) -> dict[str, np.ndarray]:
    """(N, 3, h, w) as the network sees it -> the outputs of its ReLUs: `relu3_2`, or `relu3` of AlexNet."""
    weights = iter(golden_rule.fill(shapes(net), gain=2**0.5).values())
    found, block, within = {}, 1, 0
    for layer in layers(net):
        if not layer:
            kernel = 3 if net == "alexnet" else 2
            window = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::2, ::2]
            x, block, within = window.max((4, 5)), block + 1, 0
            continue
        _, kernel, stride, padding = layer
        wide = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
        window = np.lib.stride_tricks.sliding_window_view(wide, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]
        total = np.einsum("ocij,nchwij->nohw", next(weights), window, optimize=True)
        x, within = np.maximum(total + next(weights)[:, None, None], 0), within + 1
        found[f"relu{len(found) + 1}" if net == "alexnet" else f"relu{block}_{within}"] = x
    return found


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
