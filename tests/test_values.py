"""Numbers that are in range and mean nothing: label maps scaled or stored as shades, palettes numbered by chance."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_sets import Pairs, areas
from PIL import Image
from small_set import Set, set_pixels, small_set

from shanshui.data.seams import OF_A_SET, Seams, seams, together
from shanshui.landscapes.scene import draw_landscape
from shanshui.storage.size import Size

CLASSES = [f"class {i}" for i in range(9)]
Way = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def data(tmp_path: Path) -> Set:
    """The small set with label maps of areas, of the size of its photographs."""
    made = small_set(tmp_path)
    made.settings["classes"] = CLASSES
    for path in maps(made):
        Image.fromarray(areas(int(path.stem[1:]) + 10 * (path.parent.name == "test"), (48, 36))).save(path)
    return made


def maps(data: Set) -> list[Path]:
    return sorted(path for folder in ("labels", "test") for path in (data.folder / folder).iterdir())


def scaled(method: Image.Resampling, factor: float) -> Way:
    def scale(ids: np.ndarray) -> np.ndarray:
        size = (round(ids.shape[1] * factor), round(ids.shape[0] * factor))
        return np.asarray(Image.fromarray(ids).resize(size, method)).clip(0, 8)

    return scale


def through_jpeg(ids: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(ids).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file)).clip(0, 8)


WAYS = {
    "bilinear, up": scaled(Image.Resampling.BILINEAR, 1.5),
    "bilinear, twice": scaled(Image.Resampling.BILINEAR, 2),
    "bilinear, down": scaled(Image.Resampling.BILINEAR, 0.7),
    "bicubic, up": scaled(Image.Resampling.BICUBIC, 3),
    "area, down": scaled(Image.Resampling.BOX, 0.5),
    "JPEG and back": through_jpeg,
}
SOUND: dict[str, Way] = {
    "as drawn": lambda ids: ids,
    "nearest, up": scaled(Image.Resampling.NEAREST, 1.7),
    "nearest, down": scaled(Image.Resampling.NEAREST, 0.6),
    "two classes": lambda ids: (ids > 4).astype(np.uint8),
    "in order of depth": lambda ids: np.sort(ids, axis=0),
    "one class": np.zeros_like,
    "noise": lambda ids: np.random.default_rng(ids.sum()).integers(0, 9, ids.shape, np.uint8),
    "noise of few": lambda ids: np.random.default_rng(ids.sum()).integers(0, 3, ids.shape, np.uint8),
    "stripes": lambda ids: np.arange(ids.size, dtype=np.uint8).reshape(ids.shape) % 9,
    "tiny": lambda ids: ids[:2, :3],
    "one pixel": lambda ids: ids[:1, :1],
}


@pytest.mark.parametrize("way", WAYS)
def test_maps_scaled_as_shades_are_found(way: str) -> None:
    assert together([seams(WAYS[way](areas(seed, (192, 144)))) for seed in range(8)]).scaled(OF_A_SET)


@pytest.mark.parametrize("way", SOUND)
def test_sound_maps_are_not(way: str) -> None:
    found = [seams(SOUND[way](areas(seed, (192, 144)))) for seed in range(8)]
    assert not any(one.scaled() for one in found)
    assert not together(found).scaled(OF_A_SET)


def test_drawn_landscapes_are_sound() -> None:
    assert not any(seams(draw_landscape(seed, Size(64, 96))[1]).scaled() for seed in range(12))


def test_seams_of_a_ramp_and_of_an_object() -> None:
    def row(*numbers: int) -> Seams:
        return seams(np.array([numbers], np.uint8))

    assert row(0, 0, 4, 8, 8) == Seams(1, 0, 0)
    assert row(0, 0, 9, 8, 8) == Seams(0, 1, 0)
    assert row(0, 0, 8, 8, 8).plain == 1
    assert row(8, 8, 6, 4, 2, 0, 0).between == 1
    assert row(8, 8, 4, 4, 4, 0, 0).between == 0


@pytest.mark.parametrize("folder", ["labels", "test"])
def test_validate_stops_at_maps_scaled_as_shades(folder: str, data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (data.folder / folder).iterdir():
        Image.fromarray(WAYS["bilinear, twice"](np.asarray(Image.open(path)))).save(path)
    assert data.validate() == 1
    said = capsys.readouterr().err
    assert f"scaled, or stored, as images of shades: {8 if folder == 'labels' else 3} " in said
    assert "borders have numbers in between" in said
    assert "by nearest neighbour" in said


def test_a_single_scaled_map_among_sound_ones_is_found(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.validate() == 0
    Image.fromarray(WAYS["bilinear, twice"](areas(5, (48, 36)))).save(data.label("p5"))
    assert data.validate() == 1
    assert "images of shades: 1 training label map" in capsys.readouterr().err


def test_numbers_beyond_the_classes_from_scaling_get_no_advice_to_ignore_them(
    data: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in maps(data):
        ids = np.where(np.asarray(Image.open(path)) == 8, 255, np.asarray(Image.open(path)))
        Image.fromarray(ids).resize((96, 72), Image.Resampling.BILINEAR).save(path)
    data.settings["ignore_label"] = 255
    assert data.validate() == 1
    said = capsys.readouterr().err
    assert "pixel values that are no class: 8 training label maps" in said
    assert "create the label maps again: these were scaled or stored as shades" in said
    assert "correct the files, data.classes" not in said


# --- palettes -----------------------------------------------------------------------------------------

COLOURS = np.array([[9, 20, 31], [200, 30, 40], [10, 220, 90], [60, 70, 240], [250, 250, 3], [0, 200, 200], [90, 0, 90],
                    [255, 128, 0], [128, 64, 32]], np.uint8)  # fmt: skip


def paint(path: Path, order: np.ndarray) -> None:
    """Make a palette file whose number i stands for the class `order[i]`, in that one's colour."""
    before = np.asarray(Image.open(path))
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[before]).convert("P")
    image.putpalette(COLOURS[order].ravel().tolist())
    image.putdata(np.argsort(order)[before].ravel().tolist())
    image.save(path)


def test_palettes_of_one_table_pass(data: Set) -> None:
    for path in maps(data):
        paint(path, np.arange(9))
    assert data.validate() == 0


def test_palettes_numbered_by_chance_are_found(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    for i, path in enumerate(maps(data)):
        paint(path, np.random.default_rng(0).permutation(9) if i == 4 else np.arange(9))
    assert data.validate() == 1
    said = capsys.readouterr().err
    assert "palettes that number the same colours differently: 1 label map" in said
    assert "labels/p4.png: red " in said


def test_greys_made_into_a_palette_are_found(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    for path in maps(data):
        ids = np.asarray(Image.open(path)) // 4 * 4
        values = np.unique(ids)
        image = Image.fromarray(ids).convert("P")
        image.putpalette([int(value) for value in values for _ in range(3)])
        image.putdata(np.searchsorted(values, ids).ravel().tolist())
        image.save(path)
    assert data.validate() == 1
    assert "value 1 is the grey 4, value 2 is the grey 8" in capsys.readouterr().err


# --- advice -------------------------------------------------------------------------------------------


def each(data: Set, change: Way) -> None:
    for path in maps(data):
        Image.fromarray(change(np.asarray(Image.open(path))).astype(np.uint8)).save(path)


def one_void(ids: np.ndarray) -> np.ndarray:
    changed = ids + 1
    changed[:2, :2] = 255
    return changed


ADVICE: dict[str, tuple[Way, dict[str, object], str]] = {
    "from 1": (lambda ids: ids + 1, {}, "count from 1: set data.label_offset to -1\n"),
    "from 1, with a value for no class": (
        one_void, {}, "set data.label_offset to -1; and if 255 means no class, data.ignore_label to 255",
    ),
    "from 0, taken for 1": (lambda ids: ids, {"label_offset": -1}, "count from 0: set data.label_offset to 0"),
    "for the eye": (lambda ids: ids * 28, {}, "every value is a multiple of 28, as in images made for the eye"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ADVICE)
def test_advice_fits_what_happened(kind: str, data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    change, settings, words = ADVICE[kind]
    each(data, change)
    data.settings |= settings
    assert data.validate() == 1
    assert words in capsys.readouterr().err


def test_files_that_count_from_1_may_look_as_if_the_first_class_never_occurred(data: Set) -> None:
    each(data, lambda ids: np.where(ids == 0, 1, ids))
    assert data.validate() == 0
    assert "make sure that value 0 means class 0: files that count from 1 look the same" in data.report()


def move(folder: Path, step: int) -> None:
    for file in folder.iterdir():
        Image.fromarray(np.asarray(Image.open(file)) + np.uint8(step % 256)).save(file)


@pytest.mark.parametrize("folder", ["labels", "test"])
def test_ids_lowered_by_one_are_not_said_to_be_unlabelled(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """255 is class 0 there: left out as no class, every other class would be taken for the one before."""
    data = small_set(tmp_path)
    move(data.folder / folder, -1)
    assert data.validate() == 1
    said = capsys.readouterr().err
    assert "no file has value 2, the last class: ids lowered by one look like this" in said
    set_pixels(data.folder / folder / ("p0.png" if folder == "labels" else "t0.png"), 2, 1)
    assert data.validate() == 1
    assert "to do:    if 255 means no class, set data.ignore_label to 255" in capsys.readouterr().err


@pytest.mark.parametrize(("folder", "said"), [("test", "training plus 1"), ("labels", "training minus 1")])
def test_test_maps_numbered_otherwise_than_training_are_told(folder: str, said: str, tmp_path: Path) -> None:
    data = small_set(tmp_path)
    data.settings["classes"] = ["sky", "water", "tree", "ship"]
    move(data.folder / folder, 1)
    assert data.validate() == 0
    assert f"the ids of the test label maps are those of {said}" in data.report()


def test_test_maps_of_one_number_are_told(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    for file in (data.folder / "test").iterdir():
        Image.fromarray(np.full((36, 48), 1, np.uint8)).save(file)
    assert data.validate() == 0
    assert "a single value, 1, in all 3 test label maps" in data.report()
    set_pixels(data.test("t0"), 2, 1)
    assert data.validate() == 0
    assert "a single value" not in data.report()


def test_a_stray_value_is_no_sign_of_anything(data: Set, capsys: pytest.CaptureFixture[str]) -> None:
    set_pixels(data.label("p1"), 77, 3)
    assert data.validate() == 1
    assert "if 77 means no class, set data.ignore_label to 77" in capsys.readouterr().err


def test_real_label_maps_are_sound(pairs: Pairs) -> None:
    for name in pairs.names:
        files = sorted(file for file in pairs(name).rglob("*.png") if "label" in file.parent.name)[:40]
        found = [seams(np.asarray(Image.open(file))) for file in files]
        assert len(found) > 10
        assert [file.name for file, one in zip(files, found, strict=True) if one.scaled()] == []
        assert not together(found).scaled(OF_A_SET)
