"""The archive of a drawing: label map, coloured label map, image, and a record of how to generate it again."""

from __future__ import annotations

import io
import json
import shlex
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.data.labels import Classes
from shanshui.errors import ShanshuiError
from shanshui.painting.frames import Job
from shanshui.painting.ready_styles import ready_photograph
from shanshui.storage import images

NAME = "paint"  # of the image: noise depends on it and on the seed
LABEL_MAP, RECORD = f"{NAME}_label.png", f"{NAME}.json"


def encoded(pixels: np.ndarray, form: str) -> bytes:
    """Encode uint8 (H, W, 3) or (H, W) as "png", or as "jpeg" of quality 95 with full colour resolution."""
    out = io.BytesIO()
    if form == "jpeg":
        Image.fromarray(pixels).save(out, "JPEG", quality=95, subsampling="4:4:4")
    else:
        Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def file_values(ids: np.ndarray, classes: Classes) -> np.ndarray:
    """Convert class ids to the values of label map files of these weights: the inverse of `Classes.ids`.

    Raises:
        ShanshuiError: a value does not fit into 8 bits, or would be read as another class.
    """
    raw = ids.astype(np.int32) - classes.label_offset
    if classes.ignore_label is not None:
        raw[ids == classes.no_class] = classes.ignore_label
    if raw.min() < 0 or raw.max() > 255 or (classes.ids(raw.astype(np.uint8)) != ids).any():
        raise ShanshuiError(
            "these class ids cannot be written as a label map of 8 bits", "other values of data.label_offset"
        )
    return raw.astype(np.uint8)


@dataclass(frozen=True)
class Origin:
    """The weights an image is from: file, SHA-256, generator and version of this package."""

    weights: str
    sha256: str
    generator: str
    version: str


def photograph_file(style: str) -> str:
    """Return the file name of a style's photograph."""
    return f"photograph-{style}"


def command(origin: Origin, job: Job, default_size: bool) -> str:
    """Return shell commands that generate the image again from the archive's label map, as out/paint.png."""
    words = ["python", "-m", "shanshui", "generate", "--weights", origin.weights, "--labels", "labels", "--out", "out"]
    words += ["--seed", str(job.seed)] + ([] if default_size else ["--size", f"{job.width}x{job.height}"])
    if job.styles:
        words += ["--style", *map(photograph_file, job.style_names)]
        words += ["--blend", repr(job.blend)] if len(job.styles) == 2 else []
    return f"mkdir -p labels && cp {LABEL_MAP} labels/{NAME}.png && {shlex.join(words)}"


def archive(
    ids: np.ndarray, image: np.ndarray, palette: np.ndarray, classes: Classes, origin: Origin, job: Job,
    seconds: float, default_size: bool,
) -> bytes:  # fmt: skip
    """Pack paint_label.png, paint_colour.png, paint.png and paint.json, and the photographs of ready-made styles.

    Args:
        ids: class ids uint8 (H, W).
        image: float32 (3, H, W) in [-1, 1].
        palette: uint8 (classes, 3).
        classes: of the weights.
        origin: of the image.
        job: with size, seed and styles.
        seconds: that the image took.
        default_size: the size is that of the weights.
    """
    record = {
        "version": origin.version, "weights": Path(origin.weights).name, "weights_sha256": origin.sha256,
        "model": origin.generator, "width": job.width, "height": job.height, "seed": job.seed, "name": NAME,
        "style": {"photographs": job.style_names, "blend": job.blend, "vectors": job.styles} if job.styles else None,
        "classes": list(classes.names), "label_offset": classes.label_offset, "ignore_label": classes.ignore_label,
        "seconds": round(seconds, 3), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": command(origin, job, default_size),
    }  # fmt: skip
    files = {
        LABEL_MAP: encoded(file_values(ids, classes), "png"),
        "paint_colour.png": encoded(images.colour_label_map(ids, palette), "png"),
        "paint.png": encoded(images.to_uint8(image), "png"),
        RECORD: (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode(),
    }
    for style in job.style_names:
        if photograph := ready_photograph(style):
            files[photograph_file(style)] = photograph
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return out.getvalue()
