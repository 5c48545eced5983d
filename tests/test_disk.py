"""What a run is expected to take: against the real networks and files, and what is said where it will not fit."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import fitting

from shanshui.__main__ import main
from shanshui.architectures.apf import Apf
from shanshui.architectures.network_cost import NetworkCounts
from shanshui.config.schema import Config
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError
from shanshui.pipeline import disk
from shanshui.pipeline.disk_estimate import ImageCounts, Part, averages, count_images, estimate
from shanshui.pipeline.network_counts import find_counts
from shanshui.pipeline.retention import REMOVED
from shanshui.storage import checkpoint
from shanshui.storage.files import write_json

SMALL = {
    "run": "demo",
    "landscapes": {"train": 20, "test": 4, "width": 160, "height": 120},
    "data": {"width": 128, "height": 96, "load_width": 144, "holdout": 4},
    "model": {
        "generator": {"name": "apf", "base_channels": 8, "halvings": 5, "spade_hidden": 12},
        "discriminator": {"name": "progressive", "count": 3, "base_channels": 16},
    },
    "pretrain": {"epochs": 8, "perceptual": {"net": "none"}},
    "finetune": {"epochs": 4, "perceptual": {"net": "none"}},
    "score": {"first": 9, "last": 12, "metrics": ["dct_frechet"], "rank_by": "dct_frechet"},
    "infer": {"seeds": [0, 1]},
}


def configured(**sections: Any) -> Config:
    merged = {name: {**SMALL.get(name, {}), **o} if isinstance(o, dict) else o for name, o in sections.items()}
    return validate(fitting({**SMALL, **merged}))


def shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """What a checkpoint of it holds; nothing is computed."""
    return {name: tuple(var.shape) for name, var in network.state_dict().items()}


def generator(config: Config, heads: int, seg_noise: bool) -> tuple[Any, Any]:
    from shanshui.architectures.apf_encoder import MaskEncoder
    from shanshui.architectures.apf_generator import Generator

    classes, norm = len(config.data.classes), config.parity.resolved()["spectral_norm"] == "on"
    section = config.model.generator
    assert isinstance(section, Apf)
    G = Generator(
        classes, section.base_channels, section.halvings, heads=heads, seg_noise=seg_noise, spectral_norm=norm,
        spade_hidden=section.spade_hidden,
    )  # fmt: skip
    return G, MaskEncoder(classes, section.base_channels, section.halvings, norm)


FEW = ImageCounts(16, 4, 4)
COUNTS = NetworkCounts(1_517_521, 1_558_507, 2_134_015, 0, 1)  # of the small networks


def sizes(config: Config, pictures: ImageCounts = FEW) -> dict[str, Part]:
    return {part.name: part for part in estimate(config, pictures, COUNTS)}


def test_weights_and_pairs_are_as_large_as_their_files(tmp_path: Path) -> None:
    config = configured()
    counts = find_counts(config)
    assert isinstance(counts, NetworkCounts)
    part = {part.name: part for part in estimate(config, FEW, counts)}
    G, E = generator(config, 0, True)
    names = {f"{letter}.{name}": shape for letter, net in (("G", G), ("E", E)) for name, shape in shapes(net).items()}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in names.items()}
    checkpoint.save(tmp_path / "a.safetensors", arrays, kind="generator")
    assert (tmp_path / "a.safetensors").stat().st_size == pytest.approx(part["fine-tuned weights"].each, rel=0.02)
    assert part["prepared pairs"].most == np.zeros((16, 108, 144, 4), np.uint8).nbytes


@pytest.mark.parametrize(("top", "soup", "wanted"), [(1, 0, 0), (3, 0, 4), (3, 2, 4), (2, 4, 1 + 2)])
def test_averages_at_most(top: int, soup: int, wanted: int) -> None:
    assert averages(configured(select={"top": top, "soup": soup})) == wanted


def test_pictures_are_counted_in_the_data_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert count_images(configured()) == ImageCounts(16, 4, 4)
    for part, number in (("train/labels", 9), ("test/labels", 3)):
        (tmp_path / "data" / part).mkdir(parents=True)
        for i in range(number):
            (tmp_path / "data" / part / f"{i}.png").touch()
    assert count_images(configured(landscapes=None)) == ImageCounts(5, 4, 3)


def test_pictures_are_counted_as_their_layout_lays_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for phase, cities, each in (("train", 2, 4), ("val", 2, 3)):
        for city in range(cities):
            folder = tmp_path / "data" / "gtFine" / phase / f"city{city}"
            folder.mkdir(parents=True)
            for i in range(each):
                (folder / f"city{city}_{i}_gtFine_labelIds.png").touch()
                (folder / f"city{city}_{i}_gtFine_color.png").touch()
    made = validate({"data": {"layout": "cityscapes", "root": "data", "holdout": 4}})
    assert count_images(made) == ImageCounts(4, 4, 6)


def test_what_is_there_or_was_removed_need_not_be_written(tmp_path: Path) -> None:
    parts = estimate(configured(), FEW, COUNTS)
    whole = disk.bytes_to_write(tmp_path, parts)
    (tmp_path / "finetune").mkdir()
    (tmp_path / "finetune" / "epoch_009.safetensors").write_bytes(bytes(1000))
    (tmp_path / "infer" / "a" / "seed_0").mkdir(parents=True)
    (tmp_path / "infer" / "a" / "seed_0" / "b.jpg").write_bytes(bytes(100))
    write_json(tmp_path / REMOVED, {"finetune/epoch_010.safetensors": 10, "infer/a/seed_1": 7})
    there = disk.there_already(tmp_path, parts)
    assert (there["fine-tuned weights"], there["images of noise seeds"]) == (1010, 107)
    assert there["moving average of the last"] == there["resume states of fine-tuning"] == 0
    assert disk.bytes_to_write(tmp_path, parts) == pytest.approx(whole - 1117)


def test_students_take_at_most_what_their_teacher_takes() -> None:
    compress = {"shares": [0.5, 0.25], "perceptual": {"net": "none"}, "alignment": {"weight": 0}}
    found = {part.name: part for part in estimate(configured(compress=compress), FEW, COUNTS)}
    assert (found["students"].count, found["students"].each) == (4, found["fine-tuned weights"].each)
    assert found["resume states of them"].stay == 8
    tidied = estimate(configured(compress={**compress, "control": False}, retention="best"), FEW, COUNTS)
    assert {part.name: part.stay for part in tidied}["resume states of them"] == 0
    assert "students" not in {part.name for part in estimate(configured(), FEW, COUNTS)}


def test_jobs_that_write_nothing_large_need_no_room(tmp_path: Path) -> None:
    parts = estimate(configured(), FEW, COUNTS)
    part = {part.name: part.most for part in parts}
    assert disk.bytes_to_write(tmp_path, parts, {"verify", "all"}) == 0
    assert disk.bytes_to_write(tmp_path, parts, {"report"}) == part["report, tables, logs"]
    assert disk.bytes_to_write(tmp_path, parts, {"prepare"}) == part["prepared pairs"]
    later = sum(p.most for p in parts if p.rule in disk.AFTER_CHOICES)
    assert disk.bytes_to_write(tmp_path, parts, {"prepare", "select_seed"}) == part["prepared pairs"] + later
    rules = {p.rule for p in parts}
    assert disk.bytes_to_write(tmp_path, parts, rules) == disk.bytes_to_write(tmp_path, parts)


def nearly_full(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**12, 10**12 - free, free))


def test_run_that_will_not_fit_is_refused_with_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = round(disk.bytes_to_write(tmp_path, estimate(configured(), FEW, COUNTS)))
    nearly_full(monkeypatch, needed + 1)
    assert "demo takes about" in disk.check(configured(), tmp_path / "not" / "yet", COUNTS)
    nearly_full(monkeypatch, needed - 1)
    with pytest.raises(ShanshuiError, match="will not fit") as refused:
        disk.check(configured(), tmp_path, COUNTS)
    assert "finetune.ema: 0 saves" in str(refused.value)
    assert "each epoch less between score.first and score.last saves" in str(refused.value)


def test_doctor_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "my.yaml", SMALL)
    assert main(["doctor", "--config", "my.yaml"]) == 0
    said = capsys.readouterr().out
    assert "ok   disk: the run demo takes about" in said
    assert "fine-tuned weights" in said
    nearly_full(monkeypatch, 10**6)
    assert main(["doctor", "--config", "my.yaml"]) == 1
    found = capsys.readouterr()
    assert "gap  disk: the run" in found.out
    assert "disk: the run" in found.err


def test_weights_that_cannot_be_counted_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before Jittor is compiled; what is known is checked all the same."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHANSHUI_CACHE", str(tmp_path / "cache"))
    parts, whole = estimate(configured(), FEW, None), estimate(configured(), FEW, COUNTS)
    assert [part.name for part in parts] == [part.name for part in whole]
    unknown = {part.name for part in parts if part.each is None}
    assert {"fine-tuned weights", "resume states of it", "averages of weights"} <= unknown
    assert "prepared pairs" not in unknown
    write_json(tmp_path / "my.yaml", SMALL)
    assert main(["doctor", "--config", "my.yaml"]) == 0
    said = capsys.readouterr().out
    assert "note disk: the run demo takes about" in said
    assert "besides weights and training states" in said
    assert "those are not counted: Jittor is not compiled yet" in said
    row = next(line for line in said.splitlines() if line.startswith("fine-tuned weights"))
    assert row.split()[-4:] == ["4", "unknown", "unknown", "unknown"]
    assert "in all, what is known" in said
    nearly_full(monkeypatch, 10**6)
    assert main(["doctor", "--config", "my.yaml"]) == 1
    assert "gap  disk: the run" in capsys.readouterr().out


def test_doctor_checks_a_run_that_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is planned of it: weights alone, then nothing large."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    disk.remember_plan(configured(), {"finetune"})
    plan = str(Path("results") / "demo" / disk.PLAN)
    assert main(["doctor", "--planned", plan]) == 0
    assert "ok   disk: the run demo takes about" in capsys.readouterr().out
    nearly_full(monkeypatch, 10**6)
    assert main(["doctor", "--planned", plan]) == 1
    assert "will not fit" in capsys.readouterr().out
    disk.remember_plan(configured(), {"verify"})
    main(["doctor", "--planned", plan])
    assert "ok   disk: the run" in capsys.readouterr().out
    assert main(["doctor", "--planned", "results/demo/none.json"]) in (0, 1)
    assert "disk: the run" not in capsys.readouterr().out


def test_features_of_efficientnet_and_of_the_built_in_segmenter_are_counted() -> None:
    """Numbers a picture: EfficientNet's 1280; four a class and 320 of DeepLab, which is not trained."""
    plain = sizes(configured())
    deep = sizes(configured(score={"metrics": ["dct_frechet", "fd_efficientnet"]}))
    assert deep["features and scores"].each - plain["features and scores"].each == 8 * 1280 * 4
    assert deep["statistics of photographs"].each - plain["statistics of photographs"].each == (
        1280**2 * 8 + 2000 * 1280 * 4
    )
    seeing = {"score": {"metrics": ["dct_frechet", "miou"]}, "data": {"classes": ["sky", "sea", "tree"]}}
    builtin = sizes(configured(**seeing, segmenter={"weights": "builtin"}))
    assert builtin["features and scores"].each - plain["features and scores"].each == 8 * (4 * 3 + 320) * 4
    assert "segmenter" in sizes(configured(**seeing))
    assert "segmenter" not in builtin
