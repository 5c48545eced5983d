"""What a run is expected to take: against the real networks and files, and what is said where it will not fit."""

from __future__ import annotations

import math
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import fitting

from shanshui.__main__ import main
from shanshui.architectures import network_counts
from shanshui.architectures.apf import Apf
from shanshui.config.schema import Config
from shanshui.config.settings import stage_settings, validate
from shanshui.errors import ShanshuiError
from shanshui.pipeline import disk
from shanshui.pipeline.disk_estimate import ImageCounts, Part, averages, count_images, estimate
from shanshui.pipeline.retention import REMOVED
from shanshui.storage import checkpoint
from shanshui.storage.files import write_json

SMALL = {
    "run": "demo",
    "landscapes": {"train": 20, "test": 4, "width": 160, "height": 120},
    "data": {"width": 128, "height": 96, "load_width": 144, "holdout": 4},
    "model": {
        "generator": {"name": "apf", "base_channels": 8, "halvings": 5, "spade_hidden": 12},
        "discriminator": {"name": "bank", "count": 3, "base_channels": 16},
    },
    "pretrain": {"epochs": 8, "perceptual": {"net": "none"}},
    "finetune": {"epochs": 4, "perceptual": {"net": "none"}},
    "score": {"first": 9, "last": 12, "metrics": ["dct_frechet"], "rank_by": "dct_frechet"},
    "infer": {"seeds": [0, 1]},
}
WIDE = {
    "generator": {"name": "apf", "base_channels": 10, "halvings": 6, "spade_hidden": 20},
    "discriminator": {"name": "bank", "count": 5, "base_channels": 64},
}


def configured(**sections: Any) -> Config:
    merged = {name: {**SMALL.get(name, {}), **o} if isinstance(o, dict) else o for name, o in sections.items()}
    return validate(fitting({**SMALL, **merged}))


def shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """What a checkpoint of it holds; nothing is computed."""
    return {name: tuple(var.shape) for name, var in network.state_dict().items()}


def count(network: Any) -> int:
    return sum(math.prod(shape) for shape in shapes(network).values())


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


@pytest.mark.parametrize("config", [
    configured(),
    configured(model=WIDE, parity={"spectral_norm": "off"}, data={"height": 64, "classes": ["a", "b", "c"]}),
])  # fmt: skip
@pytest.mark.parametrize("seg_noise", [False, True])
def test_counts_are_those_of_the_networks(config: Config, seg_noise: bool) -> None:
    from shanshui.architectures.apf_discriminator import Discriminator

    classes, norm = len(config.data.classes), config.parity.resolved()["spectral_norm"] == "on"
    heads = 0 if seg_noise else config.model.sizes - 1
    G, E = generator(config, heads, seg_noise)
    D = Discriminator(classes, config.model.discriminator.base_channels, config.model.sizes, spectral_norm=norm)
    networks = config.networks()
    assert networks.generator.in_phase(heads, seg_noise).parameters() == count(G) + count(E)
    assert networks.discriminator.parameters() == count(D)


OTHERS: list[dict[str, Any]] = [
    {"generator": "spade", "discriminator": "multiscale"},
    {
        "generator": {"name": "spade", "norm": "instance", "z_dim": 5, "style_encoder": {"base_channels": 2}},
        "discriminator": "multiscale",
    },
    {
        "generator": {"name": "spade", "z_dim": 5, "style_encoder": {"base_channels": 2, "norm": "batch"}},
        "discriminator": "multiscale",
    },
    {"generator": {"name": "spade", "upsampling": "more"}, "discriminator": "fpse", "edges": "label"},
    {"generator": {"name": "spade", "upsampling": "most"}, "discriminator": "oasis"},
    {"generator": "clade", "discriminator": "multiscale", "edges": "label"},
    {"generator": {"name": "clade_icpe", "upsampling": "most"}, "discriminator": "multiscale"},
    {
        "generator": {"name": "ccfpse", "z_dim": 3, "style_encoder": {"base_channels": 2}},
        "discriminator": "fpse",
        "edges": "label",
    },
    {"generator": {"name": "ccfpse", "upsampling": "more"}, "discriminator": "fpse"},
    {"generator": {"name": "oasis", "z_dim": 4}, "discriminator": "oasis"},
    {"generator": "pix2pixhd", "discriminator": "multiscale", "edges": "label"},
    {"generator": {"name": "pix2pixhd", "norm": "instance"}, "discriminator": "multiscale"},
    {"generator": "apf", "discriminator": "oasis"},
]


@pytest.mark.parametrize("norm", ["on", "off"])
@pytest.mark.parametrize("model", OTHERS, ids=lambda model: "-".join(map(str, model.values())))
def test_counts_of_the_other_models_are_those_of_their_networks(model: dict[str, Any], norm: str) -> None:
    from shanshui.architectures.networks import build_discriminator, build_generator

    data = {"width": 256, "height": 128, "load_width": 288}
    config = configured(model=model, parity={"spectral_norm": norm}, data=data)
    settings = stage_settings(config, "pretrain")
    networks = build_generator(settings).networks().values()
    declared = config.networks()
    assert declared.generator.parameters() == sum(map(count, networks))
    assert declared.discriminator.parameters() == count(build_discriminator(settings).D)


def test_segmenter_is_counted() -> None:
    from shanshui.architectures.segmenter import UNet

    assert network_counts.segmenter(6, 3) == count(UNet(3, 6))


FEW = ImageCounts(16, 4, 4)


def sizes(config: Config, pictures: ImageCounts = FEW) -> dict[str, Part]:
    return {part.name: part for part in estimate(config, pictures)}


def test_weights_and_pairs_are_as_large_as_their_files(tmp_path: Path) -> None:
    config = configured()
    part = sizes(config)
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
    parts = estimate(configured(), FEW)
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


def test_jobs_that_write_nothing_large_need_no_room(tmp_path: Path) -> None:
    parts = estimate(configured(), FEW)
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
    needed = round(disk.bytes_to_write(tmp_path, estimate(configured(), FEW)))
    nearly_full(monkeypatch, needed + 1)
    assert "demo takes about" in disk.check(configured(), tmp_path / "not" / "yet")
    nearly_full(monkeypatch, needed - 1)
    with pytest.raises(ShanshuiError, match="will not fit") as refused:
        disk.check(configured(), tmp_path)
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
