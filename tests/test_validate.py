"""Validation: every kind of finding from files drawn to provoke it, and what is written when."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_sets import Pairs
from PIL import Image
from small_set import (
    Set,
    add_class,
    add_twin,
    colour,
    convert,
    count_from_one,
    draw_photo,
    remove,
    remove_folder,
    reshape,
    reshape_pairs,
    set_pixels,
    small_set,
    to_jpeg,
    truncate,
)

from shanshui.data.pairs import read_manifest
from shanshui.storage.files import read_csv

WRITTEN = ["classes.csv", "classes.png", "holdout.csv", "report.json", "report.md", "test.csv", "train.csv"]


@pytest.fixture
def data(tmp_path: Path) -> Set:
    return small_set(tmp_path)


Break = Callable[[Set], object]

ERRORS: dict[str, tuple[Break, list[str]]] = {
    "truncated photograph": (
        lambda d: truncate(d.photo("p3")),
        [
            "unreadable: 1 training photograph\n", "imgs/p3.png: cannot be read: ",
            "expected: complete image files", "to do:    replace the files, or put their names on the",
        ],
    ),
    "photograph that is no image": (
        lambda d: d.photo("p3").write_text("404 not found"),
        ["unreadable: 1 training photograph\n", "imgs/p3.png: cannot be read: "],
    ),
    "truncated label map": (
        lambda d: (truncate(d.label("p3")), truncate(d.label("p4"))),
        ["unreadable: 2 training label maps\n", "labels/p3.png: cannot be read: ", "labels/p4.png: cannot"],
    ),
    "truncated test label map": (
        lambda d: truncate(d.test("t1")),
        ["unreadable: 1 test label map\n", "test/t1.png: cannot be read: ", "to do:    replace the files\n"],
    ),
    "colour label map": (
        lambda d: colour(d.label("p3")),
        [
            "in colour: 1 training label map\n", "labels/p3.png: is a colour image (mode RGB)",
            "expected: one channel whose pixel values are class ids", "convert the colours to class ids",
        ],
    ),
    "colour test label map": (
        lambda d: colour(d.test("t0")),
        ["in colour: 1 test label map\n", "test/t0.png: is a colour image"],
    ),
    "jpeg label map": (
        lambda d: to_jpeg(d.test("t0")),
        ["stored as JPEG: 1 test label map\n", "test/t0.jpg", "JPEG compression changes class ids"],
    ),
    "another shape": (
        lambda d: reshape(d.label("p3"), (48, 30)),
        ["map differ in shape: 1 pair\n", "imgs/p3.png: 48x36, ", "p3.png: 48x30"],
    ),
    "id out of range": (
        lambda d: (set_pixels(d.label("p3"), 77, 5), set_pixels(d.label("p4"), 200, 1)),
        [
            "pixel values that are no class: 2 training label maps\n", "labels/p3.png: value 77 (5 pixels)",
            "labels/p4.png: value 200 (1 pixel)", "expected: 0 to 2\n", "correct the files, data.classes",
        ],
    ),
    "an unknown value that may mean no class": (
        lambda d: set_pixels(d.test("t0"), 255, 7),
        ["no class: 1 test label map\n", "t0.png: value 255 (7 pixels)", "set data.ignore_label to 255"],
    ),
    "labels that count from 1": (
        count_from_one,
        ["no class: 8 training label maps\n", "value 3 (", "... and 5 more", "set data.label_offset to -1"],
    ),
    "an offset that is wrong": (
        lambda d: d.settings.update(label_offset=-1),
        ["labels/p0.png: value 0 (", "expected: 0 to 2 after adding data.label_offset -1\n"],
    ),
    "a stem used twice": (
        lambda d: shutil.copy(d.test("t0"), d.test("t0").with_suffix(".bmp")),
        ["names used twice in one folder: 2 files\n", "test/t0.bmp", "test/t0.png"],
    ),
    "no pairs": (
        lambda d: [p.rename(p.with_stem(f"label_{p.stem}")) for p in (d.folder / "labels").iterdir()],
        ["no training pairs", "no partner for p0.png and label_p0.png", "same stem, such as x.jpg"],
    ),
    "batch above the data": (
        lambda d: d.settings.update(batch=9),
        ["a batch of 9 is more than 8 training pairs", "lower pretrain.batch"],
    ),
    "hold-out too large": (
        lambda d: d.settings.update(holdout=7),
        ["data.holdout 7 leaves 1 pair of 8 to train on", "full batch of 2", "set data.holdout to 6 or less"],
    ),
    "hold-out larger than the data": (
        lambda d: d.settings.update(holdout=500),
        ["data.holdout 500 leaves 0 pairs of 8 to train on"],
    ),
    "empty test set": (
        lambda d: [remove(path) for path in (d.folder / "test").iterdir()],
        [
            "test holds no images (sub-folders are not searched)", "files ending in .jpg, .jpeg, .png",
            "put the test label maps there, or set data.test_labels to where they are",
        ],
    ),
    "missing folders": (
        lambda d: (remove_folder(d.folder / "imgs"), remove_folder(d.folder / "test")),
        [
            "2 errors\n", "imgs does not exist", "expected: a folder with the training photographs\n",
            "set data.train_images to where they are", "test does not exist",
        ],
    ),
}  # fmt: skip

WARNINGS: dict[str, tuple[Break, list[str]]] = {
    "another size": (
        lambda d: reshape(d.label("p3"), (96, 72)),
        ["photograph and label map differ in size, not in shape: 1 pair**", "48x36", "labels/p3.png: 96x72"],
    ),
    "small photographs": (
        lambda d: reshape_pairs(d, (35, 26)),
        ["smaller than 36x27: 8 training photographs**", "p0.png: 35x26", "enlarged"],
    ),
    "wide photographs": (
        lambda d: reshape_pairs(d, (49, 36)),
        ["not of the shape 32x24: 8 training photographs**", "p0.png: 49x36", "within 2% of 1.333"],
    ),
    "wide test label maps": (
        lambda d: reshape(d.test("t2"), (60, 36)),
        ["not of the shape 32x24: 1 test label map**"],
    ),
    "small test label maps": (
        lambda d: reshape(d.test("t2"), (20, 15)),
        ["smaller than 32x24: 1 test label map**"],
    ),
    "grey photograph": (
        lambda d: convert(d.photo("p1"), "L"),
        ["without colour: 1 training photograph**", "imgs/p1.png", "exclusion list"],
    ),
    "grey photograph in RGB": (
        lambda d: convert(d.photo("p1"), "L", "RGB"),
        ["without colour: 1 training photograph**"],
    ),
    "the same photograph twice": (
        add_twin,
        ["the same photograph under several names: 1 group**", "p0.png = ", "p8.png`"],
    ),
    "a test label map of training": (
        lambda d: shutil.copy(d.label("p1"), d.test("t9")),
        ["identical to a training label map: 1 test label map**", "test/t9.png = ", "labels/p1.png`"],
    ),
    "photograph without label map": (
        lambda d: remove(d.label("p1")),
        ["without label map of the same name: 1 training photograph**", "imgs/p1.png`"],
    ),
    "label map without photograph": (
        lambda d: remove(d.photo("p1")),
        ["without photograph of the same name: 1 training label map**", "labels/p1.png`"],
    ),
    "a class that never occurs": (
        lambda d: add_class(d, 0),
        ["classes that never occur: 1**", "`3 ship`"],
    ),
    "a class only the test has": (
        lambda d: add_class(d, 9),
        ["classes in test label maps, but never in training: 1**", "`3 ship: in 1 test label map`"],
    ),
}  # fmt: skip


def test_sound_data_passes_without_a_word(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.validate() == 0
    assert sorted(p.name for p in (data.folder / "out").glob("[!.]*")) == WRITTEN
    assert "The data is **usable, 0 warnings**." in data.report()
    assert "data usable, 0 warnings: 6 pairs to train on, 2 held out, 3 label maps" in capsys.readouterr().out
    rows = {name: read_manifest(data.folder / "out" / f"{name}.csv") for name in ("train", "holdout", "test")}
    assert sorted(pair.name for pair in rows["train"] + rows["holdout"]) == [f"p{i}" for i in range(8)]
    assert [(pair.name, pair.image) for pair in rows["test"]] == [("t0", None), ("t1", None), ("t2", None)]
    first = rows["train"][0]
    assert (first.image, first.label) == (data.photo(first.name), data.label(first.name))
    assert Image.open(data.folder / "out" / "classes.png").width > 500


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_stop_and_are_told(kind: str, data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    breaks, words = ERRORS[kind]
    breaks(data)
    assert data.validate() == 1
    message = capsys.readouterr().err
    for word in words:
        assert word in message
    assert "The data is **not usable: " in data.report()
    assert [p.name for p in (data.folder / "out").iterdir()] == ["report.md"]


@pytest.mark.parametrize("kind", WARNINGS)
def test_warnings_are_told_and_do_not_stop(kind: str, data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    breaks, words = WARNINGS[kind]
    breaks(data)
    assert data.validate() == 0
    report = data.report()
    for word in words:
        assert word in report
    assert "## Errors" not in report
    assert "usable, 1 warning*" in report
    assert "warning: " in capsys.readouterr().err
    assert sorted(p.name for p in (data.folder / "out").glob("[!.]*")) == WRITTEN


def test_exclusion_list_hits_and_misses(data: Set) -> None:
    data.exclude = data.folder / "exclude.txt"
    data.exclude.write_text("# bad ones\np3\n\np3\nnobody\n")
    truncate(data.photo("p3"))  # what is excluded is not looked at
    assert data.validate() == 0
    report = data.report()
    assert "on the exclusion list, but not in the data: 1 name**" in report
    assert "`nobody`" in report
    assert "2, 1 of them listed more than once" in report
    assert "| 1 / 1 " in report
    names = [pair.name for part in ("train", "holdout") for pair in read_manifest(data.folder / "out" / f"{part}.csv")]
    assert sorted(names) == [f"p{i}" for i in range(8) if i != 3]


def test_everything_excluded_is_an_error(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    data.exclude = data.folder / "exclude.txt"
    data.exclude.write_text("\n".join(f"p{i}" for i in range(8)))
    assert data.validate() == 1
    said = capsys.readouterr().err
    assert "no training pairs (8 names left out by the exclusion list)" in said
    assert "to do:    take names off the exclusion list" in said


def test_a_second_report_lies_elsewhere(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the job's own files are removed after a failure, the second report stays."""
    report = data.folder / "docs" / "data.md"
    truncate(data.photo("p3"))
    assert data.validate(f"--report={report}") == 1
    assert f"the whole report: {report}" in capsys.readouterr().err
    assert "imgs/p3.png" in report.read_text()
    assert not (data.folder / "out").exists()
    draw_photo(data.photo("p3"), 3)
    assert data.validate(f"--report={report}") == 0
    assert "![classes](../out/classes.png)" in report.read_text()
    assert "![classes](classes.png)" in data.report()


def test_palette_labels_ignored_values_and_offset_are_accepted(data: Set) -> None:
    for path in [*(data.folder / "labels").iterdir(), *(data.folder / "test").iterdir()]:
        ids = np.asarray(Image.open(path)) + 1
        ids[:18] = 0
        palette = Image.fromarray(ids).convert("P")
        palette.putpalette(list(range(256)) * 3)
        palette.putdata(ids.ravel().tolist())
        palette.save(path)
    data.settings |= {"label_offset": -1, "ignore_label": 0}
    assert data.validate() == 0
    assert "50.00% / 50.00%" in data.report()
    rows = read_csv(data.folder / "out" / "classes.csv")
    assert [row["name"] for row in rows] == ["sky", "water", "tree"]
    assert sum(int(row["train_pixels"]) for row in rows) == 6 * 48 * 18


def test_a_settings_file_of_another_stage_is_refused(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    del data.settings["classes"]
    assert data.validate() == 2
    assert "classes is missing" in capsys.readouterr().err


def test_real_street_scenes(pairs: Pairs, tmp_path: Path) -> None:
    """Thirty CamVid pairs, or made ones of their form: the numbers of the data set's description."""
    source = pairs("camvid")
    data = Set(tmp_path)
    for folder, part in (("imgs", "train/imgs"), ("labels", "train/labels"), ("test", "test/labels")):
        (tmp_path / folder).mkdir()
        for path in sorted((source / part).iterdir())[:30]:
            (tmp_path / folder / path.name).symlink_to(path)
    data.settings |= {
        "classes": [f"c{i}" for i in range(12)], "width": 256, "height": 192, "load_width": 288, "holdout": 5,
    }  # fmt: skip
    assert data.validate() == 0
    assert "480x360 (30)" in data.report()
    assert len(read_manifest(tmp_path / "out" / "train.csv")) == 25
    shares = [float(row["train_share"]) for row in read_csv(tmp_path / "out" / "classes.csv")]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert shares[3] > 0.15  # road
