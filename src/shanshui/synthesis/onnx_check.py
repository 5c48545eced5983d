"""Comparison of an ONNX file's images, computed by ONNX Runtime, with those of the weights it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.noise_source import image_noise, image_style
from shanshui.backend.lazy import jt
from shanshui.data.labels import NO_CLASS, Classes
from shanshui.errors import ShanshuiError
from shanshui.export.graph import Name, optional
from shanshui.storage.size import Size
from shanshui.synthesis.onnx_file import OnnxGenerator
from shanshui.synthesis.synthesizer import Synthesizer

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from shanshui.architectures.generator_networks import BuiltGenerator

TOLERANCE, HALF_TOLERANCE = 1e-4, 2e-2  # of values in [-1, 1]
SEED, BLOCK = 7, 8  # BLOCK: side of the squares of the random label map


def session(content: bytes) -> InferenceSession:
    """Open an ONNX file with ONNX Runtime on the CPU.

    Raises:
        ShanshuiError: ONNX Runtime is not installed.
    """
    runtime = optional("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    found: InferenceSession = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return found


def sizes_to_check(found: OnnxGenerator, divisor: int) -> list[Size]:
    """Return two small sizes of label maps, or the only one that the file takes."""
    return [found.size] if found.size else [Size(2 * divisor, 3 * divisor), Size(3 * divisor, 2 * divisor)]


def made_label_maps(classes: Classes, size: Size) -> np.ndarray:
    """Draw three label maps, uint8 (3, H, W): random squares, regions below a horizon, one class but for a square.

    Not a single class: instance norm divides what reflected borders leave constant by nothing but rounding errors.
    """
    rng, count = np.random.default_rng(0), len(classes.names)
    coarse = rng.integers(0, count, (-(-size.height // BLOCK), -(-size.width // BLOCK))).astype(np.uint8)
    squares = coarse.repeat(BLOCK, 0).repeat(BLOCK, 1)[: size.height, : size.width]
    if classes.no_class is not None:
        squares[:BLOCK, -BLOCK:] = NO_CLASS
    rows, columns = np.indices(size)
    horizon = size.height * (0.45 + 0.1 * np.sin(columns / size.width * 7))
    regions = np.where(rows < horizon, 0, 1 % count)
    regions[np.hypot(rows / size.height - 0.8, columns / size.width - 0.4) < 0.15] = 2 % count
    plain = np.full(size, count - 1)
    plain[-BLOCK:, :BLOCK] = 0
    return np.stack([squares, regions, plain]).astype(np.uint8)


def feeds(
    found: OnnxGenerator, generator: BuiltGenerator, label_maps: np.ndarray, names: Sequence[str],
    instances: np.ndarray | None,
) -> dict[Name, np.ndarray]:  # fmt: skip
    """Compute the inputs of the file for named label maps, uint8 (N, H, W), with random numbers by (`SEED`, name)."""
    extra = generator.declared.extra_inputs(generator.classes(label_maps), instances)
    given = {"labels": label_maps, **{name: array for name, array in extra.items() if name in found.inputs}}
    if "z" in found.inputs:
        given["z"] = np.stack([image_style(SEED, name, generator.declared.vector) for name in names])
    for number, halvings in enumerate(found.noise_halvings):
        sides = Size.of_maps(label_maps).divided(2**halvings)
        given[f"noise_{number}"] = np.stack([image_noise(SEED, name, number, *sides) for name in names])
    return given


def largest_difference(
    found: OnnxGenerator, generator: BuiltGenerator, classes: Classes, more: Sequence[np.ndarray] = ()
) -> float:
    """Compare images of made label maps at two sizes, two of them in one batch, and of `more`; values are in [-1, 1].

    Args:
        found: the ONNX file.
        generator: the networks of the weights, in evaluation mode.
        classes: of the label maps.
        more: label maps uint8 (H, W) of sizes that the network takes.

    Raises:
        ShanshuiError: ONNX Runtime is not installed.
    """
    run, synthesizer = session(found.content), Synthesizer(generator, classes, None)
    random = "z" in found.inputs or bool(found.noise_halvings)
    seed = SEED if random else None
    batches = [label_map[None] for label_map in more]
    for size in sizes_to_check(found, generator.declared.divisor()[0]):
        made = made_label_maps(classes, size)
        batches += [made[:2], made[2:]]
    differences = []
    for number, batch in enumerate(batches):
        names = [f"{number}-{index}" for index in range(len(batch))]
        instances = batch if generator.declared.instances else None
        (images,) = run.run(["image"], feeds(found, generator, batch, names, instances))
        wanted = synthesizer.generate(batch, names, seed, instances=instances)
        differences.append(float(np.abs(images - wanted).max()))
    return max(differences)


def encoder_difference(content: bytes, generator: BuiltGenerator) -> float:
    """Compare the styles that an ONNX file and the weights' encoder compute of two made photographs, relatively."""
    photographs = np.random.default_rng(0).uniform(-1, 1, (2, 3, 12, 16)).repeat(16, 2).repeat(16, 3).astype(np.float32)
    (styles,) = session(content).run(["z"], {"photograph": photographs})
    encoder = generator.style_encoder
    assert encoder is not None
    with jt.no_grad():
        wanted = encoder(jt.array(photographs))[0].numpy()
    return float(np.abs(styles - wanted).max() / max(1.0, np.abs(wanted).max()))


def check(difference: float, half: bool, what: str = "images") -> None:
    """Check that `what` differ by no more than rounding explains.

    Raises:
        ShanshuiError: they do; no file is written then.
    """
    allowed = HALF_TOLERANCE if half else TOLERANCE
    if not difference <= allowed:
        raise ShanshuiError(
            f"{what} of the ONNX file differ from those of the weights by up to {difference:.2g}",
            f"at most {allowed:.2g}, in values from -1 to 1",
            "leave out --half" if half else "report it with the weights' generator and options",
        )
