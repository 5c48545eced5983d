"""Scores by a segmenter through the stages: given classes found again, refusals, kept features, the contest's score.

The segmenter here is right by construction: class 0, 1 or 2 is the strongest of red, green and blue.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from test_score_stage import refused, score

from shanshui.__main__ import main
from shanshui.architectures import segmenters
from shanshui.backend.runtime import load_jittor
from shanshui.evaluation.feature_file import FeatureSet
from shanshui.evaluation.image_sets import ImageSet
from shanshui.evaluation.reference import Reference, describe
from shanshui.metrics.registry import METRICS, choose
from shanshui.stages.score import Job, compute
from shanshui.storage import checkpoint
from shanshui.storage.files import write_csv, write_json
from shanshui.weights import catalogue

if TYPE_CHECKING:
    from jittor import Var

jt = load_jittor()
nn: Any = jt.nn

COLOURS = ["red", "green", "blue"]
MASKS = "mask_accuracy,miou,seg_frechet"


class Strongest(nn.Module):
    """The channels themselves as logits; features are their means and mean squares."""

    def __init__(self) -> None:
        self.gain = jt.ones((1, 3, 1, 1))

    def segment(self, photos: Var) -> tuple[Var, Var]:
        squares = jt.concat([photos, photos * photos], dim=1)
        return photos * self.gain, squares.mean(3).mean(2)


def draw(folder: Path, count: int, seed: int, wrong: float = 0.0) -> Path:
    """Pictures `folder`/imgs in the colours of label maps `folder`/labels, but for a share of the blocks."""
    generator = np.random.default_rng(seed)
    for name in ("imgs", "labels"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        blocks = generator.integers(0, 3, (4, 4), np.uint8)
        shown = np.where(generator.random((4, 4)) < wrong, (blocks + 1) % 3, blocks)
        photo = generator.integers(0, 90, (32, 32, 3), np.uint8)
        photo[np.arange(32)[:, None], np.arange(32), np.kron(shown, np.ones((8, 8), np.uint8))] += 120
        Image.fromarray(photo).save(folder / "imgs" / f"{i:03d}.png")
        Image.fromarray(np.kron(blocks, np.ones((8, 8), np.uint8))).save(folder / "labels" / f"{i:03d}.png")
    return folder


def make_segmenter(file: Path, classes: list[str] = COLOURS, gain: float = 1.0) -> Path:
    arrays = {"gain": np.full((1, 3, 1, 1), gain, np.float32)}
    real = {"n": 9, "mask_accuracy": 0.875, "miou": 0.5}
    meta = {"architecture": "unet", "classes": classes, "width": 32, "height": 32, "real": real}
    checkpoint.save(file, arrays, kind="segmenter", **meta)
    return file


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """real/ and ours/ (a fifth of its blocks wrong) with imgs and labels, and a segmenter's file."""
    monkeypatch.setitem(segmenters.BUILDERS, "unet", lambda meta: Strongest())
    draw(tmp_path / "real", 12, 0)
    draw(tmp_path / "ours", 8, 1, wrong=0.2)
    make_segmenter(tmp_path / "s.safetensors")
    return tmp_path


def listed(world: Path, label: bool = True) -> Path:
    rows = [
        {"name": path.stem, "label": str(path) if label else ""} for path in sorted((world / "ours/labels").iterdir())
    ]
    write_csv(world / "ours.csv", rows, ["name", "label"])
    return world / "ours.csv"


def agreement(world: Path) -> float:
    """Share of the pixels whose strongest colour is the given one."""
    read = [
        np.stack([np.asarray(Image.open(path)) for path in sorted((world / "ours" / name).iterdir())])
        for name in ("imgs", "labels")
    ]
    return float((read[0].argmax(-1) == read[1]).mean())


def test_given_classes_are_found_again(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = (world / "real/imgs", world / "ours/imgs", "--metrics", MASKS, "--segmenter", world / "s.safetensors")
    result = score(capsys, *call, "--labels", f"pictures={listed(world)}")
    found = result["sets"]["pictures"]
    assert found["metrics"]["mask_accuracy"] == pytest.approx(agreement(world))
    assert 0.7 < found["metrics"]["mask_accuracy"] < 0.9
    assert 0 < found["metrics"]["miou"] < found["metrics"]["mask_accuracy"]
    assert found["metrics"]["seg_frechet"] > 0
    assert set(found["standard_errors"]) == set(MASKS.split(","))
    assert list(found["per_class"]) == sorted(COLOURS)
    assert sum(row["pixels"] for row in found["per_class"].values()) == pytest.approx(1)
    right = sum(row["pixels"] * row["accuracy"] for row in found["per_class"].values())
    assert right == pytest.approx(found["metrics"]["mask_accuracy"])
    assert np.mean([row["iou"] for row in found["per_class"].values()]) == pytest.approx(found["metrics"]["miou"])
    assert found["contest"]["not_measured"] == ["aesthetic", "fid"]
    for name in MASKS.split(","):
        assert "our own U-Net" in result["features"][name]
        assert "87.5% of the pixels of 9 real photographs" in result["features"][name]
    assert result["settings"]["label_rules"] == {"label_offset": 0, "ignore_label": 255}
    folder = score(capsys, *call, "--labels", world / "ours/labels")
    assert folder["sets"] == result["sets"]
    assert main(["score", *map(str, call), "--labels", str(world / "ours/labels")]) == 0
    text = capsys.readouterr().out
    assert "pixels  accuracy  IoU" in text
    assert "\n  green  " in text


def test_labels_are_read_by_the_rules_of_the_settings(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((world / "ours/labels").iterdir()):
        ids = np.asarray(Image.open(path)) + 1
        ids[:8, :8] = 0
        Image.fromarray(ids).save(path)
    settings = {"metrics": ["mask_accuracy"], "size": [32, 32], "seed": 0, "classes": COLOURS}
    write_json(world / "s.json", {**settings, "label_offset": -1, "ignore_label": 0})
    call = (world / "real/imgs", world / "ours/imgs", "--segmenter", world / "s.safetensors", "--labels", listed(world))
    value = score(capsys, *call, "--settings", world / "s.json")["sets"]["pictures"]["metrics"]["mask_accuracy"]
    assert 0.7 < value < 0.9
    refused(capsys, "no class: 3", *call, "--metrics", "mask_accuracy")
    write_json(
        world / "s.json", {**settings, "classes": ["red", "blue", "green"], "label_offset": -1, "ignore_label": 0}
    )
    refused(capsys, "other classes", *call, "--settings", world / "s.json")


def test_what_is_missing_is_named(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders, seeing = (world / "real/imgs", world / "ours/imgs"), ("--segmenter", world / "s.safetensors")
    labels = ("--labels", world / "ours/labels")
    refused(capsys, "no segmenter for miou", *folders, *labels, "--metrics", "miou", code=2)
    refused(capsys, "no segmenter for seg_frechet", *folders, "--metrics", "seg_frechet", code=2)
    refused(capsys, "its label maps are not known", *folders, *seeing, "--metrics", "mask_accuracy", code=2)
    names = ("--labels", listed(world, label=False))
    refused(capsys, "its label maps are not known", *folders, *seeing, *names, "--metrics", "mask_accuracy", code=2)
    assert score(capsys, *folders, *seeing, "--metrics", "seg_frechet")["sets"]["pictures"]["metrics"]["seg_frechet"]
    (world / "ours/labels/003.png").unlink()
    refused(capsys, "not on the list: 003", *folders, *seeing, *labels, "--metrics", "mask_accuracy")
    checkpoint.save(world / "s.safetensors", {}, kind="generator")
    refused(capsys, "of kind 'generator'", *folders, *seeing, "--metrics", "seg_frechet")


def make_statistics(world: Path, metrics: str, *more: object) -> Path:
    rows = [
        {"name": path.stem, "image": str(path), "label": str(world / "real/labels" / path.name)}
        for path in sorted((world / "real/imgs").iterdir())
    ]
    write_csv(world / "train.csv", rows, ["name", "image", "label"])
    settings = {"metrics": metrics.split(","), "size": [32, 32], "seed": 0, "classes": COLOURS}
    write_json(world / "s.json", {**settings, "label_offset": 0, "ignore_label": None})
    files = ["--train", world / "train.csv", "--statistics", world / "s.npz", "--pure", world / "p.json"]
    assert main(["reference", "--settings", str(world / "s.json"), *map(str, [*files, *more])]) == 0
    return world / "s.npz"


def test_statistics_of_another_segmenter_are_refused(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    statistics = make_statistics(world, MASKS, "--segmenter", world / "s.safetensors")
    assert list(Reference.load(statistics).arrays) == ["seg_frechet"]
    call = (statistics, world / "ours/imgs", "--settings", world / "s.json", "--labels", world / "ours/labels")
    result = score(capsys, *call, "--segmenter", world / "s.safetensors")
    folder = score(capsys, world / "real/imgs", *call[1:], "--segmenter", world / "s.safetensors")
    assert folder["sets"] == result["sets"]
    other = make_segmenter(world / "other.safetensors", gain=2)
    refused(capsys, "made with segmenter", *call, "--segmenter", other)
    free = make_statistics(world, "dct_frechet,mask_accuracy")
    assert "segmenter" not in Reference.load(free).protocol
    values = score(capsys, *call, "--segmenter", other)["sets"]["pictures"]["metrics"]
    assert values["mask_accuracy"] == result["sets"]["pictures"]["metrics"]["mask_accuracy"]


def test_kept_features_need_neither_pictures_nor_segmenter(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    statistics = make_statistics(world, MASKS, "--segmenter", world / "s.safetensors")
    names = listed(world)
    sets = (f"a={world / 'ours/imgs'}", f"b={world / 'real/imgs'}")
    labels = ("--labels", f"a={names}", f"b={world / 'real/labels'}")
    kept = world / "kept.npz"
    seeing = ("--segmenter", world / "s.safetensors")
    call = (statistics, *sets, *labels, *seeing, "--settings", world / "s.json")
    score(capsys, *call, "--metrics", "seg_frechet", "--features-out", kept)
    expected = score(capsys, *call)
    with np.load(kept) as archive:
        assert {"a.classes", "a.segmenter", "b.classes", "b.segmenter"} <= set(archive.files)
    other = make_segmenter(world / "other.safetensors", gain=2)
    for gone in ("ours", "real"):
        shutil.rmtree(world / gone)
    (world / "s.safetensors").unlink()
    stored = (statistics, f"a={kept}", f"b={kept}", "--labels", f"a={names}")
    again = score(capsys, *stored, "--settings", world / "s.json")
    assert {**again, "settings": 0} == {**expected, "settings": 0}
    refused(capsys, "segmenter", *stored, "--metrics", MASKS, "--segmenter", other)
    settings = {"metrics": MASKS.split(","), "size": [32, 32], "seed": 0, "label_offset": 0, "ignore_label": 7}
    write_json(world / "other.json", {**settings, "classes": COLOURS})
    refused(capsys, "made with label_rules", *stored, "--settings", world / "other.json")
    write_json(world / "other.json", {**settings, "classes": ["a", "b", "c"]})
    refused(capsys, "other classes", *stored, "--settings", world / "other.json")


def test_board_a_is_measured_where_its_three_terms_are(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    metrics = choose(["fid", "mask_accuracy"])
    real, ours = generator.standard_normal((40, 4)), generator.standard_normal((6, 4)) + 1
    reference = Reference({"fid": METRICS["fid"].reference(real, 0)}, 40, "")  # type: ignore[misc]
    counts = np.tile(np.array([[40, 30, 45], [60, 55, 55]]), (6, 1, 1))
    facts = {"architecture": "segformer", "classes": ["sky", "sea"], "real": None}
    weights = catalogue.entry("fid_inception").sha256
    protocol = {"seed": 0, "weights": weights, "segmenter": "0123456789abcdef", "segmenter_facts": facts}
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    (tmp_path / "scorer.py").write_text("print('name,score')\nfor i in range(6): print(f'{i}.png,5')\n")
    command = f"{sys.executable} {tmp_path / 'scorer.py'}"
    features = FeatureSet([str(i) for i in range(6)], {"inception": ours, "classes": counts}, protocol)
    job = Job(reference, metrics, {"test": ImageSet(tmp_path, paths)}, protocol, None, command)
    scores, described = compute(job, {"test": features})
    fid = scores["test"]["metrics"]["fid"]
    assert 0 < fid < 100
    assert scores["test"]["metrics"]["mask_accuracy"] == 0.85
    expected = 0.85 * (0.5 * 0.5 + 0.5 * (100 - fid) / 100)
    assert scores["test"]["contest"] == {"board_a": pytest.approx(expected), "not_measured": []}
    assert scores["test"]["per_class"]["sky"] == {"pixels": 0.4, "accuracy": 0.75, "iou": pytest.approx(30 / 55)}
    assert described["mask_accuracy"] == describe(metrics, protocol)["mask_accuracy"]
    assert "an imported SegFormer 0123456789ab, whose accuracy on real photographs was not measured" in str(described)
