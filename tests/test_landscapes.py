"""The embedded dataset: what is drawn, that it repeats, and that photo and label map agree."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from shanshui.errors import ShanshuiError
from shanshui.landscapes import draw_landscape, noise
from shanshui.landscapes.camera import Slices, View, cut, trace, trace_mirrored
from shanshui.landscapes.light import choose_light, to_display
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scene import develop, majority
from shanshui.landscapes.scenes import PURE, SCENES
from shanshui.stages import landscapes as stage
from shanshui.storage.files import read_json, write_json
from shanshui.storage.size import Size

SKY, MOUNTAIN, GRASS, TREE = 1, 0, 12, 5
WATERS = {2, 3, 8, 20}
PURE_CLASS = {
    "only_sky": 1, "only_sea": 3, "only_grass": 12, "only_mountain": 0, "only_trees": 5, "only_sand": 9,
}  # fmt: skip


def sunny(seed: int) -> bool:
    return choose_light(RandomSource(seed, 1)).name == "day"


@pytest.fixture(scope="module")
def album() -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Seed, photo and label map of every kind of scene, twice."""
    return [(seed, *draw_landscape(seed, Size(72, 96), name)) for i, name in enumerate(SCENES) for seed in (i, i + 50)]


def test_same_seed_same_bytes_and_other_seed_other_picture() -> None:
    photo, label_map = draw_landscape(5, Size(48, 64))
    again, label_again = draw_landscape(5, Size(48, 64))
    assert photo.tobytes() == again.tobytes()
    assert label_map.tobytes() == label_again.tobytes()
    assert not np.array_equal(photo, draw_landscape(6, Size(48, 64))[0])


def test_seeds_vary_scene_and_light_and_most_are_daylight() -> None:
    kinds = {tuple(np.unique(draw_landscape(seed, Size(24, 32))[1])) for seed in range(12)}
    assert len(kinds) >= 7
    names = Counter(choose_light(RandomSource(seed, 1)).name for seed in range(400))
    assert set(names) == {"day", "golden", "dawn", "dusk", "overcast", "night"}
    assert names["day"] > 200


def test_pictures_have_the_promised_form(album: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
    for seed, photo, label_map in album:
        assert photo.shape == (72, 96, 3), seed
        assert photo.dtype == label_map.dtype == np.uint8
        assert label_map.shape == (72, 96)
        assert label_map.max() <= 28
        assert photo.std() > 8, f"seed {seed} is nearly blank"
        assert (photo.min(axis=-1) == 255).mean() < 0.15, f"seed {seed} is overexposed"


def test_classes_are_many_over_the_set_and_several_per_picture(
    album: list[tuple[int, np.ndarray, np.ndarray]],
) -> None:
    seen: Counter[int] = Counter()
    sizes = []
    for _, _, label_map in album:
        ids = np.unique(label_map)
        seen.update(ids.tolist())
        sizes.append(len(ids))
    assert len(seen) >= 20
    assert 4 <= np.median(sizes) <= 9
    assert min(sizes) >= 2


@pytest.mark.parametrize("name", PURE)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pure_scenes_hold_one_class(name: str, seed: int) -> None:
    assert np.unique(draw_landscape(seed, Size(48, 64), name)[1]).tolist() == [PURE_CLASS[name]]


@pytest.mark.parametrize(("name", "least"), [("lake", 0.80), ("river", 0.80), ("ridges", 0.80), ("road", 0.80)])
def test_a_seed_is_the_same_scene_at_every_size(name: str, least: float) -> None:
    for seed in (3, 4):
        _, small = draw_landscape(seed, Size(48, 64), name)
        _, large = draw_landscape(seed, Size(192, 256), name)
        assert (small == large[2::4, 2::4]).mean() > least


@pytest.mark.parametrize("size", [(16, 16), (65, 43), (40, 120), (200, 50)])
def test_any_size_and_shape_works(size: tuple[int, int]) -> None:
    photo, label_map = draw_landscape(11, Size(*size))
    assert photo.shape == (*size, 3)
    assert label_map.shape == size


def test_colours_follow_the_classes(album: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
    """In daylight grass and trees are green, trees the darker; the sky is brighter than the woods and not green."""
    means: dict[int, list[np.ndarray]] = {SKY: [], GRASS: [], TREE: []}
    for seed, photo, label_map in album:
        if sunny(seed):
            for label, found in means.items():
                if (label_map == label).sum() > 50:
                    found.append(photo[label_map == label].mean(axis=0))
    sky, grass, tree = (np.mean(means[label], axis=0) for label in (SKY, GRASS, TREE))
    assert grass[1] > grass[2] + 20
    assert grass[1] > grass[0] - 15
    assert tree.mean() < grass.mean() - 10
    assert sky.mean() > tree.mean() + 60
    assert sky[2] > sky[0]


def test_the_label_map_is_crisp(album: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
    """Few pixels stand alone among four neighbours of other classes."""
    alone = []
    for _, _, m in album:
        centre = m[1:-1, 1:-1]
        differ = [centre != side for side in (m[:-2, 1:-1], m[2:, 1:-1], m[1:-1, :-2], m[1:-1, 2:])]
        alone.append(np.logical_and.reduce(differ).mean())
    assert np.mean(alone) < 0.01


def test_wrong_wishes_are_refused() -> None:
    with pytest.raises(ShanshuiError, match="unknown scene 'moon'"):
        draw_landscape(0, Size(48, 64), "moon")
    with pytest.raises(ShanshuiError, match="8x48"):
        draw_landscape(0, Size(48, 8))
    with pytest.raises(ShanshuiError, match="seed -1"):
        draw_landscape(-1, Size(48, 64))


def test_lookup_equals_periodic_bilinear_interpolation() -> None:
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-700, 1500, (2, 40, 30)).astype(np.float32)
    expected = ndimage.map_coordinates(noise.fbm(), (v, u), order=1, mode="grid-wrap", prefilter=False)
    np.testing.assert_allclose(noise.sample(noise.fbm(), u, v), expected, atol=2e-3)


def test_textures_are_seamless() -> None:
    for texture in (noise.fbm(), noise.crowns(), noise.towers()):
        inside = np.abs(np.diff(texture, axis=0)).mean()
        seam = np.abs(texture[0] - texture[-1]).mean()
        assert seam < 2 * inside


def flat_and_wall(view: View) -> Slices:
    """Level ground at height 0 and a wall 40 m high at 100 m."""
    return cut(view, lambda x, z: np.where(z > 100, 40.0, 0.0) + 0 * x)


def test_level_ground_and_a_wall_stand_where_perspective_puts_them() -> None:
    view = View(40, 400, focal=1.2, horizon=0.5, eye=4.0, far=3000)
    ground = trace(view, flat_and_wall(view), water=False)
    row = np.arange(ground.top, 400) + 0.5
    on_floor = row > float(view.row(0.0, 100.0)) + 2
    expected = 400 * 1.2 * 4.0 / (row - 200)
    np.testing.assert_allclose(ground.z[on_floor, 20], expected[on_floor], rtol=1e-3)
    first_hit = ground.top + int(np.argmax(ground.hit[:, 20]))
    assert abs(first_hit - float(view.row(40.0, 100.0))) < 5
    np.testing.assert_allclose(ground.h[on_floor, 20], 0, atol=1e-3)


def test_water_mirrors_the_wall_upside_down() -> None:
    """The top of a wall of height h is mirrored where a point at height -h would be seen."""
    view = View(8, 400, focal=1.2, horizon=0.5, eye=4.0, far=3000)
    distances = flat_and_wall(view).z
    z, h = trace_mirrored(
        view, Slices(distances, np.where(distances > 100, 20.0, -1.0) + np.zeros((1, 8))), np.zeros(8), 200, 400
    )
    rows_of_wall = 200 + np.flatnonzero(np.isfinite(z[:, 4]))
    assert abs(rows_of_wall.max() - float(view.row(-20.0, 100.0))) < 5
    top = rows_of_wall.max() - 200
    assert h[top, 4] == pytest.approx(20, abs=1)
    assert not np.isfinite(z[top + 6 :, 4]).any()


def test_majority_takes_the_most_frequent() -> None:
    blocks = np.array([[1, 2, 3, 3], [2, 2, 4, 5]], np.uint8)
    assert majority(blocks).tolist() == [[2, 3]]


def test_film_curve_rises_and_keeps_black() -> None:
    shown = to_display(np.linspace(0, 8, 50, dtype=np.float32), 1.0)
    assert shown[0] == 0
    assert (np.diff(shown) >= 0).all()
    assert shown[-1] <= 1


def test_grain_hides_banding() -> None:
    """A slow gradient of light does not turn into flat steps."""
    light = np.broadcast_to(np.linspace(0.30, 0.32, 128)[:, None, None], (128, 128, 3)).astype(np.float32)
    photo = develop(light, 1.0, 1)
    assert all(len(np.unique(row)) > 1 for row in photo[:, :, 0])


def run_stage(out: Path, **given: object) -> None:
    parser = argparse.ArgumentParser()
    stage.add_arguments(parser)
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    stage.run(parser.parse_args([*words, "--out", str(out)]))


def digest_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_stage_writes_the_competitions_layout_and_repeats(tmp_path: Path) -> None:
    numbers = {"train": 5, "test": 3, "width": 48, "height": 36, "seed": 7, "pure": 0.4}
    run_stage(tmp_path / "a", **numbers)
    photos = sorted(f.stem for f in (tmp_path / "a/train/imgs").glob("*.jpg"))
    labels = sorted(f.stem for f in (tmp_path / "a/train/labels").glob("*.png"))
    assert photos == labels
    assert len(photos) == 5
    assert len(list((tmp_path / "a/test/labels").iterdir())) == 3
    assert not (tmp_path / "a/test/imgs").exists()
    for file in (tmp_path / "a").rglob("*.png"):
        picture = Image.open(file)
        assert (picture.mode, picture.size) == ("L", (48, 36))
    told = read_json(tmp_path / "a/landscapes.json")
    assert told["settings"] == numbers
    assert told["classes"]["1"]["name"] == "sky"
    maps = [np.unique(np.array(Image.open(f))) for f in (tmp_path / "a/train/labels").iterdir()]
    assert sum(len(ids) == 1 for ids in maps) == 2
    write_json(tmp_path / "settings.json", numbers)
    run_stage(tmp_path / "b", settings=tmp_path / "settings.json")
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")


def test_command_line_goes_before_the_settings_file(tmp_path: Path) -> None:
    write_json(tmp_path / "settings.json", {"train": 9, "test": 0, "width": 48, "height": 36})
    run_stage(tmp_path / "out", settings=tmp_path / "settings.json", train=1)
    assert len(list((tmp_path / "out/train/imgs").iterdir())) == 1


def test_classes_of_pure_test_maps_are_met_in_training() -> None:
    settings = stage.DrawingSettings(train=100, test=40, pure=0.05)
    train, test = ([scene for _, _, scene in stage.list_scenes(split, settings) if scene] for split in stage.SPLITS)
    assert len(train) == 5
    assert len(test) == 2
    assert set(test) <= set(train)


@pytest.mark.parametrize("wrong", [{"train": 0}, {"width": 4}, {"pure": 1.5}, {"seed": -3}])
def test_wrong_numbers_are_named_and_nothing_is_written(tmp_path: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(ShanshuiError, match=next(iter(wrong))):
        run_stage(tmp_path / "out", **{"train": 1, "test": 0, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_shadowless_light_and_every_cloud_can_be_drawn() -> None:
    """Each kind of cloud and time of day gives a finite picture (the album does not meet all of them)."""
    from shanshui.landscapes.light import CLOUDS
    from shanshui.landscapes.sky import paint_sky

    base = choose_light(RandomSource(1, 1))
    for clouds in (*CLOUDS, "overcast"):
        sky = paint_sky(View(40, 30), replace(base, clouds=clouds), 1)
        assert sky.shape == (30, 40, 3)
        assert np.isfinite(sky).all()
