"""Label maps predicted for photographs that have none, and training on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.architectures.segmenter import build
from shanshui.architectures.segmenters import load_segmenter
from shanshui.backend.modules import gather
from shanshui.backend.runtime import seed_everything
from shanshui.config.settings import stage_settings, validate
from shanshui.data.pairs import read_manifest
from shanshui.pipeline.run_paths import RunPaths
from shanshui.storage import checkpoint
from shanshui.storage.files import read_json, sha256, write_json

CLASSES = ["sky", "ground", "sea"]
SIZES = [(40, 30), (32, 32), (50, 60), (40, 30)]


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: what it says is as good as any for what is done with it."""
    return untrained(tmp_path_factory.mktemp("network") / "s.safetensors", 1)


def untrained(file: Path, seed: int) -> Path:
    meta = {"architecture": "unet", "classes": CLASSES, "width": 32, "height": 32, "channels": 4}
    seed_everything(seed)
    checkpoint.save(file, gather(build(meta)), kind="segmenter", real=None, **meta)
    return file


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, size in enumerate(SIZES):
        pixels = np.random.default_rng(i).integers(0, 256, (5, 6, 3), np.uint8)
        Image.fromarray(pixels).resize(size).save(folder / f"p{i}.jpg")
    return folder


def label(segmenter: Path, photos: Path, out: Path) -> int:
    return main(["label", f"--segmenter={segmenter}", f"--photographs={photos}", f"--out={out}"])


def test_every_photograph_gets_what_the_network_sees(segmenter: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    assert label(segmenter, photos, out) == 0
    net = load_segmenter(segmenter)
    seen = set()
    for i, size in enumerate(SIZES):
        with Image.open(out / f"p{i}.png") as image:
            assert (image.mode, image.size) == ("L", size)
            found = np.asarray(image)
        small = Image.open(photos / f"p{i}.jpg").resize((32, 32), Image.Resampling.BICUBIC)
        ids = Image.fromarray(net.segment(np.asarray(small)[None])[0][0])
        np.testing.assert_array_equal(found, np.asarray(ids.resize(size, Image.Resampling.NEAREST)))
        seen |= set(np.unique(found))
    assert len(seen) > 1, "a network that sees one class tells nothing of the rest"
    manifest = read_json(out / "label.json")
    assert manifest["segmenter"] == sha256(segmenter)
    assert (manifest["classes"], manifest["label_maps"]) == (CLASSES, ["p0", "p1", "p2", "p3"])


def test_what_is_there_is_kept(
    segmenter: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels"
    assert label(segmenter, photos, out) == 0
    before = (out / "p1.png").read_bytes()
    (out / "p1.png").unlink()
    (out / "p2.png").write_bytes(b"mine")
    capsys.readouterr()
    assert label(segmenter, photos, out) == 0
    assert "1 label map written to" in capsys.readouterr().out
    assert ((out / "p1.png").read_bytes(), (out / "p2.png").read_bytes()) == (before, b"mine")


def test_label_maps_of_others_are_not_mixed_in(
    segmenter: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(segmenter, photos, photos) == 1
    assert "photos holds images of unknown origin" in capsys.readouterr().err
    out = tmp_path / "labels"
    assert label(untrained(tmp_path / "other.safetensors", 2), photos, out) == 0
    assert label(segmenter, photos, out) == 1
    assert "label maps of another segmenter" in capsys.readouterr().err


def test_broken_photographs_are_named_and_the_rest_done(
    segmenter: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "p1.jpg").write_bytes(b"404")
    assert label(segmenter, photos, tmp_path / "labels") == 1
    said = capsys.readouterr().err
    assert "not labelled, for they cannot be read: 1 photograph\n" in said
    assert "p1.jpg cannot be read" in said
    assert read_json(tmp_path / "labels" / "label.json")["label_maps"] == ["p0", "p2", "p3"]
    (photos / "p1.jpg").unlink()
    assert label(segmenter, photos, tmp_path / "labels") == 0
    (photos / "p0.png").touch()
    assert label(segmenter, photos, tmp_path / "labels") == 1
    assert "names used twice: 2 files" in capsys.readouterr().err
    assert label(segmenter, tmp_path / "nowhere", tmp_path / "labels") == 1
    assert "nowhere does not exist" in capsys.readouterr().err


def test_photographs_and_predicted_label_maps_are_trained_on(segmenter: Path, photos: Path, tmp_path: Path) -> None:
    """From photographs alone to a trained network, by the configuration of docs/datasets.md."""
    out, labels = tmp_path / "run", tmp_path / "labels"
    assert label(segmenter, photos, labels) == 0
    data = {
        "layout": "folders", "train_images": str(photos), "train_labels": str(labels), "test_labels": str(labels),
        "classes": CLASSES, "width": 64, "height": 64, "load_width": 64, "holdout": 0,
    }  # fmt: skip
    small = {"width": 32, "height": 32, "channels": 4, "epochs": 1, "batch": 2}
    made = validate({
        "data": data, "segmenter": small, "pretrain": {"batch": 2}, "finetune": {"batch": 2}, "select": {"on": "test"},
    })  # fmt: skip
    for stage in ("validate", "prepare", "segmenter"):
        write_json(out / f"{stage}.json", stage_settings(made, stage))
    assert (
        main(["validate", *RunPaths(made).validate_arguments(), f"--settings={out}/validate.json", f"--out={out}"]) == 0
    )
    assert [pair.name for pair in read_manifest(out / "train.csv")] == ["p0", "p1", "p2", "p3"]
    pairs = [f"--photos={out}/p.npy", f"--label-maps={out}/l.npy"]
    settings = f"--settings={out}/prepare.json"
    assert main(["prepare", settings, f"--pairs={out}/train.csv", *pairs, f"--names={out}/n.json"]) == 0
    np.testing.assert_array_equal(
        np.load(out / "l.npy")[1], np.asarray(Image.open(labels / "p1.png")).repeat(2, 0).repeat(2, 1)
    )
    learnt = [f"--holdout={out}/holdout.csv", f"--resume={out}/state", f"--weights={out}/s.safetensors"]
    assert main(["segmenter", f"--settings={out}/segmenter.json", *pairs, *learnt]) == 0
    assert load_segmenter(out / "s.safetensors", CLASSES).classes == CLASSES
