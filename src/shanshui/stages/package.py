"""Check the images of a submission and package them: zip, manifest, contact sheet.

python -m shanshui package --labels test.csv --images fused --settings settings.json
    --provenance select/*.json --zip submission.zip --manifest manifest.json --sheet contact_sheet.png

The zip holds the images at its root and nothing else; equal images give an equal zip, byte for byte.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path
from typing import Literal

from shanshui.config.settings import LABELS, SIZE
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import ImageSettings, read_checked
from shanshui.data.palette import class_palette
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.files import atomic, read_csv, read_json, sha256, write_json
from shanshui.storage.images import colour_label_map, read_label_map, read_photo, write_image
from shanshui.storage.outputs import add_file
from shanshui.storage.provenance import stamp
from shanshui.storage.size import Size
from shanshui.submission import packaging

SHEET_IMAGES = 48


class PackageSettings(ImageSettings):
    """Settings file of this stage."""

    format: Literal["jpg", "png"]
    quality: int
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--labels", required=True, type=Path, help="CSV of the test label maps (name, label)")
    parser.add_argument("--images", required=True, type=Path, help="folder of the images to be submitted")
    parser.add_argument("--settings", required=True, type=Path, help="settings file of this stage")
    parser.add_argument("--provenance", nargs="*", default=[], type=Path, help="JSON files to repeat in the manifest")
    add_file(parser, "--zip", required=True, help="the submission")
    add_file(parser, "--manifest", required=True, help="checksums and origin (JSON)")
    add_file(parser, "--sheet", ".png", required=True, help="contact sheet (PNG): label maps next to images")


def _inspect(path: Path) -> packaging.SubmittedImage:
    """Decode one image completely and return its properties; raise ShanshuiError if it cannot be read."""
    from PIL import Image

    read_photo(path)
    with Image.open(path) as image:
        return packaging.SubmittedImage(path.name, str(image.format), image.mode, Size.of_width_first(image.size))


def _write_zip(target: Path, paths: list[Path]) -> None:
    """Write a zip: stored, sorted, dated 1980-01-01 (the earliest date a zip can have)."""
    with atomic(target) as staged, zipfile.ZipFile(staged, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            entry = zipfile.ZipInfo(path.name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes())


def _read_provenance(paths: list[Path]) -> dict[str, object]:
    """Read the provenance files, by file stem."""
    content: dict[str, object] = {}
    for path in paths:
        if path.stem in content:
            raise UsageError(f"two provenance files are called {path.stem}", "files of different names")
        content[path.stem] = read_json(path)
    return content


def _draw_sheet(target: Path, labels: dict[str, str], paths: dict[str, Path], settings: PackageSettings) -> None:
    from shanshui.report.sheet import contact_sheet, evenly_spaced

    palette = class_palette(settings.classes)
    shown = evenly_spaced(sorted(labels), SHEET_IMAGES)
    entries = []
    for name in shown:
        ids = settings.labels.ids(read_label_map(labels[name]), labels[name])
        entries.append((name, colour_label_map(ids, palette), read_photo(paths[name])))
    heading = f"{len(shown)} of {len(labels)} images, {settings.size} · label map | generated"
    write_image(target, contact_sheet(entries, heading))


def run(args: argparse.Namespace) -> None:
    """Check all images, then write zip, manifest and contact sheet.

    Raises:
        ShanshuiError: images are missing, superfluous, unreadable, or of another type or size.
    """
    settings = read_checked(PackageSettings, args.settings)
    rows = read_csv(args.labels, ("name", "label"))
    if not rows:
        raise ShanshuiError(f"{args.labels} lists no label map", "one or more test label maps")
    expected = packaging.expected_names([row["name"] for row in rows], packaging.SUFFIXES[settings.format])
    labels = {row["name"]: row["label"] for row in rows}
    there = [path.name for path in args.images.iterdir() if not path.name.startswith(".")]  # Snakemake's time stamp
    packaging.check_names(there, expected, str(args.images))
    paths = [args.images / name for name in expected]
    packaging.check_images([_inspect(p) for p in paths], packaging.KINDS[settings.format], settings.size)

    _write_zip(args.zip, paths)
    files = [{"name": p.name, "sha256": sha256(p), "bytes": p.stat().st_size} for p in paths]
    archive = {"name": args.zip.name, "sha256": sha256(args.zip), "bytes": args.zip.stat().st_size}
    provenance = _read_provenance(args.provenance)
    write_json(args.manifest, packaging.build_manifest(files, archive, settings.model_dump(), provenance, stamp()))
    _draw_sheet(args.sheet, labels, {p.stem: p for p in paths}, settings)
    print(f"{args.zip}: {len(files)} images, sha256 {archive['sha256']}", file=sys.stderr)


STAGE = Stage(
    after="table",
    settings=lambda c: {
        **c.generate.model_dump(include={"format", "quality", "subsampling"}),
        **c.data.model_dump(include=LABELS | SIZE),
    },
    section="generate",
    outputs=lambda run_paths: ["submission.zip"],
    report_as="other",
)
