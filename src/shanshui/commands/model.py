"""Report the cost of a configuration's networks: parameters, multiply-accumulates, activations, time.

python -m shanshui model --config config.yaml [my.yaml] [--size 256x192 512x384] [--labels DIR] [--time]
python -m shanshui model --config config.yaml --share 0.25 0.1

Counting runs no forward pass and takes a second at any size. With label maps it also reports the remaining arithmetic
when SPADE layers compute on distinct patches, and the time per image on this machine. With
shares it also reports, for each, the widest generator of the same architecture that takes at most that share of the
generator's multiply-accumulates.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np

from shanshui.config.schema import Config
from shanshui.config.training_settings import TrainingConfig
from shanshui.config.typed_settings import DataSettings
from shanshui.errors import UsageError
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from shanshui.architectures.generator_networks import BuiltGenerator
    from shanshui.nn.cost import Cost

MOST = 20  # label maps that are looked at
MIB = 2**20


class NetworkCost(TypedDict):
    """Cost of a network for one image: parameters, multiply-accumulates, outputs of its layers that training keeps."""

    parameters: int
    macs: int
    outputs: int


class Student(TypedDict):
    """The widest generator whose multiply-accumulates are at most a share of the configured one's.

    Attributes:
        asked: the share.
        options: those of its widths.
        parameters: trained parameters.
        macs: multiply-accumulates of an image.
        share: its own.
    """

    asked: float
    options: dict[str, object]
    parameters: int
    macs: int
    share: float


class Report(TypedDict):
    """Report of a configuration, printed as JSON.

    Attributes:
        size: width and height of the images.
        classes: number of classes.
        networks: by letter.
        on_patches: multiply-accumulates of G on distinct patches of label maps.
        students: narrower generators, by share of the cost.
        seconds: wall time of an image.
    """

    size: list[int]
    classes: int
    networks: dict[str, NetworkCost]
    on_patches: NotRequired[float]
    students: NotRequired[list[Student]]
    seconds: NotRequired[float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--config", required=True, nargs="+", metavar="YAML", help="later files override earlier ones")
    parser.add_argument("--size", type=Size.parse, nargs="+", metavar="WxH", help="sizes; default: the configuration's")
    parser.add_argument("--labels", type=Path, metavar="DIR", help=f"label maps, of which the first {MOST} are taken")
    parser.add_argument("--time", action="store_true", help="also generate these images, with untrained weights")
    parser.add_argument(
        "--share", type=float, nargs="+", default=[], metavar="S", help="report generators that take shares of its cost"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def read_label_maps(folder: Path, data: DataSettings) -> np.ndarray:
    """Read the first label maps of a folder at the configured size, uint8 class ids (N, H, W)."""
    from shanshui.data.listing import find_images
    from shanshui.storage import images

    classes, found = data.labels, []
    for path in find_images(folder)[:MOST]:
        ids = images.read_label_map(path, data.size)
        found.append(classes.ids(ids, path))
    if not found:
        raise UsageError(f"{folder} holds no label maps", "a folder of label maps")
    return np.stack(found)


def network_costs(config: TrainingConfig) -> tuple[BuiltGenerator, dict[str, Cost]]:
    """Build the networks, and count the costs of one image per network (by letter)."""
    from shanshui.architectures.network_cost import discriminator_cost, generator_costs
    from shanshui.architectures.networks import init_discriminator, init_generator

    size = config.data.size
    generator = init_generator(config.networks.generator, config.options.seg_noise)
    discriminator = init_discriminator(config.networks.discriminator)
    costs = generator_costs(generator, size)
    return generator, {**costs, "D": discriminator_cost(discriminator.declared, discriminator.D, size)}


def seconds_per_image(generator: BuiltGenerator, label_maps: np.ndarray, data: DataSettings) -> float:
    """Measure the wall time of an image in seconds, after one that compiles the kernels and is not timed."""
    from shanshui.synthesis.synthesizer import Synthesizer

    for network in generator.networks().values():
        network.eval()
    synthesizer = Synthesizer(generator, data.labels, data.size)
    instances = label_maps if synthesizer.accepts.instances else [None] * len(label_maps)
    synthesizer.generate(label_maps[0], instances=instances[0])
    start = time.perf_counter()
    for i, (ids, numbers) in enumerate(zip(label_maps, instances, strict=True)):
        synthesizer.generate(ids, str(i), instances=numbers)
    return (time.perf_counter() - start) / len(label_maps)


def cost_table(found: Report) -> str:
    """Format the report as a table."""
    lines = [f"one image of {Size.of_width_first(found['size'])}, {found['classes']} classes", ""]
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
    if "students" in found:
        lines += ["", f"{'G of share':<12}{'options':36}{'parameters':>14}{'GMACs':>10}"]
    for student in found.get("students", []):
        options = ", ".join(f"{name}: {value}" for name, value in student["options"].items())
        asked, parameters, macs = student["asked"], student["parameters"], student["macs"] / 1e9
        lines.append(f"{asked:<12g}{options:36}{parameters:>14,}{macs:>10.2f}")
    if "seconds" in found:
        lines += [f"On this machine: {found['seconds']:.2f} s an image"]
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Report the costs of the networks at each size."""
    from shanshui.config.settings import load_config, stage_settings

    if args.time and not args.labels:
        raise UsageError("--time without --labels", "label maps: how long an image takes depends on them")
    config = load_config(args.config)
    configs = [at_size(config, size) for size in args.size] if args.size else [config]
    found = [
        report(TrainingConfig.of(stage_settings(each, "finetune"), "finetune"), args.labels, args.time, args.share)
        for each in configs
    ]
    print(json.dumps(found, indent=1) if args.json else "\n\n".join(map(cost_table, found)))


def at_size(config: Config, size: Size) -> Config:
    """Return the configuration for images of another size.

    Raises:
        UsageError: the networks cannot halve its sides.
    """
    from shanshui.config.settings import merge, validate

    data = {"width": size.width, "height": size.height, "load_width": size.width}
    return validate(merge(config.model_dump(), {"data": data}), f"--size {size}")


def students(config: TrainingConfig, shares: Sequence[float]) -> list[Student]:
    """Find the widest generator for each share of the configured one's cost.

    Raises:
        ShanshuiError: there is none.
    """
    from shanshui.architectures.narrowing import narrow

    generator = config.networks.generator.in_phase(0, config.options.seg_noise)
    rows: list[Student] = []
    for share in shares:
        found = narrow(generator, share, config.data.size)
        section = found.declared.section()
        options: dict[str, object] = {
            name: section[name] for name in ("base_channels", "spade_hidden") if name in section
        }
        rows.append({
            "asked": share, "options": options, "parameters": found.cost.parameters, "macs": found.cost.macs,
            "share": found.share,
        })  # fmt: skip
    return rows


def report(config: TrainingConfig, labels: Path | None, timed: bool, shares: Sequence[float] = ()) -> Report:
    """Compute the costs of the networks and, with label maps, those on distinct patches and the time per image."""
    data = config.data
    label_maps = read_label_maps(labels, data) if labels else None
    generator, costs = network_costs(config)
    rows: dict[str, NetworkCost] = {
        name: {"parameters": c.parameters, "macs": c.macs, "outputs": c.outputs} for name, c in costs.items()
    }
    found: Report = {
        "size": list(data.size.width_first), "classes": len(data.classes), "networks": rows,
    }  # fmt: skip
    if shares:
        found["students"] = students(config, shares)
    if label_maps is not None:
        from shanshui.architectures.network_cost import patch_shares

        if used := patch_shares(generator, label_maps):
            found["on_patches"] = costs["G"].on_patches(used)
        if timed:
            found["seconds"] = seconds_per_image(generator, label_maps, data)
    return found
