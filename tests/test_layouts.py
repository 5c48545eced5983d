"""Layouts: each from its files to prepared pairs, on drawn trees and real samples; what is said of broken ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from layout_trees import PAIRS, SIZE, TESTS, TREES, Tree, file, ids, plant, save
from made_sets import Pairs
from PIL import Image

from shanshui.__main__ import main
from shanshui.config.schema import Config
from shanshui.config.sections import Data
from shanshui.config.settings import merge, stage_settings, validate
from shanshui.data.annotation_checks import palette_means_ids
from shanshui.data.layouts import LAYOUTS, completed
from shanshui.data.pairs import read_manifest
from shanshui.data.palette import class_palette
from shanshui.data.scan import LabelFacts
from shanshui.data.scenes import is_outdoor, read_scenes
from shanshui.errors import ShanshuiError, UsageError
from shanshui.pipeline.inputs_there import check_inputs
from shanshui.pipeline.run_paths import RunPaths
from shanshui.storage.files import write_json

SMALL = {"width": 64, "height": 64, "load_width": 64, "holdout": 1}
OWN = {"classes": ["sky", "sea", "sand"], "train_images": "x_a", "train_labels": "x_b", "test_labels": "y_b",
       "train_instances": "x_c", "test_instances": "y_c"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plot of the classes takes longer than all the rest and is tested elsewhere."""
    monkeypatch.setattr("shanshui.stages.validate.plot_classes", lambda path, *_: path.touch())


def config(layout: str, root: Path, **data: Any) -> Config:
    own: dict[str, Any] = {}
    if layout == "folders":
        own = {option: str(root / value) if isinstance(value, str) else value for option, value in OWN.items()}
    phases = {"pretrain": {"batch": 2}, "finetune": {"batch": 2}, "select": {"on": "test"}}
    return validate({"data": {"layout": layout, "root": str(root), **own, **SMALL, **data}, **phases})


def check(made: Config, out: Path) -> int:
    """Run `validate` as the workflow would."""
    write_json(out / "validate.json", stage_settings(made, "validate"))
    return main(
        ["validate", *RunPaths(made).validate_arguments(), f"--settings={out / 'validate.json'}", f"--out={out}"]
    )


def prepared(made: Config, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Photographs and label maps as training reads them."""
    write_json(out / "prepare.json", stage_settings(made, "prepare"))
    files = {
        "settings": "prepare.json",
        "pairs": "train.csv",
        "photos": "p.npy",
        "label-maps": "l.npy",
        "names": "n.json",
    }
    assert main(["prepare", *(f"--{option}={out / name}" for option, name in files.items())]) == 0
    return np.load(out / "p.npy"), np.load(out / "l.npy")


# --- what a layout says -------------------------------------------------------------------------------


def test_the_option_knows_every_layout() -> None:
    assert get_args(Data.model_fields["layout"].annotation) == tuple(LAYOUTS)
    assert LAYOUTS.keys() == TREES.keys()


def test_the_competition_is_what_the_options_default_to() -> None:
    usual = LAYOUTS["competition"].usual("data")
    assert usual == {option: getattr(Data(), option) for option in usual}
    assert validate({"data": {"root": "elsewhere"}}).data.train_labels == str(Path("elsewhere/train/labels"))


@pytest.mark.parametrize(
    ("layout", "count", "offset", "ignored", "size", "some"),
    [
        ("ade20k", 150, -1, 0, (256, 256, 286), {0: "wall", 2: "sky", 149: "flag"}),
        ("ade20k-outdoor", 150, -1, 0, (256, 256, 286), {4: "tree"}),
        ("coco-stuff", 182, 0, 255, (256, 256, 286), {0: "person", 91: "banner", 156: "sky-other", 181: "wood"}),
        ("cityscapes", 35, 0, None, (512, 256, 512), {7: "road", 23: "sky", 26: "car", 33: "bicycle"}),
        ("facades", 13, 0, None, (256, 256, 286), {1: "background", 12: "shop"}),
    ],
)  # fmt: skip
def test_what_a_dataset_brings(
    layout: str, count: int, offset: int, ignored: int | None, size: tuple[int, ...], some: dict[int, str]
) -> None:
    data = validate({"data": {"layout": layout}}).data
    assert len(set(data.classes)) == count
    assert {i: data.classes[i] for i in some} == some
    assert (data.label_offset, data.ignore_label) == (offset, ignored)
    assert (data.width, data.height, data.load_width) == size


def test_an_option_of_ones_own_counts_before_the_layouts_and_null_does_not() -> None:
    given = completed({"layout": "coco-stuff", "root": "c", "width": 128, "ignore_label": None, "test_labels": "mine"})
    assert (given["width"], given["height"], given["ignore_label"]) == (128, 256, 255)
    assert (given["train_labels"], given["test_labels"]) == (str(Path("c/train_label")), "mine")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"layout": "coco"}, "data.layout: Input should be 'competition'"),
        ({"layout": ["ade20k"]}, "data.layout"),
        ({"layout": "folders", "train_images": "a"}, "lacks data.train_labels, data.test_labels, data.classes"),
    ],
)  # fmt: skip
def test_a_layout_that_does_not_exist_or_knows_too_little(data: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate({"data": data})
    assert words in str(caught.value)


def test_landscapes_are_drawn_in_the_competitions_layout() -> None:
    drawn = {"train": 4, "test": 2, "width": 64, "height": 48}
    with pytest.raises(UsageError, match=r"draws landscapes, and data\.layout is facades"):
        validate({"landscapes": drawn, "data": {"layout": "facades"}})


def test_datasets_have_their_own_colours() -> None:
    assert class_palette(list(LAYOUTS["cityscapes"].classes))[[7, 23]].tolist() == [[128, 64, 128], [70, 130, 180]]
    assert class_palette(list(LAYOUTS["ade20k"].classes))[2].tolist() == [6, 230, 230]
    assert class_palette(["sky", "ground"])[0].tolist() == [126, 190, 236]
    assert len({tuple(colour) for colour in class_palette(list(LAYOUTS["coco-stuff"].classes)).tolist()}) > 150


def test_excerpts_of_the_documentation_are_valid_over_the_leaderboard_recipe(root: Path) -> None:
    text = (root / "docs" / "datasets.md").read_text(encoding="utf-8")
    base = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    found = [validate(merge(base, yaml.safe_load(part))).data for part in re.findall(r"```yaml\n(.*?)```", text, re.S)]
    named = {data.layout: data for data in found}
    assert named.keys() == LAYOUTS.keys() - {"ade20k-outdoor"}
    assert named["competition"] == Data()
    assert (named["cityscapes"].width, len(named["cityscapes"].classes)) == (512, 35)


# --- every layout, from files to prepared pairs -------------------------------------------------------


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "ade20k-outdoor"])
def test_from_a_tree_of_files_to_prepared_pairs(layout: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    tree, made = plant(layout, root), config(layout, root)
    assert check(made, tmp_path) == 0
    train, held, asked = (read_manifest(tmp_path / f"{part}.csv") for part in ("train", "holdout", "test"))
    pairs = sorted([*train, *held], key=lambda pair: pair.name)
    phase, other = tree.phases
    assert [pair.name for pair in pairs] == [tree.name(phase, i) for i in range(1, PAIRS + 1)]
    assert [pair.name for pair in asked] == [tree.name(other, i) for i in range(1, TESTS + 1)]
    assert [pair.image for pair in pairs] == [file(tree, "photo", root, phase, i) for i in range(1, PAIRS + 1)]
    assert [pair.label for pair in asked] == [file(tree, "label", root, other, i) for i in range(1, TESTS + 1)]
    for pair, of, i in ((pairs[0], phase, 1), (asked[1], other, 2)):
        assert pair.instance == (file(tree, "instances", root, of, i) if tree.instances else None)
    photos, label_maps = prepared(made, tmp_path)
    data = made.data
    assert photos.shape == (PAIRS - 1, 64, 64, 3)
    meant = {255 if value == data.ignore_label else value + data.label_offset for value in tree.values}
    assert set(np.unique(label_maps)) == meant


def test_a_manifest_without_instance_maps_is_as_ever(tmp_path: Path) -> None:
    plant("facades", tmp_path / "root")
    assert check(config("facades", tmp_path / "root"), tmp_path) == 0
    assert (tmp_path / "train.csv").read_text().splitlines()[0] == "name,image,label,content"
    assert list(RunPaths(config("facades", tmp_path / "root")).folders()) == [
        "train-images",
        "train-labels",
        "test-labels",
    ]


def test_a_dataset_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ShanshuiError, match=rf"gtFine.val does not exist\n.*cityscapes in data\.root, {tmp_path}"):
        check_inputs(config("cityscapes", tmp_path))


def test_folders_whose_names_end_in_portrait_are_read_too(tmp_path: Path) -> None:
    root = tmp_path / "root"
    plant("coco-stuff", root)
    for kind in ("img", "label", "inst"):
        folder = root / f"train_{kind}_portrait"
        folder.mkdir()
        moved = next((root / f"train_{kind}").glob("t001.*"))
        moved.rename(folder / moved.name)
    made = config("coco-stuff", root)
    before = RunPaths(made).fingerprint()
    assert check(made, tmp_path) == 0
    pairs = [pair for part in ("train", "holdout") for pair in read_manifest(tmp_path / f"{part}.csv")]
    assert {pair.name: pair.label.parent.name for pair in pairs}["t001"] == "train_label_portrait"
    assert len(pairs) == PAIRS
    (root / "train_img_portrait" / "t001.jpg").write_bytes(b"other")
    assert RunPaths(made).fingerprint() != before


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    plant("cityscapes", tmp_path / "disk")
    for city in (tmp_path / "disk").glob("*/*/*"):
        link = tmp_path / "root" / city.relative_to(tmp_path / "disk")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(city)
    assert check(config("cityscapes", tmp_path / "root"), tmp_path) == 0
    assert len(read_manifest(tmp_path / "train.csv")) == PAIRS - 1


# --- outdoor scenes -----------------------------------------------------------------------------------


def test_outdoor_scenes_alone_are_taken(tmp_path: Path) -> None:
    root = tmp_path / "root"
    plant("ade20k-outdoor", root)
    assert check(config("ade20k-outdoor", root), tmp_path) == 0
    pairs = [pair.name for part in ("train", "holdout") for pair in read_manifest(tmp_path / f"{part}.csv")]
    assert sorted(pairs) == ["ADE_train_00000001", "ADE_train_00000003", "ADE_train_00000004"]
    assert [pair.name for pair in read_manifest(tmp_path / "test.csv")] == ["ADE_val_00000001"]
    assert "left out as not outdoor" in (tmp_path / "report.md").read_text()


def test_a_list_of_scenes_that_is_missing_or_has_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    plant("ade20k-outdoor", root)
    scenes = root / "sceneCategories.txt"
    made, kept = config("ade20k-outdoor", root, holdout=0), scenes.read_text().splitlines()
    scenes.write_text("\n".join(kept[1:]))
    assert check(made, tmp_path) == 0
    assert "sceneCategories.txt: 1 name" in capsys.readouterr().err
    scenes.unlink()
    assert check(made, tmp_path) == 0
    assert "there is no sceneCategories.txt: every image is taken" in capsys.readouterr().err
    assert len(read_manifest(tmp_path / "train.csv")) == PAIRS
    scenes.write_text("\n".join(f"{line.split()[0]} bathroom" for line in kept))
    assert check(made, tmp_path) == 1
    assert "holds 4 images, none of an outdoor scene" in capsys.readouterr().err


def test_scenes_as_they_are_written(tmp_path: Path) -> None:
    assert all(map(is_outdoor, ("street", "Forest-Path", "/b/bazaar/outdoor", "balcony_exterior", "desert/sand")))
    assert not any(map(is_outdoor, ("bathroom", "bazaar_indoor", "streetcar_interior", "")))
    (tmp_path / "s.txt").write_text("a street\n\nb  living room\n")
    assert read_scenes(tmp_path / "s.txt") == {"a": "street", "b": "living room"}
    (tmp_path / "s.txt").write_text("a\n")
    with pytest.raises(ShanshuiError, match="no list of scenes"):
        read_scenes(tmp_path / "s.txt")


# --- what is wrong with a tree ------------------------------------------------------------------------


def repaint(path: Path, order: list[int], colours: np.ndarray) -> None:
    """Make a palette file of ids: value i takes the place of `order[i]`, in the colour of that class."""
    before = np.asarray(Image.open(path))
    after = np.zeros_like(before)
    for value, meant in enumerate(order):
        after[before == meant] = value
    image = Image.fromarray(after).convert("P")
    image.putpalette(colours[order].ravel().tolist())
    image.putdata(after.ravel().tolist())
    image.save(path)


PAINTED = np.full((*SIZE[::-1], 3), (9, 0, 0), np.uint8)


def by_chance(tree: Tree, root: Path) -> None:
    repaint(file(tree, "label", root, "train", 1), [33, 0, 7], class_palette(list(LAYOUTS["cityscapes"].classes)))


BROKEN: dict[str, tuple[str, Callable[[Tree, Path], Any], int, list[str]]] = {
    "no label map": (
        "cityscapes", lambda t, r: file(t, "label", r, "train", 1).unlink(), 0,
        ["without label map of the same name: 1 training photograph"],
    ),
    "values beyond the classes": (
        "coco-stuff", lambda t, r: save(file(t, "label", r, "train", 2), ids(0, (0, 182)).astype(np.uint8)), 1,
        ["no class: 1 training label map", "t002.png: value 182 (", "expected: 0 to 181, or 255 in the file for no"],
    ),
    "ADE20K's values beyond the classes": (
        "ade20k", lambda t, r: save(file(t, "label", r, "validation", 2), ids(0, (0, 151)).astype(np.uint8)), 1,
        ["value 151 (", "0 to 149 after adding data.label_offset -1, or 0 in the file"],
    ),
    "colours": (
        "facades", lambda t, r: save(file(t, "label", r, "train", 1), PAINTED), 1,
        ["in colour: 1 training label map", "t001.png: is a colour image (mode RGB)", "convert the colours to class"],
    ),
    "colours made into a palette": (
        "cityscapes", by_chance, 1,
        ["whose numbers are not those of the classes they show: 1 training label map",
         "value 0 has the colour of bicycle (33)", "numbered arbitrarily"],
    ),
    "no such files": (
        "cityscapes", lambda t, r: [p.rename(p.with_name("x.png")) for p in r.glob("gtFine/val/*/*Ids.png")], 1,
        ["gtFine/val holds no images", "files named *_labelIds.png", "set data.test_labels"],
    ),
    "an instance map is missing": (
        "coco-stuff", lambda t, r: file(t, "instances", r, "val", 1).unlink(), 0,
        ["without instance map: 1 test label map"],
    ),
    "an instance map of another size": (
        "coco-stuff", lambda t, r: save(file(t, "instances", r, "train", 1), np.zeros((5, 6), np.uint8)), 1,
        ["instance map and label map differ in size: 1 training label map", "inst/t001.png: 6x5", "t001.png: 24x20"],
    ),
    "an instance map in colour": (
        "coco-stuff", lambda t, r: save(file(t, "instances", r, "train", 1), PAINTED), 1,
        ["unreadable: 1 instance map of training label maps", "is a colour image"],
    ),
    "an instance map without objects": (
        "cityscapes", lambda t, r: save(file(t, "instances", r, "val", 2), np.zeros(SIZE[::-1], np.uint16)), 0,
        ["a single number all over, though there are several classes: 1 instance map"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_named(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, breaks, code, words = BROKEN[kind]
    tree = plant(layout, tmp_path / "root")
    breaks(tree, tmp_path / "root")
    assert check(config(layout, tmp_path / "root"), tmp_path) == code
    said = capsys.readouterr().err
    assert [word for word in words if word not in said] == []


def test_a_palette_file_of_true_ids_passes(tmp_path: Path) -> None:
    tree = plant("cityscapes", tmp_path / "root")
    colours = class_palette(list(LAYOUTS["cityscapes"].classes))
    for i in range(1, PAIRS + 1):
        repaint(file(tree, "label", tmp_path / "root", "train", i), list(range(35)), colours)
    assert check(config("cityscapes", tmp_path / "root"), tmp_path) == 0


def test_colours_of_a_palette_are_compared_after_the_offset() -> None:
    classes = LAYOUTS["ade20k"].classes
    wall, building, sky = (tuple(colour) for colour in class_palette(list(classes))[:3].tolist())
    right = LabelFacts(Path("x.png"), palette={0: (0, 0, 0), 1: wall, 2: building, 3: sky, 4: (1, 2, 3)})
    assert palette_means_ids([right], "label map", classes, -1) == []
    (found,) = palette_means_ids([right], "label map", classes, 0)
    assert found.files == (
        "x.png: value 1 has the colour of wall (0), value 2 has the colour of building (1), "
        "value 3 has the colour of sky (2)",
    )
    assert palette_means_ids([right], "label map", ["no", "such", "dataset"], 0) == []


# --- real samples -------------------------------------------------------------------------------------


def test_real_coco_stuff(pairs: Pairs, tmp_path: Path) -> None:
    made = config("coco-stuff", pairs("coco_stuff_sample"), holdout=3)
    assert check(made, tmp_path) == 0
    train, asked = read_manifest(tmp_path / "train.csv"), read_manifest(tmp_path / "test.csv")
    assert (len(train), len(asked)) == (10, 8)
    assert all(pair.instance and pair.instance.stem == pair.name for pair in [*train, *asked])
    photos, label_maps = prepared(made, tmp_path)
    assert photos.shape == (10, 64, 64, 3)
    assert set(np.unique(label_maps)) <= {*range(182), 255}
    assert (label_maps == 255).any()
    assert "pixels on an edge between objects" in (tmp_path / "report.md").read_text()


def test_real_street_scenes_by_their_root(pairs: Pairs, tmp_path: Path) -> None:
    names = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
             "unlabelled"]  # fmt: skip
    root = tmp_path / "root"
    for part, suffix in (("train/imgs", "jpg"), ("train/labels", "png"), ("test/labels", "png")):
        (root / part).mkdir(parents=True)
        for path in sorted((pairs("camvid") / part).glob(f"*.{suffix}"))[:12]:
            (root / part / path.name).symlink_to(path)
    made = config("competition", root, classes=names)
    assert check(made, tmp_path) == 0
    _, label_maps = prepared(made, tmp_path)
    assert label_maps.shape == (11, 64, 64)
    assert label_maps.max() <= 11
