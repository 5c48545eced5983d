"""The segmenter: its network and loss, its training that survives a kill, its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.architectures.segmenter import UNet, spread
from shanshui.architectures.segmenters import describe_segmenter, load_segmenter
from shanshui.backend.runtime import load_jittor
from shanshui.data.loader import TrainingPairs
from shanshui.errors import EXIT_INTERRUPTED, ShanshuiError
from shanshui.storage import checkpoint
from shanshui.storage.files import write_csv, write_json
from shanshui.storage.size import Size
from shanshui.training.resume import ResumeFolder
from shanshui.training.segmenting import SegmenterPlan, batches, cross_entropy, vary

jt = load_jittor()

CLASSES = ["sky", "ground"]


def two_colours(count: int, seed: int, width: int = 40, height: int = 36) -> tuple[np.ndarray, np.ndarray]:
    """Bluish above and brownish below a slanting line, with noise; a margin of the label maps has no class."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    at = generator.uniform(0.3, 0.7, (count, 1, 1)) * height + generator.uniform(-0.3, 0.3, (count, 1, 1)) * x
    label_maps = (y > at).astype(np.uint8)
    colours = np.array([[90, 120, 200], [150, 110, 60]])[label_maps]
    photos = np.clip(colours + generator.normal(0, 25, colours.shape), 0, 255).astype(np.uint8)
    label_maps[:, :, :3] = 255
    return photos, label_maps


def arrange(folder: Path, epochs: int = 4, tested: int = 4) -> list[str]:
    """Everything the stage reads, and its command line without `--resume` and `--weights`."""
    photos, label_maps = two_colours(20, seed=1)
    np.save(folder / "photos.npy", photos)
    np.save(folder / "label_maps.npy", label_maps)
    rows = []
    for i, (photo, label_map) in enumerate(zip(*two_colours(tested, seed=2, width=64, height=48), strict=True)):
        Image.fromarray(photo).save(folder / f"photo_{i}.png")
        Image.fromarray(label_map).save(folder / f"label_{i}.png")
        rows.append({"name": str(i), "image": folder / f"photo_{i}.png", "label": folder / f"label_{i}.png"})
    write_csv(folder / "holdout.csv", rows, ["name", "image", "label"])
    numbers = {"width": 32, "height": 32, "channels": 4, "epochs": epochs, "batch": 4, "lr": 0.02}
    data = {"classes": CLASSES, "label_offset": 0, "ignore_label": 255, "flip": True}
    write_json(folder / "settings.json", {"seed": 5, "segmenter": numbers, "data": data})
    files = {"settings": "settings.json", "photos": "photos.npy", "label-maps": "label_maps.npy"}
    paths = [f"--{option}={folder / name}" for option, name in files.items()]
    return ["segmenter", *paths, f"--holdout={folder / 'holdout.csv'}"]


def run(command: list[str], folder: Path, name: str) -> tuple[int, Path]:
    file = folder / f"{name}.safetensors"
    return main([*command, f"--resume={folder / name}", f"--weights={file}"]), file


# --- network and loss ---------------------------------------------------------------------------------


def test_logits_at_full_size_and_one_row_of_features_a_picture() -> None:
    net = UNet(num_classes=5, channels=4)
    logits, features = net.segment(jt.randn((3, 3, 32, 48)))
    assert tuple(logits.shape) == (3, 5, 32, 48)
    assert tuple(features.shape) == (3, 32)
    assert all(np.isfinite(value.numpy()).all() for value in (logits, features))


def test_every_fourth_of_the_channels_is_one_pixel_of_four() -> None:
    x = np.arange(2 * 12 * 2 * 3, dtype=np.float32).reshape(2, 12, 2, 3)
    parts = x.reshape(2, 2, 2, 3, 2, 3)  # (n, row, column, channel, h, w)
    expected = parts.transpose(0, 3, 4, 1, 5, 2).reshape(2, 3, 4, 6)
    np.testing.assert_array_equal(spread(jt.array(x), 3).numpy(), expected)


def test_cross_entropy_passes_over_pixels_without_a_class() -> None:
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((2, 3, 4, 5)).astype(np.float32) * 4
    ids = generator.integers(0, 3, (2, 4, 5))
    ids[0, 1:] = 255
    own = np.take_along_axis(logits, np.minimum(ids, 2)[:, None], 1)[:, 0].astype(np.float64)
    lost = np.log(np.exp(logits.astype(np.float64)).sum(1)) - own
    found = cross_entropy(jt.array(logits), jt.array(ids.astype(np.int32)))
    assert found.item() == pytest.approx(lost[ids != 255].mean(), rel=1e-5)
    x = jt.array(logits)
    slope = jt.grad(cross_entropy(x, jt.array(ids.astype(np.int32))), x).numpy()
    assert not slope[0, :, 1:].any()
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = (softmax - (ids[:, None] == np.arange(3)[:, None, None])) / (ids != 255).sum()
    np.testing.assert_allclose(slope[1], expected[1], atol=1e-6)
    nothing = cross_entropy(jt.array(logits), jt.array(np.full((2, 4, 5), 255, np.int32)))
    assert nothing.item() == 0


# --- what chance does ---------------------------------------------------------------------------------


def test_photograph_and_label_map_move_together() -> None:
    label_map = np.zeros((40, 60), np.uint8)
    label_map[12:30, 20:] = 1
    photo = np.where(label_map[..., None] == 1, 220, 30).astype(np.uint8).repeat(3, axis=2)
    rng, places, mirrored = np.random.default_rng(0), set(), []
    for _ in range(20):
        image, ids = vary(photo, label_map, Size(32, 48), flip=True, rng=rng)
        assert image.shape == (3, 32, 48)
        assert image.dtype == np.float32
        assert np.abs(image).max() <= 1
        middle = (image.min() + image.max()) / 2
        assert ((image[0] > middle) == (ids == 1)).mean() > 0.97
        places.add(ids.tobytes())
        mirrored.append(ids[:, 0].any())  # no window reaches the right part with its left edge
    assert len(places) > 10
    assert 4 < sum(mirrored) < 16
    assert not any(vary(photo, label_map, Size(32, 48), flip=False, rng=rng)[1][:, 0].any() for _ in range(20))


def test_an_epoch_takes_every_pair_once_and_is_always_the_same() -> None:
    photos = np.zeros((10, 16, 16, 3), np.uint8)
    label_maps = np.tile(np.arange(10, dtype=np.uint8)[:, None, None], (1, 16, 16))
    pairs, plan = TrainingPairs(photos, label_maps), SegmenterPlan(Size(16, 16), 3, 4, 0.1, True, seed=7)

    def seen(epoch: int) -> list[list[int]]:
        return [ids[:, 0, 0].tolist() for _, ids in batches(pairs, plan, epoch)]

    assert [len(batch) for batch in seen(1)] == [4, 3, 3]
    assert sorted(i for batch in seen(1) for i in batch) == list(range(10))
    assert seen(1) == seen(1) != seen(2)


# --- the stage ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Path]:
    folder = tmp_path_factory.mktemp("segmenter")
    command = arrange(folder)
    code, file = run(command, folder, "first")
    assert code == 0
    return folder, command, file


def test_two_colours_are_learnt(trained: tuple[Path, list[str], Path]) -> None:
    segmenter = load_segmenter(trained[2], CLASSES)
    real = segmenter.meta["real"]
    assert real["n"] == 4
    assert real["mask_accuracy"] > 0.95
    assert real["miou"] > 0.9
    assert segmenter.meta["training"] == {"epochs": 4, "batch": 4, "lr": 0.02, "flip": True}
    assert "shanshui" in segmenter.meta
    photos, label_maps = two_colours(20, seed=3, width=32, height=32)
    ids, features = segmenter.segment(photos)
    assert ids.dtype == np.uint8
    assert (ids == label_maps)[label_maps != 255].mean() > 0.95
    assert features.shape == (20, 32)
    assert features.dtype == np.float32
    np.testing.assert_allclose(segmenter.segment(photos[17:])[1], features[17:], rtol=1e-4, atol=1e-5)
    assert f"right in {real['mask_accuracy']:.1%} of the pixels of 4 real" in describe_segmenter(
        segmenter.identity, segmenter.facts
    )


def test_a_killed_training_goes_on_to_the_same_bytes(
    trained: tuple[Path, list[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, command, file = trained
    code, again = run(command, folder, "again")
    assert (code, again.read_bytes()) == (0, file.read_bytes())
    save = ResumeFolder.save

    def save_and_die(self: ResumeFolder, epoch: int, arrays: dict[str, Any], meta: dict[str, Any]) -> None:
        save(self, epoch, arrays, meta)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumeFolder, "save", save_and_die)
        code, killed = run(command, folder, "killed")
    assert code == EXIT_INTERRUPTED
    assert not killed.exists()
    code, killed = run(command, folder, "killed")
    assert (code, killed.read_bytes()) == (0, file.read_bytes())


def test_without_held_out_pairs_nothing_is_claimed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, file = run(arrange(tmp_path, epochs=1, tested=0), tmp_path, "out")
    assert code == 0
    assert "not tested" in capsys.readouterr().out
    segmenter = load_segmenter(file)
    assert segmenter.meta["real"] is None
    assert "not measured" in describe_segmenter(segmenter.identity, segmenter.facts)


# --- its file -----------------------------------------------------------------------------------------


def test_files_that_do_not_fit_are_refused(trained: tuple[Path, list[str], Path], tmp_path: Path) -> None:
    loaded = checkpoint.load(trained[2])
    meta = {name: value for name, value in loaded.meta.items() if name not in ("shanshui", "python")}
    file = tmp_path / "other.safetensors"

    def refused(words: str, **changes: Any) -> None:
        checkpoint.save(file, loaded.arrays, **{**meta, **changes})
        with pytest.raises(ShanshuiError, match=words):
            load_segmenter(file, CLASSES).segment(np.zeros((1, 32, 32, 3), np.uint8))

    refused("of kind 'generator'", kind="generator")
    refused("architecture 'oracle'", architecture="oracle")
    refused("other classes: 2, with 'sea' as number 0", classes=["sea", "ground"])
    refused("other classes: 3, with 'water' as number 2", classes=[*CLASSES, "water"])
    refused("does not fit the network", channels=8)
    with pytest.raises(ShanshuiError, match="does not exist"):
        load_segmenter(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="the segmenter takes"):
        load_segmenter(trained[2]).segment(np.zeros((1, 16, 32, 3), np.uint8))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": None}, "classes"),
        ({"classes": [1, 2]}, "classes"),
        ({"width": "64"}, "width"),
        ({"height": 0, "width": None}, "width, height"),
    ],
)
def test_incomplete_description_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    meta = {"kind": "segmenter", "architecture": "unet", "classes": ["sky", "sea"], "width": 64, "height": 48}
    path = tmp_path / "segmenter.safetensors"
    checkpoint.save(
        path, {"a": np.zeros(1, np.float32)}, **{k: v for k, v in (meta | changed).items() if v is not None}
    )
    with pytest.raises(ShanshuiError, match=f"does not say as this version does: {said}"):
        load_segmenter(path)
