"""SegFormer weights as stored by Hugging Face's transformers: size from shapes, names of arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from shanshui.errors import ShanshuiError

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
