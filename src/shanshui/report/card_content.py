"""What a model card says, read from a weights file, score files and label maps; and its example images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from shanshui.data.labels import Classes
from shanshui.data.palette import class_palette
from shanshui.errors import UsageError
from shanshui.report.model_card import NOT_RECORDED, CardContent, ModelSize
from shanshui.report.sheet import evenly_spaced, strip
from shanshui.storage import images
from shanshui.storage.files import read_json, sha256
from shanshui.storage.size import Size
from shanshui.synthesis.generation_inputs import instance_maps, label_files
from shanshui.synthesis.onnx_check import made_label_maps
from shanshui.synthesis.synthesizer import Synthesizer

COLUMNS = 4  # of the example images
SIDE = 4  # of example images of weights without a size, in multiples of the network's divisor


def read_scores(files: Sequence[Path]) -> list[dict[str, object]]:
    """Read score files.

    Raises:
        ShanshuiError: one is something else.
    """
    found = []
    for file in files:
        score = read_json(file)
        if not (isinstance(score, dict) and score.keys() >= {"sets", "features", "reference", "settings"}):
            raise UsageError(f"{file} is no score file", "a file that `python -m shanshui score --out` wrote")
        found.append(json.loads(json.dumps(score)))
    return found


def card_content(
    weights: Path, *, name: str = "", licence: str = NOT_RECORDED, note: str = "", scores: Sequence[Path] = (),
    examples: str = "", as_file: str = "",
) -> CardContent:  # fmt: skip
    """Collect what a card says of a weights file.

    Args:
        weights: the file.
        name: of the model; by default the file's.
        licence: its identifier.
        note: on the training, what the file does not record.
        scores: score files.
        examples: file name of the example images, if the card shows any.
        as_file: name under which the card's readers find the weights; by default the file's own.

    Raises:
        ShanshuiError: a file cannot be read.
    """
    synthesizer = Synthesizer.load(weights)
    counted = synthesizer.cost(synthesizer.size or example_size(synthesizer.multiple))
    size = ModelSize(
        counted.parameters, weights.stat().st_size, counted.macs if synthesizer.size else None,
        str(synthesizer.size or ""),
    )  # fmt: skip
    return CardContent(
        name or weights.stem, replace(synthesizer.card, source=weights.name), size, sha256(weights),
        as_file or weights.name, divisor=synthesizer.multiple, licence=licence, note=note, examples=examples,
        scores=read_scores(scores),
    )  # fmt: skip


def example_size(divisor: int) -> Size:
    """Return the size of example images of weights that do not name one."""
    return Size(SIDE * divisor, SIDE * divisor)


def example_images(weights: Path, labels: Path | None, seed: int = 0) -> np.ndarray:
    """Generate a sheet of label maps and their images, uint8 (H, W, 3).

    Args:
        weights: the file.
        labels: folder or manifest, of which some are taken; None draws label maps.
        seed: of the noise.

    Raises:
        ShanshuiError: a file cannot be read, or label maps do not fit the weights.
    """
    synthesizer = Synthesizer.load(weights)
    if labels:
        files = evenly_spaced(label_files(labels), COLUMNS)
        names, maps = [one.name for one in files], [synthesizer.read_label_map(one.label) for one in files]
        found = instance_maps(synthesizer.accepts, files, given=False)
        instances = [synthesizer.read_instance_map(found[one.label], ids) if found else None
                     for one, ids in zip(files, maps, strict=True)]  # fmt: skip
    else:
        size = synthesizer.size or example_size(synthesizer.multiple)
        maps = list(made_label_maps(Classes(synthesizer.classes.names), size))[:2]
        names = ["squares", "regions"]
        instances = [ids if synthesizer.accepts.instances else None for ids in maps]
    palette = class_palette(list(synthesizer.classes.names))
    made = [
        images.to_uint8(synthesizer.generate(ids, name, seed, instances=numbers)[0])
        for ids, name, numbers in zip(maps, names, instances, strict=True)
    ]
    coloured = [images.colour_label_map(ids, palette) for ids in maps]
    return strip([("label map", coloured), ("image", made)])
