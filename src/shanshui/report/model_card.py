"""Model cards: what a weights file is, what it was trained on and scored by, and how it is used, as Markdown.

The head is YAML as hubs of models read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from shanshui.report.wording import metric_title, model_name, number
from shanshui.synthesis.card import Card

NOT_RECORDED = "unknown"
KINDS = {"apf": "APF-GAN", "spade": "SPADE (GauGAN)", "clade": "CLADE", "clade_icpe": "CLADE-ICPE", "ccfpse": "CC-FPSE",
         "oasis": "OASIS", "pix2pixhd": "pix2pixHD", "inception_spade": "Inception SPADE (CAT)"}  # fmt: skip
SAMPLING = """\
import numpy as np
import onnxruntime
from PIL import Image

model = onnxruntime.InferenceSession("{onnx}")
labels = np.asarray(Image.open("labels.png"), np.uint8)[None]  # class ids{sides}
sides, rng = {{"N": 1, "H": labels.shape[1], "W": labels.shape[2]}}, np.random.default_rng(0)


def length(dim):
    name, _, step = str(dim).partition("/")
    return sides[name] // int(step or 1) if name in sides else int(dim)


feed = {{"labels": labels}}
for given in model.get_inputs()[1:]:
    feed[given.name] = rng.standard_normal([length(dim) for dim in given.shape], dtype=np.float32)
(images,) = model.run(["image"], feed)  # float32 (1, 3, H, W) in [-1, 1]
Image.fromarray(((images[0].transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)).save("landscape.png")"""
LOADING = """\
import shanshui

synthesizer = shanshui.load("{weights}")
label_map = synthesizer.read_label_map("labels.png")
images = synthesizer.generate(label_map, names="labels", seed=0)
shanshui.to_pil(images)[0].save("landscape.png")"""


@dataclass(frozen=True)
class ModelSize:
    """Size of a model.

    Attributes:
        parameters: trained ones, with the encoder's.
        file_bytes: of the weights file.
        macs: multiply-accumulates per image, dense; None where the weights name no image size.
        image: size of the images they are counted for.
    """

    parameters: int
    file_bytes: int
    macs: int | None = None
    image: str = ""


@dataclass(frozen=True)
class CardContent:
    """Everything a model card says.

    Attributes:
        name: of the model.
        card: description from the weights file.
        size: of the model.
        sha256: of the weights file.
        weights: its name.
        onnx: name of an ONNX file next to it, or "".
        onnx_inputs: names of that file's inputs.
        divisor: of which the sides of label maps are multiples.
        licence: identifier, or "unknown".
        note: on the training, or "".
        examples: file name of the example images, or "".
        scores: contents of score files.
    """

    name: str
    card: Card
    size: ModelSize
    sha256: str
    weights: str
    onnx: str = ""
    onnx_inputs: Sequence[str] = ()
    divisor: int = 1
    licence: str = NOT_RECORDED
    note: str = ""
    examples: str = ""
    scores: Sequence[Mapping[str, object]] = field(default_factory=tuple)


def card_text(content: CardContent) -> str:
    """Write the model card."""
    sections = [
        head(content), f"# {content.name}", introduction(content), *examples(content), "## Label maps",
        label_maps(content), "## Training", training(content), "## Scores", scores(content), "## Size",
        model_size(content), "## Licence", licence(content), "## Use", use(content),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def head(content: CardContent) -> str:
    """Write the YAML head."""
    entries: dict[str, object] = {
        "library_name": "shanshui",
        "license": content.licence,
        "pipeline_tag": "image-to-image",
        "tags": ["semantic-image-synthesis", "landscape", content.card.generator, *(["onnx"] if content.onnx else [])],
    }
    if results := [entry for score in content.scores for entry in index_entries(score)]:
        entries["model-index"] = [{"name": content.name, "results": results}]
    return f"---\n{yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)}---"


def index_entries(score: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the entries of the head's list of results for the sets of one score file."""
    found: list[dict[str, object]] = []
    for name, values in score_sets(score).items():
        metrics = [{"type": metric, "name": metric_title(metric), "value": float(value)} for metric, value, _ in values]
        found.append({
            "task": {"type": "image-to-image"}, "dataset": {"name": f"{name} label maps", "type": name},
            "metrics": metrics,
        })  # fmt: skip
    return found


def score_sets(score: Mapping[str, object]) -> dict[str, list[tuple[str, float, float | None]]]:
    """Return metric, value and standard error (None where it is not known) by set of images."""
    sets: dict[str, list[tuple[str, float, float | None]]] = {}
    listed = score["sets"]
    assert isinstance(listed, Mapping)
    for name, entry in listed.items():
        errors = entry.get("standard_errors", {})
        values = entry["metrics"].items()
        sets[name] = [(metric, value, errors.get(metric)) for metric, value in values if value is not None]
    return sets


def introduction(content: CardContent) -> str:
    """Say what the model is and where the file comes from."""
    card = content.card
    kind = KINDS.get(card.generator, card.generator)
    lines = [f"Semantic label maps to landscape photographs: the generator of {kind}, trained with shanshui (Jittor)."]
    if card.imported:
        lines = [f"Semantic label maps to photographs: the generator of {kind}, imported from another implementation."]
        lines += [f"\n* `{file}`, SHA-256 `{digest}`" for file, digest in card.imported.items()]
    elif card.averaged:
        epochs = ", ".join(str(one.get("epoch", "?")) for one in card.averaged)
        lines.append(f"Its weights are the mean of the checkpoints of epochs {epochs}.")
    elif card.teacher:
        long = f"{card.epoch} epoch{'' if card.epoch == 1 else 's'}"
        lines.append(f"It is a smaller network, trained for {long} on the images of `{card.teacher['file']}`.")
    elif card.epoch is not None:
        lines.append(f"Its weights are those after epoch {card.epoch}{f' ({card.phase})' if card.phase else ''}.")
    return " ".join(lines)


def examples(content: CardContent) -> list[str]:
    """Show the example images, if there are any."""
    return [f"![Label maps, and images generated from them]({content.examples})"] if content.examples else []


def label_maps(content: CardContent) -> str:
    """Explain the numbers in label maps."""
    data = content.card.data
    classes = data["classes"]
    assert isinstance(classes, list)
    size = f"{data['width']}x{data['height']}" if data.get("width") and data.get("height") else "not recorded"
    lines = [f"Images of one channel with class ids; width x height in training: {size}; sides are multiples of "
             f"{content.divisor}."]  # fmt: skip
    if offset := data.get("label_offset"):
        lines.append(f"In files, {offset} is added to a value to get its class id.")
    if data.get("ignore_label") is not None:
        lines.append(f"In files, {data['ignore_label']} is a pixel without a class.")
    return " ".join(lines) + "\n\n" + ", ".join(f"{number} {name}" for number, name in enumerate(classes)) + "."


def training(content: CardContent) -> str:
    """Show the recipe as it is in the file, after the note."""
    recipe, noted = content.card.recipe, f"{content.note}\n\n" if content.note else ""
    if not recipe:
        return f"{noted}The file holds no recipe."
    text = yaml.safe_dump(dict(recipe), sort_keys=True, allow_unicode=True, default_flow_style=None, width=100)
    said = f"Configuration, as recorded in the weights file (written by version `{content.card.code}`):"
    return f"{noted}{said}\n\n```yaml\n{text}```"


def scores(content: CardContent) -> str:
    """Write a table of scores for every score file, with the protocol they are measured by."""
    if not content.scores:
        return "None are given with these weights."
    blocks = []
    for score in content.scores:
        rows = ["| images of | metric | value | standard error |", "|---|---|--:|--:|"]
        for name, values in score_sets(score).items():
            rows += [
                f"| {name} label maps | {metric_title(metric)} | {number(value)} | "
                f"{'' if error is None else number(error)} |"
                for metric, value, error in values
            ]
        blocks.append("\n".join(rows) + "\n\n" + protocol(score))
    return "\n\n".join(blocks)


def protocol(score: Mapping[str, object]) -> str:
    """Say how the scores of one file were measured."""
    settings, described, real = score["settings"], score["features"], score["reference"]
    assert isinstance(settings, Mapping)
    assert isinstance(described, Mapping)
    assert isinstance(real, Mapping)
    model = f" of {model_name(str(score['model']))}" if score.get("model") else ""
    width, height = settings["size"]
    lines = [f"Measured on images{model} of {width}x{height} against {real.get('n') or 'their own'} photographs."]
    lines += [f"* {metric_title(metric)}: {text}" for metric, text in described.items()]
    return "\n".join([lines[0], "", *lines[1:]])


def model_size(content: CardContent) -> str:
    """Write the numbers of the model's size."""
    size, stored = content.size, f", {content.card.stored}" if content.card.stored else ""
    lines = [
        f"* parameters: {size.parameters:,}",
        f"* file: {size.file_bytes / 1e6:.1f} MB{stored}, SHA-256 `{content.sha256}`",
    ]
    if size.macs is not None:
        lines.append(f"* multiply-accumulates of one {size.image} image, dense: {size.macs / 1e9:.2f} G")
    return "\n".join(lines)


def licence(content: CardContent) -> str:
    """State the licence, or that none is recorded."""
    if content.licence != NOT_RECORDED:
        return f"`{content.licence}`."
    return (
        "Not recorded. The conditions of the training images and of weights that these were imported from apply; add "
        "`--licence` when the card is written, once they are known."
    )


def use(content: CardContent) -> str:
    """Show how to load the weights, and the ONNX file if there is one."""
    loading = LOADING.format(weights=content.weights)
    parts = [f"With shanshui, whose command `generate` takes folders of label maps:\n\n```python\n{loading}\n```"]
    if not content.onnx:
        return parts[0]
    random = [name for name in content.onnx_inputs[1:] if name.startswith("noise_") or name == "z"]
    if len(random) == len(content.onnx_inputs) - 1:
        sides = f", sides multiples of {content.divisor}" if content.divisor > 1 else ""
        snippet = SAMPLING.format(onnx=content.onnx, sides=sides)
        parts.append(f"Without it, with ONNX Runtime:\n\n```python\n{snippet}\n```")
    else:
        others = ", ".join(f"`{name}`" for name in content.onnx_inputs)
        parts.append(f"Without it, `{content.onnx}` runs in ONNX Runtime; its inputs are {others}.")
    return "\n\n".join(parts)
