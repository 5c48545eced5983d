"""Settings files as typed objects: what is unknown, missing or wrong is refused by its name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shanshui.__main__ import main
from shanshui.config.section import Section
from shanshui.config.settings import CODE, stage_settings, validate
from shanshui.config.stages import with_settings
from shanshui.config.training_settings import TrainingConfig
from shanshui.config.typed_settings import ChoiceSettings, LoadSettings, MetricSettings, ReportSettings, checked
from shanshui.errors import EXIT_USAGE, UsageError
from shanshui.pipeline.retention import TidySettings
from shanshui.stages.compress_report import CompressReportSettings
from shanshui.stages.fuse import FuseSettings
from shanshui.stages.generate import FormatSettings
from shanshui.stages.landscapes import DrawingSettings
from shanshui.stages.merge import MergeSettings
from shanshui.stages.package import PackageSettings
from shanshui.stages.reference import ReferenceSettings
from shanshui.stages.score import ScoreSettings
from shanshui.stages.segmenter import SegmenterSettings
from shanshui.stages.validate import ValidateSettings
from shanshui.storage.size import Size

READ_AS: dict[str, type[Section]] = {
    "landscapes": DrawingSettings, "validate": ValidateSettings, "prepare": LoadSettings,
    "segmenter": SegmenterSettings, "reference": ReferenceSettings, "generate": FormatSettings, "score": ScoreSettings,
    "merge": MergeSettings, "select": ChoiceSettings, "fuse": FuseSettings, "table": ChoiceSettings,
    "package": PackageSettings, "report": ReportSettings, "tidy": TidySettings,
    "compress_report": CompressReportSettings,
}  # fmt: skip
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "landscapes": {"landscapes": {"train": 8, "test": 2, "width": 600, "height": 450}},
    "instances": {
        "data": {"layout": "cityscapes", "root": "data", "width": 512, "height": 256},
        "model": {"generator": "spade", "discriminator": "multiscale", "edges": "instance"},
    },
    "everything scored": {
        "score": {"metrics": ["fid", "mask_accuracy", "swd"], "aesthetic_command": "true", "rank_by": "board_a"},
        "segmenter": {"weights": "builtin"}, "merge": {"batch_norm": "estimated"}, "retention": "best",
    },
}  # fmt: skip

SETTINGS = stage_settings(validate({"data": {"width": 512, "height": 384}}), "finetune")


def test_settings_of_both_phases_are_read() -> None:
    config = TrainingConfig.of(SETTINGS, "finetune")
    assert config.data.size == Size(height=384, width=512)
    assert config.options.augment == ("color", "crop", "translation")
    assert config.options.epochs is None, "more epochs must not train the first ones again"
    assert config.networks.generator.name == "apf"
    assert config.source == SETTINGS
    pretraining = TrainingConfig.of(stage_settings(validate({}), "pretrain"), "pretrain")
    assert (pretraining.options.epochs, pretraining.pretrain_epochs, pretraining.options.ema) == (180, 180, 0.0)
    assert not pretraining.options.seg_noise


def test_sizes_in_settings_of_metrics_have_the_width_first() -> None:
    settings = stage_settings(validate({"segmenter": {"weights": "builtin"}}), "score")
    assert (settings["size"], settings["segmenter_size"]) == ([512, 384], [256, 192])
    read = checked(MetricSettings, settings, "s.json")
    assert (read.size_of_images, read.size_of_segmenter) == (Size(384, 512), Size(192, 256))


def test_options_that_networks_do_not_know_are_neutral() -> None:
    networks = {"generator": "oasis", "discriminator": "oasis"}
    settings = stage_settings(validate({"model": networks}), "finetune")
    assert not {"gan", "feature_matching", "kl", "seg_noise"} & settings["finetune"].keys()
    options = TrainingConfig.of(settings, "finetune").options
    assert (options.gan, options.feature_matching, options.kl, options.seg_noise) == ("hinge", 0.0, 0.0, False)


def test_every_stage_reads_its_settings_as_one_type() -> None:
    assert {*READ_AS, "pretrain", "finetune", "compress"} == set(with_settings())


@pytest.mark.parametrize(
    ("stage", "name"),
    [(stage, name) for stage in READ_AS for name in CONFIGURATIONS if stage != "merge" or name == "everything scored"],
)  # fmt: skip
def test_what_snakemake_writes_is_read(stage: str, name: str) -> None:
    """With the digest of the code; a mean of weights depends on no option, unless statistics are estimated."""
    settings = stage_settings(validate(CONFIGURATIONS[name]), stage)
    read = checked(READ_AS[stage], json.loads(json.dumps({**settings, CODE: "0" * 64})), f"{stage}.json")
    kept = json.loads(read.model_dump_json(exclude_unset=True))
    assert kept == json.loads(json.dumps(settings)), "as it stands in the file, nothing left out or converted"


@pytest.mark.parametrize("stage", READ_AS)
def test_an_entry_that_a_stage_does_not_know_is_refused(stage: str) -> None:
    settings = {**stage_settings(validate({}), stage), "sede": 3}
    with pytest.raises(UsageError, match=r"^s\.json: .*\bsede is not known"):
        checked(READ_AS[stage], settings, "s.json")


def test_pairs_are_loaded_at_the_shape_of_the_images() -> None:
    data = validate({"data": {"width": 512, "height": 384, "load_width": 572}})
    assert checked(LoadSettings, stage_settings(data, "prepare"), "s.json").load_size == Size(height=429, width=572)


def _rename(settings: dict[str, Any]) -> None:
    settings["finetune"]["lr_q"] = settings["finetune"].pop("lr_g")


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], tuple[str, ...]]] = {
    "unknown and missing": (_rename, ("finetune.lr_q is not known", "finetune.lr_g is missing")),
    "unknown section": (lambda s: s.update(modell={}), ("modell is not known",)),
    "missing section": (lambda s: s.pop("parity"), ("parity is missing",)),
    "missing networks": (lambda s: s.pop("model"), ("model is missing",)),
    "wrong value": (lambda s: s["data"].update(width="wide"), ("data.width is 'wide'",)),
    "wrong switch": (lambda s: s["parity"].update(crop="left"), ("parity.crop is 'left'",)),
    "other phase": (lambda s: s.update(pretrain=s.pop("finetune")), ("pretrain.epochs is missing",)),
    "no phase": (lambda s: s.pop("finetune"), ("finetune",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    change, told = WRONG[name]
    settings = copy.deepcopy(SETTINGS)
    change(settings)
    with pytest.raises(UsageError) as caught:
        TrainingConfig.of(settings, "finetune", "settings/finetune.json")
    assert "settings/finetune.json" in str(caught.value)
    assert all(part in str(caught.value) for part in told)


def test_a_stage_says_so_before_anything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = copy.deepcopy(SETTINGS)
    _rename(settings)
    file = tmp_path / "finetune.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    paths = [f"--{name}={tmp_path / name}" for name in ("photos", "label-maps", "samples", "resume", "look", "start")]
    assert main(["finetune", "--epoch=1", f"--settings={file}", f"--weights={tmp_path / 'w.safetensors'}", *paths]) == (
        EXIT_USAGE
    )
    assert f"{file}: finetune.lr_g is missing; finetune.lr_q is not known" in capsys.readouterr().err
    assert not (tmp_path / "w.safetensors").exists()
