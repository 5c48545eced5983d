"""Verify a finished run: every final file against its manifest, weights and choices against theirs."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.errors import ShanshuiError
from shanshui.pipeline import retention
from shanshui.storage import checkpoint
from shanshui.storage.files import read_csv, read_json, sha256
from shanshui.submission import packaging

SUBMISSION, MANIFEST = "submission.zip", "submission.json"
IMAGES = ("contact_sheet.png", "fid_curve.png", "strip.png")
Problems = Iterator[str]


def check_archive(folder: Path) -> Problems:
    """Check the zip's digest, and name and digest of every image in it, against the manifest."""
    manifest = read_json(folder / MANIFEST)
    if sha256(folder / SUBMISSION) != manifest["zip"]["sha256"]:
        yield f"{SUBMISSION} has another sha256 than {MANIFEST} says"
    listed = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
    with zipfile.ZipFile(folder / SUBMISSION) as archive:
        names = archive.namelist()
        yield from (f"{SUBMISSION} lacks {name}" for name in sorted(listed.keys() - set(names)))
        yield from (
            f"{SUBMISSION} holds {name}, which is not in {MANIFEST}" for name in sorted(set(names) - listed.keys())
        )
        for name in sorted(listed.keys() & set(names)):
            if hashlib.sha256(archive.read(name)).hexdigest() != listed[name]:
                yield f"{name} in {SUBMISSION} has another sha256 than {MANIFEST} says"


def check_names(folder: Path) -> Problems:
    """Check that there is one image per test label map."""
    manifest = read_json(folder / MANIFEST)
    suffix = packaging.SUFFIXES[manifest["settings"]["format"]]
    wanted = {row["name"] + suffix for row in read_csv(folder / "validate" / "test.csv")}
    listed = {entry["name"] for entry in manifest["files"]}
    yield from (f"no image {name} for its test label map" for name in sorted(wanted - listed))
    yield from (f"{name} has no test label map" for name in sorted(listed - wanted))


def check_sources(folder: Path) -> Problems:
    """Check that the sources of the submission are unchanged: images, choices, settings."""
    manifest = read_json(folder / MANIFEST)
    for entry in manifest["files"]:
        fused = folder / "fuse" / entry["name"]
        if not fused.exists() or sha256(fused) != entry["sha256"]:
            yield f"fuse/{entry['name']} is not the image that was packed"
    for name in ("checkpoints", "model", "seed"):
        if read_json(folder / "select" / f"{name}.json") != manifest["provenance"].get(name):
            yield f"select/{name}.json is not the choice the submission was made from"
    if read_json(folder / "settings" / "package.json") != manifest["settings"]:
        yield f"settings/package.json differs from the settings in {MANIFEST}"


def check_choices(folder: Path) -> Problems:
    """Check that every ranked value is the one in its score file, and that the best were chosen."""
    for name in ("checkpoints", "model", "seed"):
        choice = read_json(folder / "select" / f"{name}.json")
        for entry in choice["ranking"]:
            part = f"{entry['model']}/seed_{entry['seed']}.json" if name == "seed" else f"{entry['model']}.json"
            score = folder / "score" / part
            if not score.exists():  # a score in between may be cleared away
                continue
            value = read_json(score)["sets"][choice["on"]]["metrics"][choice["rank_by"]]
            if value != entry["value"]:
                yield f"score/{part} has {choice['rank_by']} {value}, but {name} was chosen by {entry['value']}"
        best = [entry["model"] for entry in choice["ranking"][: len(choice["chosen"])]]
        if best != choice["chosen"]:
            yield f"select/{name}.json chose {choice['chosen']}, though {best} rank first"


def _broken_weights(path: Path, name: str) -> Problems:
    try:
        weights = checkpoint.load(path)
    except ShanshuiError as error:
        yield error.found
        return
    epoch = re.fullmatch(r"epoch_(\d+)", path.stem)
    if epoch and weights.meta.get("epoch") != int(epoch[1]):
        yield f"{name} holds epoch {weights.meta.get('epoch')}"
    odd = [key for key, array in weights.arrays.items() if not np.isfinite(array).all()]
    if odd:
        yield f"{name}: {odd[0]} and {len(odd) - 1} more arrays hold values that are no numbers"
    for member in weights.meta.get("averaged", []):
        source = path.parent.parent / "finetune" / member["file"]
        if source.exists() and sha256(source) != member["sha256"]:
            yield f"{name} is an average of another {member['file']} than lies there"


def check_weights(folder: Path) -> Problems:
    """Check that all weights can be read, are finite, and belong to the epochs and averages that their names say."""
    for part in ("pretrain", "finetune", "merge"):
        for path in sorted((folder / part).glob("[!.]*.safetensors")):
            yield from _broken_weights(path, f"{part}/{path.name}")


def check_kept(folder: Path) -> Problems:
    """Check that the files kept by `retention: best` are present and unchanged."""
    if read_json(folder / "settings" / "report.json")["config"].get("retention") == "best":
        yield from retention.losses(folder)


def check_reports(folder: Path) -> Problems:
    """Check that table, plots and report are complete."""
    if not list(csv.DictReader(io.StringIO((folder / "fid_table.csv").read_text(encoding="utf-8")))):
        yield "fid_table.csv has no rows"
    if not (folder / "fid_table.md").read_text(encoding="utf-8").strip():
        yield "fid_table.md is empty"
    if not (folder / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>"):
        yield "report.html is cut off"
    for name in IMAGES:
        with Image.open(folder / name) as image:
            image.load()


CHECKS: dict[str, Callable[[Path], Problems]] = {
    "submission": check_archive,
    "names": check_names,
    "sources": check_sources,
    "choices": check_choices,
    "weights": check_weights,
    "kept": check_kept,
    "reports": check_reports,
}


def problems(check: Callable[[Path], Problems], folder: Path) -> list[str]:
    """Return the findings of `check`; missing or unreadable files are findings too."""
    found: list[str] = []
    try:
        for problem in check(folder):
            found.append(problem)  # one by one: an error later on must not lose those before
    except ShanshuiError as error:
        found.append(error.found)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        found.append(f"{type(error).__name__}: {error}")
    except (KeyError, TypeError, AttributeError) as error:
        found.append(f"a file is not as this pipeline writes it ({type(error).__name__}: {error})")
    return found
