"""Pictures from a weights file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui import checkpoint
from shanshui.__main__ import main

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny generator with noise, and three label maps."""
    from shanshui.modules import gather
    from shanshui.networks import build_generator
    from shanshui.runtime import seed_everything
    from shanshui.training.rehearsal import SETTINGS

    folder = tmp_path_factory.mktemp("generate")
    seed_everything(0)
    settings: dict[str, Any] = {**SETTINGS, "parity": {**SETTINGS["parity"], "seg_noise_init": "xavier"}}
    G, E = build_generator(settings, seg_noise=True, heads=0)
    arrays = checkpoint.prefixed("G", gather(G)) | checkpoint.prefixed("E", gather(E))
    arrays = {n: a * 300 if "seg_noise_var.weight" in n else a for n, a in arrays.items()}
    data = {**settings["data"], "width": 128, "height": 64, "label_offset": 0, "ignore_label": None}
    meta = {**settings, "data": data, "heads": 0, "seg_noise": True, "level": None, "alpha": 0.0}
    checkpoint.save(folder / "w.safetensors", arrays, kind="generator", **meta)
    rng = np.random.default_rng(0)
    (folder / "labels").mkdir()
    for name in NAMES:
        coarse = rng.integers(0, 3, (8, 16)).astype(np.uint8)
        Image.fromarray(coarse.repeat(8, 0).repeat(8, 1)).save(folder / "labels" / f"{name}.png")
    return folder


def generate(folder: Path, out: str, *arguments: str) -> dict[str, np.ndarray]:
    """Float pictures by name."""
    common = ["--weights", str(folder / "w.safetensors"), "--labels", str(folder / "labels"), "--format", "npy"]
    assert main(["generate", *common, "--out", str(folder / out), *arguments]) == 0
    return {path.stem: np.load(path) for path in sorted((folder / out).iterdir())}


@pytest.fixture(scope="module")
def pictures(workplace: Path) -> dict[str, np.ndarray]:
    return generate(workplace, "one", "--seed", "4", "--batch", "1")


def test_pictures_are_floats_in_range(pictures: dict[str, np.ndarray]) -> None:
    assert list(pictures) == list(NAMES)
    for picture in pictures.values():
        assert (picture.dtype, picture.shape) == (np.float32, (3, 64, 128))
        assert np.abs(picture).max() <= 1


def test_batch_does_not_change_the_pictures(workplace: Path, pictures: dict[str, np.ndarray]) -> None:
    batched = generate(workplace, "three", "--seed", "4", "--batch", "3")
    for name, picture in pictures.items():
        assert np.array_equal(batched[name], picture)


def test_seeds_differ_and_noise_can_be_switched_off(workplace: Path, pictures: dict[str, np.ndarray]) -> None:
    other = generate(workplace, "other", "--seed", "5")
    silent = generate(workplace, "silent", "--noise", "off", "--seed", "4")
    again = generate(workplace, "again", "--noise", "off", "--seed", "5")
    assert np.abs(other["a"] - pictures["a"]).max() > 1e-3
    assert np.abs(silent["a"] - pictures["a"]).max() > 1e-3
    assert np.array_equal(silent["a"], again["a"])


def test_wrong_label_leaves_no_folder(workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    Image.new("L", (128, 64), 9).save(labels / "bad.png")
    weights = str(workplace / "w.safetensors")
    code = main(["generate", "--weights", weights, "--labels", str(labels), "--out", str(tmp_path / "out")])
    assert code == 1
    assert "bad.png" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sizes_the_network_cannot_make_are_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--weights", str(workplace / "w.safetensors"), "--labels", str(workplace / "labels")]
    assert main(["generate", *arguments, "--out", str(workplace / "x"), "--size", "100x64"]) == 2
    assert "multiples of 32" in capsys.readouterr().err
