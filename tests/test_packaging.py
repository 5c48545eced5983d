"""The submission: exact names, one size, RGB, readable; equal pictures give an equal zip."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.submission.packaging import expected_names

NAMES = ["b", "a", "c.2"]
SIZE = (32, 24)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three label maps and their pictures."""
    (tmp_path / "pictures").mkdir()
    lines = ["name,image,label"]
    for index, name in enumerate(NAMES):
        rng = np.random.default_rng(index)
        Image.fromarray(rng.integers(0, 2, SIZE[::-1], np.uint8)).save(tmp_path / f"{name}.png")
        picture = Image.fromarray(rng.integers(0, 256, (*SIZE[::-1], 3), np.uint8))
        picture.save(tmp_path / "pictures" / f"{name}.jpg")
        lines.append(f"{name},,{tmp_path / name}.png")
    (tmp_path / "test.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def package(folder: Path, **changes: Any) -> int:
    settings = {
        "width": SIZE[0], "height": SIZE[1], "format": "jpg", "quality": 95, "subsampling": "4:4:4",
        "classes": ["sky", "sea"], "label_offset": 0, "ignore_label": None, **changes,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "seed.json").write_text(json.dumps({"chosen": ["003+005"], "chosen_seeds": [4]}))
    places = {"labels": "test.csv", "images": "pictures", "settings": "settings.json",
              "provenance": "seed.json",
              "zip": "submission.zip", "manifest": "manifest.json", "sheet": "sheet.png"}  # fmt: skip
    return main(["package", *[part for name, file in places.items() for part in (f"--{name}", str(folder / file))]])


def test_zip_manifest_and_sheet(folder: Path) -> None:
    assert package(folder) == 0
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        assert archive.namelist() == ["a.jpg", "b.jpg", "c.2.jpg"]
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.compress_type == zipfile.ZIP_STORED
            assert archive.read(entry) == (folder / "pictures" / entry.filename).read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["count"] == 3
    assert manifest["zip"]["sha256"] == hashlib.sha256((folder / "submission.zip").read_bytes()).hexdigest()
    assert [entry["sha256"] for entry in manifest["files"]] == [
        hashlib.sha256((folder / "pictures" / f"{name}.jpg").read_bytes()).hexdigest() for name in sorted(NAMES)
    ]
    assert manifest["chosen"] == {"seed": {"models": ["003+005"], "seeds": [4]}}
    assert manifest["settings"]["quality"] == 95
    assert manifest["shanshui"].startswith("0.")
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.mode == "RGB"
        assert sheet.width > 3 * 2 * 160


def test_equal_pictures_give_an_equal_zip(folder: Path) -> None:
    assert package(folder) == 0
    first = [(folder / name).read_bytes() for name in ("submission.zip", "manifest.json", "sheet.png")]
    for path in (folder / "pictures").iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert package(folder) == 0
    assert [(folder / name).read_bytes() for name in ("submission.zip", "manifest.json", "sheet.png")] == first


def _delete(pictures: Path) -> None:
    (pictures / "a.jpg").unlink()


def _add(pictures: Path) -> None:
    (pictures / "Thumbs.db").write_bytes(b"x")


def _wrong_suffix(pictures: Path) -> None:
    (pictures / "a.jpg").rename(pictures / "a.JPG")


def _grey(pictures: Path) -> None:
    Image.new("L", SIZE).save(pictures / "a.jpg")


def _small(pictures: Path) -> None:
    Image.new("RGB", (16, 12)).save(pictures / "b.jpg")


def _png_inside(pictures: Path) -> None:
    Image.new("RGB", SIZE).save(pictures / "a.jpg", "PNG")


def _truncate(pictures: Path) -> None:
    content = (pictures / "c.2.jpg").read_bytes()
    (pictures / "c.2.jpg").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_delete, "lacks 1 of 3 images: a.jpg"),
        (_add, "holds 1 file(s) that no label map asks for: Thumbs.db"),
        (_wrong_suffix, "lacks 1 of 3 images: a.jpg"),
        (_grey, "wrong colour mode: a.jpg (L)"),
        (_small, "wrong size: b.jpg (16x12)"),
        (_png_inside, "wrong file type: a.jpg (PNG)"),
        (_truncate, "c.2.jpg cannot be read"),
    ],
)
def test_every_flaw_is_named_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], harm: Any, message: str
) -> None:
    harm(folder / "pictures")
    assert package(folder) == 1
    assert message in capsys.readouterr().err
    assert not (folder / "submission.zip").exists()
    assert not (folder / "manifest.json").exists()


def test_png_submission(folder: Path) -> None:
    for path in list((folder / "pictures").iterdir()):
        Image.open(path).save(path.with_name(path.name.removesuffix(".jpg") + ".png"))
        path.unlink()
    assert package(folder, format="png") == 0
    assert zipfile.ZipFile(folder / "submission.zip").namelist() == ["a.png", "b.png", "c.2.png"]


def test_no_label_maps_and_twins_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "test.csv").write_text("name,image,label\n")
    assert package(folder) == 1
    assert "lists no label map" in capsys.readouterr().err
    with pytest.raises(ShanshuiError, match="label maps of the same name: a"):
        expected_names(["a", "b", "a"], ".jpg")
