"""What lies in the folders of the data: everything is taken, or named with the reason; names are compared as text."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from layout_trees import plant
from PIL import Image
from small_set import Set, draw_label, draw_photo, small_set

from shanshui.__main__ import main
from shanshui.data.listing import find_images, list_images
from shanshui.data.pairs import pair_files, read_manifest
from shanshui.data.scenes import read_scenes
from shanshui.errors import ShanshuiError
from shanshui.evaluation.image_folder import list_image_files
from shanshui.storage.files import read_csv, read_json, write_csv, write_json
from shanshui.storage.names import at_home, is_text
from shanshui.storage.texts import decode_text
from shanshui.synthesis.generation_inputs import label_files

LATIN = b"caf\xe9".decode("utf-8", "surrogateescape")
CHINESE = "风景".encode("gb18030").decode("utf-8", "surrogateescape")
Break = Callable[[Set], object]


@pytest.fixture
def data(tmp_path: Path) -> Set:
    return small_set(tmp_path)


def link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("unmounted/x.png")


STOPS: dict[str, tuple[Break, list[str]]] = {
    "test maps that are dead links": (
        lambda d: [link_to_nowhere(d.test(name)) for name in ("t0", "t1")],
        ["unreadable: 2 test label maps", "t0.png: cannot be read: it is a link to unmounted/x.png, where nothing is"],
    ),
    "a photograph that is a dead link": (
        lambda d: link_to_nowhere(d.photo("p3")),
        ["unreadable: 1 training photograph", "p3.png: cannot be read: it is a link to", "the exclusion list"],
    ),
    "an empty label map": (lambda d: d.label("p3").write_bytes(b""), ["p3.png: cannot be read: it is empty, 0 bytes"]),
    "a pipe": (
        lambda d: (d.test("t0").unlink(), os.mkfifo(d.test("t0"))), ["t0.png: cannot be read: it is no file but a"],
    ),
    "names that are no UTF-8": (
        lambda d: (draw_photo(d.photo(CHINESE), 7), draw_label(d.label(CHINESE), 8)),
        ["names that are not UTF-8: 2 files", "风景.png in GB18030", "convmv -f gb18030"],
    ),
    "equal names in composed and decomposed form": (
        lambda d: [draw_photo(d.photo(unicodedata.normalize(form, "café")), 7) for form in ("NFC", "NFD")],
        ["names used twice in one folder: 2 files"],
    ),
}  # fmt: skip

PASSED: dict[str, tuple[Break, str, list[str]]] = {
    "hidden files": (lambda d: (d.folder / "test" / ".x.png").touch(), "note", ["hidden files: 1", ".x.png"]),
    "AppleDouble": (lambda d: (d.folder / "imgs" / "._p0.png").touch(), "note", ["metadata file of macOS: 1"]),
    "Thumbs.db": (lambda d: (d.folder / "test" / "Thumbs.db").touch(), "note", ["files of an operating system: 1"]),
    "other suffixes": (
        lambda d: [(d.folder / "test" / name).touch() for name in ("notes.txt", "README")],
        "note", ["passed over, files whose names do not end as those of images do: 2", "notes.txt"],
    ),
    "formats not taken": (
        lambda d: shutil.copy(d.test("t0"), d.test("t7").with_suffix(".gif")),
        "warning", ["passed over, images of formats that are not taken (.jpg, .jpeg, ", ".webp are): 1", "t7.gif"],
    ),
    "archives": (
        lambda d: (d.folder / "test" / "more.zip").touch(), "warning", ["archives, which are not", "more.zip"],
    ),
    "sub-folders": (
        lambda d: (d.folder / "test" / "more").mkdir(), "warning", ["sub-folders, which are not searched: 1"],
    ),
    "links to nowhere": (
        lambda d: (d.folder / "test" / "more").symlink_to("unmounted"),
        "warning", ["links to where nothing is: 1", "more"],
    ),
    "hidden folders": (lambda d: (d.folder / "test" / "__MACOSX").mkdir(), "note", ["hidden folders: 1", "__MACOSX"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", STOPS)
def test_a_file_that_cannot_be_used_stops(kind: str, data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    breaks, words = STOPS[kind]
    breaks(data)
    assert data.validate() == 1
    said = capsys.readouterr().err
    assert [word for word in words if word not in said or word not in data.report()] == []


@pytest.mark.parametrize("kind", PASSED)
def test_what_is_passed_over_is_counted_and_named(kind: str, data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    breaks, level, words = PASSED[kind]
    breaks(data)
    assert data.validate() == 0
    said = capsys.readouterr()
    assert f"{level}: passed over, " in said.err
    assert [word for word in words if word not in said.err or word not in data.report()] == []
    assert f"usable, {int(level == 'warning')} warning" in said.out


def test_suffixes_in_capitals_are_taken(data: Set) -> None:
    for file in (data.test("t0"), data.photo("p0")):
        file.rename(file.with_suffix(".PNG"))
    assert data.validate() == 0
    assert "usable, 0 warnings" in data.report()


def test_names_are_paired_in_whatever_form_they_come(data: Set) -> None:
    """An archive made on macOS holds `é` as two characters."""
    draw_photo(data.photo(unicodedata.normalize("NFD", "café")), 7)
    draw_label(data.label(unicodedata.normalize("NFC", "café")), 8)
    data.exclude = data.folder / "exclude.txt"
    data.exclude.write_text("p0\n")
    assert data.validate() == 0
    names = [pair.name for part in ("train", "holdout") for pair in read_manifest(data.folder / "out" / f"{part}.csv")]
    assert "café" in names
    data.exclude.write_text(unicodedata.normalize("NFD", "café"), encoding="utf-16")
    assert data.validate() == 0
    names = [pair.name for part in ("train", "holdout") for pair in read_manifest(data.folder / "out" / f"{part}.csv")]
    assert "café" not in names


def test_names_that_differ_in_case_are_told(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    data.photo("p0").rename(data.photo("P0"))
    draw_label(data.test("T0"), 9)
    assert data.validate() == 0
    said = capsys.readouterr().err
    assert "names that differ in case only: 1 group" in said
    assert "T0, t0" in said
    assert "rename files so that case agrees (P0.png and p0.png)" in data.report()


def test_layouts_search_on_but_not_in_circles(tmp_path: Path) -> None:
    plant("cityscapes", tmp_path)
    city = next((tmp_path / "leftImg8bit" / "train").iterdir())
    (city / "back").symlink_to(city.parent)
    (city / ".ipynb_checkpoints").mkdir()
    shutil.copy(next(city.glob("*.png")), city / ".ipynb_checkpoints")
    found = list_images([city.parent], "*_leftImg8bit.*", deep=True)
    assert len(found.taken) == 4
    assert {entry.reason for entry in found.passed} >= {"hidden folders"}


def test_other_doors_name_what_they_pass_over_too(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data.folder / "test"
    shutil.copy(data.test("t0"), folder / "t7.gif")
    link_to_nowhere(data.test("t0"))
    assert [one.name for one in label_files(folder)] == ["t0", "t1", "t2"]
    assert "test: 1 passed over, images of formats that are not taken" in capsys.readouterr().err
    data.test("t0").unlink()
    (folder / "t7.gif").unlink()
    draw_label(folder / f"{LATIN}.png", 1)
    for read in (find_images, list_image_files):
        with pytest.raises(ShanshuiError, match="not UTF-8") as caught:
            read(folder)
        assert is_text(str(caught.value))


def test_a_photograph_without_a_partner_but_for_its_form() -> None:
    pairing = pair_files([Path("cafe\u0301.jpg")], [Path("caf\u00e9.png")])
    assert [pair.name for pair in pairing.pairs] == ["caf\u00e9"]


# --- text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_by_its_mark(encoding: str) -> None:
    assert decode_text("风景\n".encode(encoding), "x.txt") == "风景\n"


def test_text_in_another_encoding_is_refused_by_name_line_and_encoding(tmp_path: Path) -> None:
    lists = tmp_path / "list.csv"
    lists.write_bytes("name,label\n风景,x.png\n".encode("gb18030"))
    for read in (read_csv, read_json):
        with pytest.raises(
            ShanshuiError, match=r"list\.csv is not UTF-8: byte 0xb7 in line 2; it may be GB18030, .*`风景"
        ):
            read(lists)
    with pytest.raises(ShanshuiError, match=r"list of scenes .*list\.csv is not UTF-8"):
        read_scenes(lists)
    with pytest.raises(ShanshuiError, match="broken UTF-16"):
        decode_text(b"\xff\xfea", "x.txt")


def test_an_exclusion_list_in_gbk_is_refused(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    data.exclude = data.folder / "exclude.txt"
    data.exclude.write_bytes("p0\n风景\n".encode("gb18030"))
    assert data.validate() == 1
    assert "exclude.txt is not UTF-8: byte 0xb7 in line 2" in capsys.readouterr().err


def test_csv_files_that_lack_something_are_named(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    for text, words in (
        ("name,photo\na,b\n", "has the columns name, photo"),
        ("name,label\na\n", "row 1 has not as many values"),
        ("name,label\na,b,c\n", "row 1 has not as many values"),
        ("", "has the columns nothing"),
    ):
        file.write_text(text)
        with pytest.raises(ShanshuiError, match=words):
            read_csv(file, ("name", "label"))


def test_a_name_that_is_no_text_is_not_half_written(tmp_path: Path) -> None:
    with pytest.raises(ShanshuiError, match="not UTF-8"):
        write_csv(tmp_path / "m.csv", [{"name": LATIN}], ["name"])
    assert list(tmp_path.iterdir()) == []


# --- what else is said --------------------------------------------------------------------------------


def turn(path: Path, number: int) -> None:
    exif = Image.Exif()
    exif[274] = number
    image = Image.open(path)
    image.load()
    image.save(path, exif=exif)


def test_turned_photographs_are_told(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    turn(data.photo("p1"), 3)
    assert data.validate() == 0
    assert "turned as their EXIF orientation says: 1 training photograph" in capsys.readouterr().err
    turn(data.photo("p1"), 6)
    assert data.validate() == 1
    said = capsys.readouterr().err
    assert "p1.png: 36x48" in said
    assert "of 1 pair one file is turned by its EXIF orientation and the other lies as it is stored" in said


@pytest.mark.parametrize(
    ("holdout", "batch", "advice"),
    [
        (7, 2, "set data.holdout to 6 or less, or add 1 pair, or lower pretrain.batch and finetune.batch to 1"),
        (8, 7, "set data.holdout to 0 and select.on to test, or add 7 pairs"),
        (500, 8, "set data.holdout to 0 and select.on to test, or add 500 pairs"),
        (2, 9, "add 1 pair, or lower pretrain.batch and finetune.batch to 8 or less"),
    ],
)
def test_advice_fits_the_numbers(
    holdout: int, batch: int, advice: str, data: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    data.settings |= {"holdout": holdout, "batch": batch}
    assert data.validate() == 1
    assert f"to do:    {advice}\n" in capsys.readouterr().err


def test_sets_of_one_are_known_before_training(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    data.settings["holdout"] = 1
    for name in ("t1", "t2"):
        data.test(name).unlink()
    assert data.validate() == 0
    said = capsys.readouterr().err
    assert "a single held-out pair: scores that compare sets of images cannot be measured on it" in said
    assert "a single test label map: scores" in said


def test_the_full_ade20k_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from test_layouts import check, config

    for phase, short in (("training", "train"), ("validation", "val")):
        folder = tmp_path / "root" / "images" / phase / "a" / "abbey"
        folder.mkdir(parents=True)
        for i in (1, 2, 3, 4):
            draw_photo(folder / f"ADE_{short}_{i:08d}.jpg", i)
            for kind in ("_seg", "_parts_1"):
                draw_photo(folder / f"ADE_{short}_{i:08d}{kind}.png", i)
    assert check(config("ade20k", tmp_path / "root"), tmp_path) == 1
    said = capsys.readouterr().err
    assert "this is the full ADE20K" in said
    assert ": 1 error\n" in said
    assert "ADEChallengeData2016" in said


def test_home_is_meant_by_a_tilde_on_the_command_line_too(
    data: Set, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(data.folder))
    monkeypatch.chdir(data.folder)
    write_json(data.folder / "settings.json", data.settings)
    folders = ["--train-images=~/imgs", "--train-labels=~/labels", "--test-labels=~/test"]
    assert main(["validate", *folders, "--settings=~/settings.json", "--out=~/out"]) == 0
    assert (data.folder / "out" / "train.csv").exists()
    assert not (data.folder / "~").exists()
    assert at_home(["test=~/a", "x=b", "~/c", "~"]) == [
        f"test={data.folder}/a",
        "x=b",
        f"{data.folder}/c",
        f"{data.folder}",
    ]
    (data.folder / "~").mkdir()
    assert at_home(Path("~")) == Path("~")
