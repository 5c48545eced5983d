"""Replace images of (nearly) single-class label maps by training photographs of that class.

python -m shanshui fuse --labels test.csv --images images/best --pure reference/pure.json
    --settings settings.json --out fused --log fused.json

Every other image is copied byte for byte. The log names each output that contains training pixels and the
photograph they come from; with `enabled` off all images are copied.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Literal

import numpy as np

from shanshui.config.settings import LABELS, SIZE
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import ImageSettings, read_checked
from shanshui.errors import ShanshuiError
from shanshui.evaluation.image_folder import list_image_files
from shanshui.storage.files import read_csv, read_json, write_json
from shanshui.storage.folders import replaced
from shanshui.storage.images import read_label_map, read_photo, resize_label_map, write_image
from shanshui.storage.names import stem
from shanshui.storage.outputs import add_file, add_folder, check_inputs_stay
from shanshui.storage.provenance import stamp
from shanshui.storage.size import Size
from shanshui.submission import fusion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--labels", required=True, type=Path, help="CSV of the test label maps (name, label)")
    parser.add_argument("--images", required=True, type=Path, help="folder of the generated images")
    parser.add_argument("--pure", required=True, type=Path, help="pure.json of the stage `reference`")
    parser.add_argument("--settings", required=True, type=Path, help="settings file of this stage")
    add_folder(parser, "--out", required=True, help="folder of the images to be submitted")
    add_file(parser, "--log", required=True, help="replaced images and their photographs (JSON)")


class FuseSettings(ImageSettings):
    """Settings file of this stage."""

    enabled: bool
    share: float
    quality: int
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"]


def _label_ids(path: str, settings: FuseSettings) -> np.ndarray:
    """Read class ids (height, width) at output size."""
    return resize_label_map(settings.labels.ids(read_label_map(path), path), settings.size)


def _generated_files(folder: Path, names: list[str]) -> dict[str, Path]:
    """Find the generated image of every name; raise ShanshuiError if one is missing."""
    found = {stem(path): path for path in list_image_files(folder)}
    missing = [name for name in names if name not in found]
    if missing:
        raise ShanshuiError(
            f"{folder} has no image for {len(missing)} label maps: {', '.join(missing[:5])}",
            "one image per label map",
            "run the stage `generate` again",
        )
    return {name: found[name] for name in names}


def _fuse(file: Path, label: str, fit: fusion.Fit, settings: FuseSettings, target: Path) -> int:
    """Paste one photograph and write the result; return the number of pasted pixels."""
    generated = read_photo(file)
    if Size.of(generated) != settings.size:
        raise ShanshuiError(f"{file} is {Size.of(generated)}", f"{settings.size}, as the settings say")
    mask = _label_ids(label, settings) == fit.class_id
    photo = read_photo(fit.photo.image, settings.size)
    write_image(target, fusion.paste(generated, photo, mask), settings.quality, settings.subsampling)
    return int(mask.sum())


def _entry(found: fusion.Fit | fusion.Left, classes: list[str], **more: object) -> dict[str, object]:
    name = classes[found.class_id]
    return {"name": found.name, "class": found.class_id, "class_name": name, "share": found.share, **more}


def _plan(labels: dict[str, str], pure: Path, settings: FuseSettings) -> fusion.FillPlan:
    """Assign photographs to the label maps of nearly one class; to none if fusion is off."""
    if not settings.enabled:
        return fusion.FillPlan([], [])
    count = len(settings.classes)
    maps = [(n, *fusion.dominant_class(_label_ids(p, settings), count)) for n, p in labels.items()]
    return fusion.plan_fill(maps, fusion.parse_pure(read_json(pure), str(pure)), settings.share)


def run(args: argparse.Namespace) -> None:
    """Replace images of nearly single-class label maps, copy all others, and write the log.

    Raises:
        ShanshuiError: an image is missing or has another size than the settings say.
    """
    settings = read_checked(FuseSettings, args.settings)
    classes = settings.classes
    labels = {row["name"]: row["label"] for row in read_csv(args.labels, ("name", "label"))}
    generated_files = _generated_files(args.images, list(labels))
    check_inputs_stay(args.out, "folder", map(Path, labels.values()))
    plan = _plan(labels, args.pure, settings)
    fits = {fit.name: fit for fit in plan.fits}
    fused = []
    with replaced(args.out, args.force) as folder:
        for name, file in generated_files.items():
            if name not in fits:
                shutil.copyfile(file, folder / file.name)
                continue
            fit = fits[name]
            pixels = _fuse(file, labels[name], fit, settings, folder / file.name)
            origin = {"photo": fit.photo.name, "photo_file": fit.photo.image}
            fused.append(_entry(fit, classes, file=file.name, pixels=pixels, **origin))
    kept = [_entry(left, classes, reason=left.reason) for left in plan.left]
    log = {"enabled": settings.enabled, "share": settings.share, "fused": fused, "kept": kept}
    write_json(args.log, stamp(**log, copied=len(generated_files) - len(fused)))
    print(f"{args.log}: {len(fused)} of {len(generated_files)} images contain training pixels", file=sys.stderr)


STAGE = Stage(
    after="score_seed",
    settings=lambda c: {
        **c.fuse.model_dump(),
        **c.generate.model_dump(include={"quality", "subsampling"}),
        **c.data.model_dump(include=LABELS | SIZE),
    },
    section="fuse",
    outputs=lambda run_paths: ["fuse.json"],
    report_as="other",
)
