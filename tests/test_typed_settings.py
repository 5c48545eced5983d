"""Settings files of training as typed objects: what is unknown, missing or wrong is refused by its name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shanshui.__main__ import main
from shanshui.config.settings import stage_settings, validate
from shanshui.config.training_settings import TrainingConfig
from shanshui.config.typed_settings import MetricSettings, checked
from shanshui.errors import EXIT_USAGE, UsageError
from shanshui.storage.size import Size

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
