"""What a configuration's networks cost: parameters, multiply-accumulates, outputs that training keeps, time.

python -m shanshui model --config config.yaml [my.yaml] [--labels DIR] [--time]

Counting computes nothing and takes a second at any size. With label maps it also says what is left of the arithmetic
where SPADE layers compute on distinct patches, and how long a picture takes here.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from shanshui.errors import UsageError

MOST = 20  # label maps that are looked at
MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--config", required=True, nargs="+", metavar="YAML", help="later files are laid over earlier")
    parser.add_argument("--labels", type=Path, metavar="DIR", help=f"label maps, of which the first {MOST} are taken")
    parser.add_argument("--time", action="store_true", help="also generate these pictures, with untrained weights")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def read_label_maps(folder: Path, data: dict[str, Any]) -> np.ndarray:
    """The first label maps of a folder, uint8 (N, height, width)."""
    from shanshui import images
    from shanshui.data.labels import apply_label_rules
    from shanshui.data.pairs import find_images

    found = []
    for path in find_images(folder)[:MOST]:
        ids = images.resize_label_map(images.read_label_map(path), (data["width"], data["height"]))
        found.append(apply_label_rules(ids, len(data["classes"]), data["label_offset"], data["ignore_label"], path))
    if not found:
        raise UsageError(f"{folder} holds no label maps", "a folder of label maps")
    return np.stack(found)


def network_costs(settings: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Generator, encoder, and the costs of one picture by the names of the networks."""
    from shanshui.models.cost import cost
    from shanshui.networks import build_discriminator, build_generator
    from shanshui.runtime import load_jittor

    jt = load_jittor()
    data = settings["data"]
    width, height, num_classes = data["width"], data["height"], len(data["classes"])
    G, E = build_generator(settings, seg_noise=settings["finetune"]["seg_noise"], heads=0)
    D = build_discriminator(settings)
    segmap, photo = jt.zeros((1, num_classes, height, width)), jt.zeros((1, 3, height, width))
    encoded = E(segmap)
    return G, E, {
        "G": cost(G, lambda: G(encoded, segmap)),
        "E": cost(E, lambda: E(segmap)),
        "D": cost(D, lambda: D(segmap, photo)),
    }  # fmt: skip


def patch_shares(G: Any, label_maps: np.ndarray) -> dict[tuple[int, int], float]:
    """Distinct 3x3 patches per pixel, the mean over the label maps, at the sizes where they are used."""
    from shanshui.patches import patch_pyramid

    sizes = G.patch_sizes(*label_maps.shape[1:])
    shares: dict[tuple[int, int], list[float]] = {size: [] for size in sizes}
    for label_map in label_maps:
        pyramid = patch_pyramid(label_map[None], sizes)
        for size in sizes:
            used = len(pyramid[size].labels) / (size[0] * size[1]) if size in pyramid else 1.0
            shares[size].append(used)
    return {size: float(np.mean(found)) for size, found in shares.items()}


def seconds_per_picture(G: Any, E: Any, label_maps: np.ndarray, num_classes: int) -> float:
    """Wall seconds of a picture, after one that is not timed: it compiles and warms up."""
    from shanshui.generation import generate_batch

    G.eval(), E.eval()
    names = [str(i) for i in range(len(label_maps))]
    seed = 0 if G.seg_noise else None
    generate_batch(G, E, label_maps[:1], num_classes, names[:1], seed)
    start = time.perf_counter()
    for i, name in enumerate(names):
        generate_batch(G, E, label_maps[i : i + 1], num_classes, [name], seed)
    return (time.perf_counter() - start) / len(names)


def table(found: dict[str, Any]) -> str:
    """For people."""
    lines = [f"one picture of {found['size'][0]}x{found['size'][1]}, {found['classes']} classes", ""]
    lines.append(f"{'':10}{'parameters':>14}{'GMACs':>10}{'kept by training, MiB':>24}")
    for name, row in found["networks"].items():
        kept = row["outputs"] * 4 / MIB
        lines.append(f"{name:10}{row['parameters']:>14,}{row['macs'] / 1e9:>10.2f}{kept:>24.0f}")
    if "on_patches" in found:
        spared = found["networks"]["G"]["macs"] / found["on_patches"]
        lines += [
            "",
            f"G on distinct patches of labels: {found['on_patches'] / 1e9:.2f} GMACs, {spared:.1f} times fewer",
        ]
    if "seconds" in found:
        lines += [f"E and G on this machine: {found['seconds']:.2f} s a picture"]
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Count, look at the label maps, and print."""
    from shanshui.settings import load_config, stage_settings

    if args.time and not args.labels:
        raise UsageError("--time without --labels", "label maps: how long a picture takes depends on them")
    settings = stage_settings(load_config(args.config), "finetune")
    data = settings["data"]
    label_maps = read_label_maps(args.labels, data) if args.labels else None
    G, E, costs = network_costs(settings)
    rows = {name: {"parameters": c.parameters, "macs": c.macs, "outputs": c.outputs} for name, c in costs.items()}
    found: dict[str, Any] = {
        "size": [data["width"], data["height"]], "classes": len(data["classes"]), "networks": rows,
    }  # fmt: skip
    if label_maps is not None:
        found["on_patches"] = costs["G"].on_patches(patch_shares(G, label_maps))
        if args.time:
            found["seconds"] = seconds_per_picture(G, E, label_maps, len(data["classes"]))
    print(json.dumps(found, indent=1) if args.json else table(found))
