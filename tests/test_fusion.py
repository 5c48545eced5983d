"""Pure-colour fusion: what is pasted, what stays, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.submission.fusion import Left, SingleClassPhoto, dominant_class, parse_pure, paste, plan_fill

SIZE = (20, 10)  # width, height
SKY, SEA, ROCK = 0, 1, 2


def test_dominant_class_counts_all_pixels() -> None:
    ids = np.full((10, 20), SEA, np.uint8)
    ids[0, :3] = 255  # no class
    assert dominant_class(ids, 3) == (SEA, 197 / 200)
    assert dominant_class(np.array([[0, 1], [1, 0]], np.uint8), 3) == (0, 0.5)
    assert dominant_class(np.full((2, 2), 255, np.uint8), 3) == (0, 0.0)


def test_each_photograph_serves_once_in_order_of_names() -> None:
    pure = {SKY: [SingleClassPhoto("p1", "p1.jpg"), SingleClassPhoto("p2", "p2.jpg")]}
    maps = [("c", SKY, 1.0), ("a", SKY, 0.99), ("b", SEA, 1.0), ("d", SKY, 1.0), ("e", SKY, 0.98)]
    result = plan_fill(maps, pure, 0.98)
    assert [(fit.name, fit.photo.name) for fit in result.fits] == [("a", "p1"), ("c", "p2")]
    assert result.left == [
        Left("b", SEA, 1.0, "no photograph of this class"),
        Left("d", SKY, 1.0, "no photograph of this class left"),
    ]
    assert plan_fill(maps[::-1], pure, 0.98) == plan_fill(maps, pure, 0.98)


def test_share_must_be_exceeded() -> None:
    assert not plan_fill([("a", SKY, 0.98)], {SKY: [SingleClassPhoto("p", "p.jpg")]}, 0.98).fits


def test_paste_takes_the_photograph_under_the_mask_only() -> None:
    generated, photo = np.full((2, 2, 3), 10, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    mask = np.array([[True, False], [False, True]])
    assert paste(generated, photo, mask)[..., 0].tolist() == [[200, 10], [10, 200]]


def test_other_json_is_refused_by_name() -> None:
    with pytest.raises(ShanshuiError, match=r"x\.json is not a list of single-class photographs"):
        parse_pure({"sky": [{"image": "a"}]}, "x.json")


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Five label maps: two of sky, one of sea, one mixed, one of rock; photographs: a grey sky, a sea."""
    label_maps = {"s1": SKY, "s2": SKY, "t": SEA, "r": ROCK}
    (tmp_path / "images").mkdir()
    lines = ["name,image,label"]
    for index, name in enumerate(["s1", "s2", "t", "mixed", "r"]):
        ids = np.full(SIZE[::-1], label_maps.get(name, SKY), np.uint8)
        ids[0, 0] = ROCK  # one pixel of 200: half a percent
        if name == "mixed":
            ids[:5] = ROCK
        Image.fromarray(ids).save(tmp_path / f"{name}.png")
        picture = np.random.default_rng(index).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / "images" / f"{name}.png")
        lines.append(f"{name},,{tmp_path / name}.png")
    (tmp_path / "test.csv").write_text("\n".join(lines) + "\n")
    Image.fromarray(np.full((30, 60), 77, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((10, 20, 3), 99, np.uint8)).save(tmp_path / "sea.png")
    pure = {SKY: [{"name": "grey", "image": str(tmp_path / "grey.png")}],
            SEA: [{"name": "sea", "image": str(tmp_path / "sea.png")}]}  # fmt: skip
    (tmp_path / "pure.json").write_text(json.dumps(pure))
    return tmp_path


def fuse(folder: Path, **changes: Any) -> int:
    settings = {
        "enabled": True, "share": 0.98, "quality": 95, "subsampling": "4:4:4",
        "width": SIZE[0], "height": SIZE[1],
        "classes": ["sky", "sea", "rock"], "label_offset": 0, "ignore_label": None, **changes,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    places = {"labels": "test.csv", "images": "images", "pure": "pure.json", "settings": "settings.json",
              "out": "fused", "log": "fused.json"}  # fmt: skip
    return main(["fuse", *[part for name, file in places.items() for part in (f"--{name}", str(folder / file))]])


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_stage_pastes_copies_and_logs(run_folder: Path) -> None:
    assert fuse(run_folder) == 0
    generated, fused = run_folder / "images", run_folder / "fused"
    assert sorted(path.name for path in fused.glob("[!.]*")) == [
        "mixed.png",
        "r.png",
        "s1.png",
        "s2.png",
        "t.png",
    ]
    pasted = read(fused / "s1.png")
    assert (pasted.reshape(-1, 3)[1:] == 77).all()
    assert (pasted[0, 0] == read(generated / "s1.png")[0, 0]).all()
    assert (read(fused / "t.png").reshape(-1, 3)[1:] == 99).all()
    for name in ("s2", "mixed", "r"):
        assert (fused / f"{name}.png").read_bytes() == (generated / f"{name}.png").read_bytes()
    log = json.loads((run_folder / "fused.json").read_text())
    assert [(e["name"], e["photo"], e["class_name"], e["pixels"]) for e in log["fused"]] == [
        ("s1", "grey", "sky", 199), ("t", "sea", "sea", 199)
    ]  # fmt: skip
    assert [(e["name"], e["reason"]) for e in log["kept"]] == [
        ("r", "no photograph of this class"), ("s2", "no photograph of this class left")
    ]  # fmt: skip
    assert log["copied"] == 3


def test_stage_disabled_copies_everything(run_folder: Path) -> None:
    assert fuse(run_folder, enabled=False) == 0
    for path in (run_folder / "images").iterdir():
        assert (run_folder / "fused" / path.name).read_bytes() == path.read_bytes()
    assert json.loads((run_folder / "fused.json").read_text())["fused"] == []


def test_pixels_without_a_class_are_not_pasted_over(run_folder: Path) -> None:
    assert fuse(run_folder, classes=["sky", "sea"], ignore_label=ROCK) == 0
    assert (read(run_folder / "fused" / "s1.png")[0, 0] == read(run_folder / "images" / "s1.png")[0, 0]).all()


def test_missing_picture_is_named(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_folder / "images" / "t.png").unlink()
    assert fuse(run_folder) == 1
    assert "has no image for 1 label maps: t" in capsys.readouterr().err
    assert not (run_folder / "fused").exists()


def test_picture_of_another_size_is_named(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuse(run_folder, width=40, height=20) == 1
    assert "s1.png is 20x10\n  expected: 40x20" in capsys.readouterr().err
    assert not list(run_folder.glob("*fused*"))
