"""SegFormer weights as stored by Hugging Face's transformers: size from shapes, names of arrays, classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, cast

import numpy as np

from shanshui.architectures.converter import Converted, Converter, Given
from shanshui.data.ade20k import ADE20K, grouping
from shanshui.data.landscape_classes import CLASSES
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from shanshui.architectures.segmenters import SegmenterMeta

SIZE = Size(384, 512)  # to which images are resized, by default

SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {  # channels and blocks of the stages, head's width
    "B0": ((32, 64, 160, 256), (2, 2, 2, 2), 256),
    "B1": ((64, 128, 320, 512), (2, 2, 2, 2), 256),
    "B2": ((64, 128, 320, 512), (3, 4, 6, 3), 768),
    "B3": ((64, 128, 320, 512), (3, 4, 18, 3), 768),
    "B4": ((64, 128, 320, 512), (3, 8, 27, 3), 768),
    "B5": ((64, 128, 320, 512), (3, 6, 40, 3), 768),
}
HEADS, REDUCTIONS, MLP_RATIOS = (1, 2, 5, 8), (8, 4, 2, 1), (4, 4, 4, 4)  # of every size
EMBEDDINGS = tuple(f"segformer.encoder.patch_embeddings.{i}.proj.weight" for i in range(4))
CLASSIFIER = "decode_head.classifier.weight"
BLOCK = re.compile(r"segformer\.encoder\.block\.(\d+)\.(\d+)\.")
UNUSED = re.compile(r"^classifier\.|\.num_batches_tracked$")  # of classifying whole images; of training
NAMES = (
    (r"^stages\.(\d)\.embed\.proj\.", r"segformer.encoder.patch_embeddings.\1.proj."),
    (r"^stages\.(\d)\.embed\.norm\.", r"segformer.encoder.patch_embeddings.\1.layer_norm."),
    (r"^stages\.(\d)\.norm\.", r"segformer.encoder.layer_norm.\1."),
    (r"^stages\.(\d)\.blocks\.", r"segformer.encoder.block.\1."),
    (r"\.norm([12])\.", r".layer_norm_\1."),
    (r"\.attention\.(query|key|value)\.", r".attention.self.\1."),
    (r"\.attention\.reduce\.", ".attention.self.sr."),
    (r"\.attention\.reduce_norm\.", ".attention.self.layer_norm."),
    (r"\.attention\.output\.", ".attention.output.dense."),
    (r"\.feed\.widen\.", ".mlp.dense1."),
    (r"\.feed\.depthwise\.", ".mlp.dwconv.dwconv."),
    (r"\.feed\.narrow\.", ".mlp.dense2."),
    (r"^head\.project\.(\d)\.", r"decode_head.linear_c.\1.proj."),
    (r"^head\.fuse\.", "decode_head.linear_fuse."),
    (r"^head\.norm\.", "decode_head.batch_norm."),
    (r"^head\.classify\.", "decode_head.classifier."),
)  # fmt: skip


class SegFormerSizes(TypedDict):
    """Sizes of a SegFormer's stages and head, see `architectures.segformer.SegFormer`."""

    widths: list[int]
    depths: list[int]
    heads: list[int]
    reductions: list[int]
    mlp_ratios: list[int]
    decoder_width: int


def source_name(name: str) -> str:
    """Convert our name of an array to that of Hugging Face's transformers."""
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def recognise(state: Mapping[str, np.ndarray], source: str) -> tuple[str, int]:
    """Infer the size ("B0" to "B5") and the number of classes from a state dict.

    Raises:
        ShanshuiError: it is not that of a SegFormer for semantic segmentation.
    """
    if absent := [name for name in (*EMBEDDINGS, CLASSIFIER) if name not in state]:
        raise ShanshuiError(
            f"{source} has no {absent[0]}",
            "a SegFormer for semantic segmentation (B0 to B5) in the names of Hugging Face's transformers",
            "take pytorch_model.bin or model.safetensors of such a model",
        )
    *widths, outputs = ((state[name].shape or (0,))[0] for name in (*EMBEDDINGS, CLASSIFIER))
    blocks = {tuple(map(int, match.groups())) for name in state if (match := BLOCK.match(name))}
    depths = tuple(sum(stage == i for stage, _ in blocks) for i in range(len(EMBEDDINGS)))
    for size, (channels, counts, _) in SIZES.items():
        if (tuple(widths), depths) == (channels, counts):
            return size, outputs
    raise ShanshuiError(
        f"{source} has {tuple(widths)} channels and {depths} blocks in its stages",
        "; ".join(f"{size}: {channels} and {counts}" for size, (channels, counts, _) in SIZES.items()),
    )


def structure(size: str) -> SegFormerSizes:
    """Return the channels, blocks, heads, reductions and MLP ratios of the stages for a size ("B0" to "B5")."""
    widths, depths, decoder_width = SIZES[size]
    return {
        "widths": list(widths), "depths": list(depths), "heads": list(HEADS), "reductions": list(REDUCTIONS),
        "mlp_ratios": list(MLP_RATIOS), "decoder_width": decoder_width,
    }  # fmt: skip


def needed(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Select the arrays that segmentation needs: all but classification heads and training counters."""
    return {name: array for name, array in state.items() if not UNUSED.search(name)}


def convert(given: Given) -> Converted:
    """Convert a SegFormer to a segmenter of our classes.

    Raises:
        ShanshuiError: the arrays are not those of a SegFormer, or not of as many classes as were named.
        UsageError: no class is one of ADE20K.
    """
    from shanshui.architectures.segformer import build

    state, source = needed(given.states["S"]), given.files["S"]
    variant, trained = recognise(state, source)
    classes, size = list(given.classes or CLASSES), given.size or SIZE
    grouped, unknown = groups(classes, trained, source)
    meta = {
        "architecture": "segformer", "variant": variant, "model": structure(variant), "classes": classes,
        "grouping": grouped, "width": size.width, "height": size.height,
    }  # fmt: skip
    shapes = {name: tuple(var.shape) for name, var in build(cast("SegmenterMeta", meta)).state_dict().items()}
    try:
        checkpoint.check_keys(state, {source_name(name): shape for name, shape in shapes.items()}, source)
    except ShanshuiError as error:
        raise ShanshuiError(
            error.found, f"the {len(shapes)} arrays of a SegFormer-{variant}", "check the file"
        ) from None
    if broken := [name for name, array in state.items() if not np.isfinite(array).all()]:
        raise ShanshuiError(f"{source}: {broken[0]} holds numbers that are not finite", do="fetch the file again")
    lacking = f"ADE20K has no class of these names, they will never be seen: {', '.join(unknown)}"
    return Converted(
        {"S": {name: state[source_name(name)] for name in shapes}}, meta, notes=(lacking,) if unknown else ()
    )


def groups(classes: Sequence[str], trained: int, source: str) -> tuple[list[int], list[str]]:
    """Map each of the network's `trained` classes to a class id in label maps: by name for ADE20K, else one to one.

    Returns:
        The ids, and the names of `classes` that ADE20K does not have.

    Raises:
        ShanshuiError: the network has another number of classes.
        UsageError: no class is one of ADE20K.
    """
    if trained == len(classes) != len(ADE20K):
        return list(range(trained)), []
    if trained != len(ADE20K):
        raise ShanshuiError(
            f"{source} tells {trained} classes apart",
            f"the {len(ADE20K)} of ADE20K, or as many as --classes names ({len(classes)})",
        )
    found = grouping(classes)
    unknown = [name for number, name in enumerate(classes) if number not in found]
    if len(unknown) == len(classes):
        raise UsageError(f"no class of --classes is one of ADE20K: {', '.join(classes)}", ", ".join(ADE20K))
    return found, unknown


HUGGING_FACE = Converter(
    "SegFormer B0 to B5, trained on ADE20K or on your classes, of Hugging Face's transformers", convert,
    required="S", optional="", options=frozenset({"classes", "size"}), kind="segmenter",
)  # fmt: skip
