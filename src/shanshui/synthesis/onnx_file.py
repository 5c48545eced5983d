"""ONNX files of generators and of their style encoders, from weights files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from shanshui.architectures.base import Generator
from shanshui.architectures.registry import generator_of
from shanshui.data.labels import Classes
from shanshui.data.palette import class_palette
from shanshui.errors import ShanshuiError, UsageError
from shanshui.export.graph import Dim, Graph
from shanshui.export.inputs import Inputs
from shanshui.storage.checkpoint import Checkpoint, Meta
from shanshui.storage.files import sha256
from shanshui.storage.provenance import code_version
from shanshui.storage.size import Size
from shanshui.synthesis.inputs import check_size

RANDOM = (
    "standard normal float32 numbers of NumPy: Generator(Philox(key=key)).standard_normal; the key is the first 16 "
    "bytes, little endian, of the SHA-256 of the text SEED, NUL, NAME, NUL, USE in UTF-8, where USE is i for noise_i, "
    "of shape (1, height, width), and z0 for z"
)
LABELS = "class ids in the order of `classes`; 255 where there is no class"


@dataclass(frozen=True)
class OnnxGenerator:
    """An ONNX file of a generator.

    Attributes:
        content: of the file.
        inputs: name -> lengths or names of the axes.
        noise_halvings: of each input noise_i in turn, how often the size of the label maps is halved.
        size: the only one it takes, or None.
    """

    content: bytes
    inputs: dict[str, tuple[Dim, ...]]
    noise_halvings: tuple[int, ...]
    size: Size | None


def generator_file(
    found: Checkpoint, source: Path, *, noise: bool = True, size: Size | None = None, half: bool = False
) -> OnnxGenerator:
    """Build the ONNX file of a generator; equal weights and arguments give equal bytes.

    Args:
        found: content of the weights file.
        source: the weights file.
        noise: random numbers are inputs (`noise_0` and so on, or `z`); without, they are left out, as by `seed=None`.
        size: the only one of its label maps; None leaves it open where the network allows it.
        half: store weights as float16.

    Raises:
        ShanshuiError: the weights generate images smaller than their label maps; an argument does not fit the network;
            or the file would be larger than the format allows.
    """
    declared = generator_of(found.meta, str(source))
    if found.meta["level"] is not None:
        raise ShanshuiError(
            f"{source} generates images smaller than its label maps (level {found.meta['level']} of pretraining)",
            "weights of the full size",
            "take a checkpoint of fine-tuning, or one from the end of pretraining",
        )
    if not noise and not declared.takes_noise:
        raise UsageError("--noise off", "weights whose images depend on random numbers", "leave it out")
    size = fixed_size(declared, size)
    graph = Graph(found.arrays, half)
    inputs = Inputs(
        graph, declared.num_classes, unknown_class=declared.unknown_class, edges=declared.edges, size=size, noise=noise
    )
    image = declared.add_to_onnx(graph, inputs)
    metadata = describe(found.meta, source, declared.name, half) | {"labels": LABELS}
    if any(name in graph.inputs for name in ("noise_0", "z")):
        metadata["random_numbers"] = RANDOM
    content = graph.model({"image": (image, ("N", 3, *inputs.sides(0)))}, metadata)
    return OnnxGenerator(content, graph.inputs, tuple(inputs.noise_halvings), size)


def fixed_size(declared: Generator, size: Size | None) -> Size | None:
    """Return the only size of the label maps: the network's own, or the one that is asked for; else None.

    Raises:
        ShanshuiError: the network cannot make the size that is asked for.
    """
    own = declared.onnx_size()
    if size:
        check_size(size, own, declared.divisor()[0])
    return own or size


def style_encoder_file(found: Checkpoint, source: Path, half: bool = False) -> bytes:
    """Build the ONNX file of a style encoder: `photograph` (N, 3, H, W) in [-1, 1] -> `z`.

    Raises:
        UsageError: the weights have none.
    """
    declared = generator_of(found.meta, str(source))
    if not (declared.has_style_encoder and found.part("E")):
        raise UsageError(f"--encoder with {source}", "weights that have a style encoder", "leave it out")
    from shanshui.architectures.spade_onnx import add_style_encoder

    graph = Graph(found.arrays, half)
    mean = add_style_encoder(graph)
    return graph.model({"z": (mean, ("N", declared.vector))}, describe(found.meta, source, "style encoder", half))


def describe(meta: Meta, source: Path, network: str, half: bool) -> dict[str, str]:
    """Return the metadata of an ONNX file: where it comes from, and what the numbers in label maps mean."""
    classes, data = Classes.of(meta["data"]), meta["data"]
    trained = Size(data["height"], data["width"]) if data["height"] and data["width"] else None
    return {
        "classes": json.dumps(classes.names, ensure_ascii=False),
        "palette": json.dumps(class_palette(list(classes.names)).tolist()),
        "network": network,
        "trained_size": str(trained or ""),
        "weights_sha256": sha256(source),
        "weights_type": "float16" if half else "float32",
        "shanshui": code_version(),
    }
