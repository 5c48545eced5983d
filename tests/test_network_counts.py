"""Parameter counts: those of the built networks, stored by what they depend on, and absent where they cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_models import fitting

from shanshui.architectures.network_cost import NetworkCounts, count
from shanshui.config.schema import Config
from shanshui.config.settings import validate
from shanshui.pipeline import network_counts
from shanshui.pipeline.network_counts import find_counts, read_counts, settings_of, stored_file
from shanshui.storage.files import write_json

SOURCE = Path(__file__).resolve().parent.parent / "src"
SMALL = {
    "data": {"width": 128, "height": 64, "load_width": 144},
    "model": {
        "generator": {"name": "spade", "base_channels": 4, "spade_hidden": 8},
        "discriminator": {"name": "multiscale", "base_channels": 4},
    },
}
CHILD = """
import json, sys
from shanshui.config.settings import validate
from shanshui.pipeline.network_counts import find_counts
print(find_counts(validate(json.loads(sys.argv[1]))))
assert "jittor" not in sys.modules
"""


def configured(model: dict[str, Any], **sections: Any) -> Config:
    data = {"width": 256, "height": 128, "load_width": 288}
    return validate(fitting({"data": data, "model": model, **sections}))


# Generator with encoder, and discriminator, each with spectral norm and without. The numbers were counted by hand, from
# the layers of the papers, for 29 classes at 256x128.
COUNTED: list[tuple[dict[str, Any], tuple[int, int], tuple[int, int]]] = [
    ({"generator": "spade", "discriminator": "multiscale"}, (92_952_387, 5_603_202), (92_860_227, 5_587_074)),
    (
        {
            "generator": {"name": "spade", "norm": "instance", "z_dim": 5, "style_encoder": {"base_channels": 2}},
            "discriminator": "multiscale",
        },
        (92_868_066, 5_603_202),
        (92_775_403, 5_587_074),
    ),
    (
        {
            "generator": {"name": "spade", "z_dim": 5, "style_encoder": {"base_channels": 2, "norm": "batch"}},
            "discriminator": "multiscale",
        },
        (92_890_078, 5_603_202),
        (92_797_415, 5_587_074),
    ),
    (
        {"generator": {"name": "spade", "upsampling": "more"}, "discriminator": "fpse", "edges": "label"},
        (92_982_339, 5_194_972),
        (92_890_179, 5_175_105),
    ),
    (
        {"generator": {"name": "spade", "upsampling": "most"}, "discriminator": "oasis"},
        (93_452_195, 22_258_974),
        (93_359_011, 22_250_974),
    ),
    (
        {"generator": "clade", "discriminator": "multiscale", "edges": "label"},
        (67_829_545, 5_605_250),
        (67_737_255, 5_589_122),
    ),
    (
        {"generator": {"name": "clade_icpe", "upsampling": "most"}, "discriminator": "multiscale"},
        (67_786_273, 5_603_202),
        (67_693_089, 5_587_074),
    ),
    (
        {
            "generator": {"name": "ccfpse", "z_dim": 3, "style_encoder": {"base_channels": 2}},
            "discriminator": "fpse",
            "edges": "label",
        },
        (119_478_700, 5_194_972),
        (119_467_943, 5_175_105),
    ),
    (
        {"generator": {"name": "ccfpse", "upsampling": "more"}, "discriminator": "fpse"},
        (119_650_248, 5_194_844),
        (119_638_595, 5_174_977),
    ),
    (
        {"generator": {"name": "oasis", "z_dim": 4}, "discriminator": "oasis"},
        (69_307_523, 22_258_974),
        (69_300_547, 22_250_974),
    ),
    (
        {"generator": "pix2pixhd", "discriminator": "multiscale", "edges": "label"},
        (182_527_939, 5_605_250),
        (182_527_939, 5_589_122),
    ),
    ({"generator": "apf", "discriminator": "oasis"}, (101_745_219, 22_258_974), (101_733_603, 22_250_974)),
]


@pytest.mark.parametrize(
    ("model", "normed", "plain"), COUNTED, ids=["-".join(map(str, model.values())) for model, _, _ in COUNTED]
)
def test_all_kinds_of_networks(model: dict[str, Any], normed: tuple[int, int], plain: tuple[int, int]) -> None:
    for switch, wanted in (("on", normed), ("off", plain)):
        counts = count(settings_of(configured(model, parity={"spectral_norm": switch})))
        assert (counts.pretrained, counts.discriminator) == wanted


def test_networks_that_grow_and_the_noise_of_fine_tuning() -> None:
    grown = {
        "generator": {"name": "apf", "base_channels": 8, "halvings": 5, "spade_hidden": 12},
        "discriminator": {"name": "progressive", "count": 3, "base_channels": 16},
    }
    scored = {"metrics": ["mask_accuracy", "swd"], "rank_by": "swd"}
    config = configured(grown, score=scored, segmenter={"channels": 6}, finetune={"seg_noise": True})
    counts = count(settings_of(config))
    assert (counts.pretrained, counts.finetuned, counts.discriminator) == (1_517_521, 1_558_507, 2_134_015)
    assert counts.segmenter == sum((
        3 * 6 * 9, 6 * 6 * 9, 6 * 12 * 9, 12 * 12 * 9, 12 * 24 * 9, 24 * 24 * 9, 24 * 48 * 9, 48 * 48 * 9,
        48 * 24, 24 * 24 * 9, 24 * 12, 12 * 12 * 9, 12 * 6, 6 * 6 * 9,
        4 * (2 * (6 + 12 + 24 + 48) + 2 * (24 + 12 + 6)), 6 * 4 * 29 + 4 * 29,
    ))  # fmt: skip
    builtin = configured(grown, score=scored, segmenter={"weights": "builtin"})
    assert count(settings_of(builtin)).segmenter == 0


def test_layers_of_a_discriminator_count() -> None:
    """A convolution more, from 512 to 512 channels, in each of two discriminators; with both singular vectors."""
    four, five = (
        count(settings_of(configured({"generator": "pix2pixhd", "discriminator": {"name": "multiscale", "layers": n}})))
        for n in (4, 5)
    )
    assert five.discriminator - four.discriminator == 2 * (512 * 512 * 16 + 512 + 512 * 16)


def test_they_are_counted_once_in_a_process_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    config = validate(SMALL)
    file = stored_file(settings_of(config))
    file.unlink(missing_ok=True)
    assert read_counts(config) is None
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", CHILD, json.dumps(SMALL)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("counted again")

    monkeypatch.setattr(network_counts.subprocess, "run", refuse)
    counts = find_counts(config)
    assert str(counts) == said.strip()
    assert counts == read_counts(config) == count(settings_of(config))
    relearned = validate({**SMALL, "seed": 5, "pretrain": {"lr_g": 0.1}, "data": {**SMALL["data"], "holdout": 7}})
    assert read_counts(relearned) == counts, "options that change no network"
    wider = {"name": "spade", "base_channels": 8, "spade_hidden": 8}
    assert read_counts(validate({**SMALL, "model": {**SMALL["model"], "generator": wider}})) is None
    assert read_counts(validate({**SMALL, "data": {**SMALL["data"], "classes": ["sky", "sea"]}})) is None
    file.write_text('{"pretrained": 1}')
    assert read_counts(config) is None, "a file of another form"
    file.unlink()


def test_changed_code_of_networks_counts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHANSHUI_CACHE", str(tmp_path))
    config = validate(SMALL)
    write_json(stored_file(settings_of(config)), NetworkCounts(1, 2, 3, 4, 5).as_json())
    assert read_counts(config) == NetworkCounts(1, 2, 3, 4, 5)
    depends = network_counts.sources().dependencies(network_counts.COUNTED_BY)
    assert {"shanshui.nn.spade", "shanshui.architectures.spade_generator", "package jittor"} <= depends.keys()
    monkeypatch.setattr(network_counts, "code_digest", lambda modules: "another")
    assert read_counts(config) is None


def test_without_a_compiled_jittor_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHANSHUI_CACHE", str(tmp_path / "new"))
    assert find_counts(validate(SMALL)) == "Jittor is not compiled yet"
    assert not (tmp_path / "new").exists()


def test_networks_that_cannot_be_built_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_counts, "settings_of", lambda config: {"model": {}, "data": {"classes": []}})
    assert "a generator of the name None" in str(find_counts(validate(SMALL)))
