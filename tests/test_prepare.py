"""Preparing pairs: sizes, rules, order, atomicity."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.data import prepared
from shanshui.data.pairs import INSTANCE_COLUMN, MANIFEST_COLUMNS, Pair
from shanshui.data.prepared import prepared_digests
from shanshui.errors import ShanshuiError
from shanshui.stages.prepare import check_space
from shanshui.storage.files import sha256, write_csv, write_json

SETTINGS = {
    "classes": ["a", "b", "c"], "label_offset": -1, "ignore_label": 9,
    "width": 32, "height": 24, "load_width": 36,
}  # fmt: skip


def prepare(folder: Path, pairs: list[Pair], *more: str) -> int:
    columns = (*MANIFEST_COLUMNS, INSTANCE_COLUMN) if any(pair.instance for pair in pairs) else MANIFEST_COLUMNS
    write_csv(folder / "train.csv", [pair.row() for pair in pairs], columns)
    write_json(folder / "settings.json", SETTINGS)
    options = {
        "pairs": "train.csv",
        "settings": "settings.json",
        "photos": "p.npy",
        "label-maps": "l.npy",
        "names": "n.json",
        "digests": "d.json",
    }
    return main(["prepare", *(f"--{name}={folder / file}" for name, file in options.items()), *more])


def draw(folder: Path, name: str, size: tuple[int, int], left: int, right: int) -> Pair:
    """Left half of the label map `left`, right half `right`; the photograph 20 times as bright."""
    ids = np.full(size[::-1], left, np.uint8)
    ids[:, size[0] // 2 :] = right
    Image.fromarray(ids).save(folder / f"{name}.png")
    Image.fromarray(np.repeat(ids[..., None] * 20, 3, axis=2)).save(folder / f"{name}.bmp")
    return Pair(name, folder / f"{name}.bmp", folder / f"{name}.png")


def test_maps_have_the_load_size_and_the_rules_applied(tmp_path: Path) -> None:
    pairs = [draw(tmp_path, "z", (72, 54), 1, 3), draw(tmp_path, "a", (100, 30), 2, 9)]
    assert prepare(tmp_path, pairs) == 0
    photos, label_maps = np.load(tmp_path / "p.npy"), np.load(tmp_path / "l.npy")
    assert photos.shape == (2, 27, 36, 3)
    assert photos.dtype == label_maps.dtype == np.uint8
    assert label_maps.shape == (2, 27, 36)
    assert json.loads((tmp_path / "n.json").read_text()) == ["z", "a"]
    assert (label_maps[0, :, :18] == 0).all()
    assert (label_maps[0, :, 18:] == 2).all()
    assert (label_maps[1, :, :18] == 1).all()
    assert (label_maps[1, :, 18:] == 255).all()
    assert (photos[0, :, :10] == 20).all()
    assert (photos[1, :, -10:] == 180).all()


def test_photo_and_label_of_other_sizes_still_meet(tmp_path: Path) -> None:
    pair = draw(tmp_path, "x", (72, 54), 1, 3)
    Image.open(pair.label).resize((36, 50), Image.Resampling.NEAREST).save(pair.label)
    assert prepare(tmp_path, [pair]) == 0
    photo, label_map = np.load(tmp_path / "p.npy")[0, ..., 0], np.load(tmp_path / "l.npy")[0]
    assert ((photo > 40) == (label_map == 2)).all()


def test_a_bad_id_names_the_file_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [draw(tmp_path, "x", (72, 54), 1, 3), draw(tmp_path, "y", (72, 54), 1, 4)]
    assert prepare(tmp_path, pairs) == 1
    assert "y.png holds pixel values that are no class: 4 (" in capsys.readouterr().err
    assert not [p.name for p in tmp_path.iterdir() if p.suffix == ".npy" or p.name == "n.json"]


def test_instance_maps_are_numbered_anew_where_they_are_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = np.full((54, 72), 26001, np.uint16)
    numbers[:, 36:], numbers[:, 60:] = 26257, 60000  # the first two alike in their low byte
    Image.fromarray(numbers).save(tmp_path / "i.png")
    pair = dataclasses.replace(draw(tmp_path, "x", (72, 54), 1, 3), instance=tmp_path / "i.png")
    assert prepare(tmp_path, [pair], f"--instances={tmp_path / 'i.npy'}") == 0
    instances = np.load(tmp_path / "i.npy")
    assert (instances.dtype, instances.shape) == (np.uint16, (1, 27, 36))
    assert instances[0, 0, [0, 17, 18, 29, 30, 35]].tolist() == [0, 0, 1, 1, 2, 2]
    assert prepare(tmp_path, [pair, draw(tmp_path, "y", (72, 54), 1, 3)], f"--instances={tmp_path / 'i.npy'}") == 1
    assert "y has no instance map" in capsys.readouterr().err


def test_a_manifest_without_photographs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = draw(tmp_path, "x", (72, 54), 1, 3)
    assert prepare(tmp_path, [Pair("x", None, pair.label)]) == 1
    assert "x has no photograph" in capsys.readouterr().err


def test_a_full_disk_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(ShanshuiError, match=r"GiB free\n  expected: 1073741824\.0 GiB for the prepared pairs"):
        check_space(tmp_path, 2**60)


def test_digests_are_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare(tmp_path, [draw(tmp_path, "x", (72, 54), 1, 3)]) == 0
    maps = [tmp_path / "l.npy", tmp_path / "p.npy"]
    read = [sha256(file) for file in maps]
    assert prepared_digests(maps, None) == read, "without a list"

    def again(_: Path) -> str:
        raise AssertionError("a memory map was read")

    monkeypatch.setattr(prepared, "sha256", again)
    assert prepared_digests(maps, tmp_path / "d.json") == read


def test_digests_of_other_files_are_refused(tmp_path: Path) -> None:
    assert prepare(tmp_path, [draw(tmp_path, "x", (72, 54), 1, 3)]) == 0
    (tmp_path / "other.npy").touch()
    with pytest.raises(ShanshuiError, match=r"other\.npy with no bytes"):
        prepared_digests([tmp_path / "other.npy"], tmp_path / "d.json")
    with open(tmp_path / "p.npy", "ab") as file:
        file.write(b"more")
    with pytest.raises(ShanshuiError, match=r"p\.npy with \d+ bytes, and"):
        prepared_digests([tmp_path / "p.npy"], tmp_path / "d.json")
