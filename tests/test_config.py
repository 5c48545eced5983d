"""The configuration: recipes are valid, mistakes are named in the user's words, documents are in step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shanshui.config.schema import Config
from shanshui.config.sections import PARITY, Parity
from shanshui.config.settings import (
    load_config,
    merge,
    needed_weights,
    stage_settings,
    validate,
    validate_recorded,
)
from shanshui.config.stages import with_settings
from shanshui.data.landscape_classes import CLASSES
from shanshui.errors import UsageError


def mistakes(**sections: Any) -> str:
    with pytest.raises(UsageError) as caught:
        validate(sections)
    return str(caught.value)


def other(**model: Any) -> dict[str, Any]:
    """A section of other networks."""
    own = {part: model.pop(part, default) for part, default in (("generator", "apf"), ("discriminator", "multiscale"))}
    edges = {"edges": model.pop("edges")} if "edges" in model else {}
    return {"model": {**own, **edges, "generator": {"name": own["generator"], **model}}}


def test_leaderboard_recipe_spells_out_every_default(root: Path) -> None:
    written = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    config = load_config([root / "config.yaml"])
    assert config == Config()
    assert set(written) == set(Config.model_fields), "config.yaml shows every section"
    assert config.data.classes == list(CLASSES)
    assert (len(CLASSES), config.data.load_height) == (29, 429)
    assert (config.pretrain.epochs, config.finetune.epochs) == (180, 130)


@pytest.mark.parametrize("recipe", ["demo", "camvid"])
def test_small_recipes_are_valid_and_need_no_download(root: Path, recipe: str) -> None:
    config = load_config([root / "config.yaml", root / "config" / f"{recipe}.yaml"])
    assert config.run == recipe
    assert set(needed_weights(config)) <= {"efficientnet_lite0"}, "which is installed with the other packages"


def test_numbers_within_a_section_on_the_command_line_are_read() -> None:
    """Snakemake passes `--config model={generator: {halvings: 5}}` as text."""
    written = {"generator": {"name": "apf", "halvings": "5", "spade_hidden": "32"}}
    assert validate({"model": written}).model.generator.model_dump()["halvings"] == 5
    assert "5 or 6" in mistakes(model={"generator": {"name": "apf", "halvings": "4"}})


def test_typo_is_named_with_a_suggestion() -> None:
    text = mistakes(pretrain={"epochz": 3})
    assert "pretrain.epochz" in text
    assert "did you mean `epochs`" in text
    assert "did you mean `finetune`" in mistakes(finetun={})


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"data": {"width": 500}}, "data.width 500 is not a multiple of 64"),
        ({"pretrain": {"epochs": 100}}, "pretrain.epochs 100 cannot be shared among"),
        ({"score": {"first": 180}}, "must lie in the epochs of fine-tuning, 181 to 310"),
        ({"score": {"rank_by": "swd"}}, "score.rank_by swd: swd is not among score.metrics"),
        ({"data": {"load_width": 400}}, "smaller than the crop"),
        ({"model": {"discriminator": {"name": "progressive", "base_channels": 4}}}, "use a multiple of 8"),
        ({"infer": {"seeds": [1, 1]}}, "a seed is listed twice"),
        ({"pretrain": {"lr_g": "quick"}}, "pretrain.lr_g"),
        ({"data": {"classes": ["sky", "sky"]}}, "class name used twice: sky"),
        ({"data": {"holdout": 0}}, "select.on holdout needs data.holdout"),
        ({"gpus": [1, 1]}, "a GPU is listed twice"),
        ({"gpus": -1}, "gpus"),
        ({"select": {"top": 6}, "score": {"first": 308}}, "select.top 6 is more than the 3 scored"),
        ({"finetune": {"epochs": 2, "lr_decay_epochs": 3}}, "lr_decay_epochs 3 is more than epochs 2"),
        ({"model": {"generator": "spade"}}, "with generator spade use multiscale, fpse or oasis"),
        (
            {"model": {"generator": "clade", "discriminator": {"name": "fpse", "count": 2}}},
            "discriminator fpse with count 2 needs a generator that grows, as APF-GAN's does",
        ),
        (
            {"model": {"generator": {"name": "apf", "z_dim": 256}}},
            "model.generator.z_dim: generator apf has no option z_dim; it is an option of spade, clade, clade_icpe, ",
        ),
        (other(generator="oasis", edges="label"), "edges label has no effect with generator oasis"),
        (
            other(generator="ccfpse", upsampling="most"),
            "model.generator.upsampling: Input should be 'normal' or 'more', found 'most'",
        ),
        (other(generator="spade", style_encoder={}), "model.generator: style_encoder needs a z_dim"),
        (other(generator="spade", spade_kernel=4), "model.generator.spade_kernel: 4 is even: use 3 or 5"),
        (other(generator="spad"), "model.generator: there is no generator 'spad', but apf, "),
        (other(generator="spad"), "did you mean spade?"),
        (
            {"model": {"generator": {"base_channels": 4}}},
            "model.generator: no name, which says whose options these are",
        ),
        (
            {"model": {"generator": {"name": "clade", "spade_hiden": 4}}},
            "generator clade has no option spade_hiden. It has",
        ),
        (
            {"model": {"halvings": 5}},
            "model.halvings: there is no such option; indent it below `model:`, `generator:` (apf)",
        ),
        ({"base_channels": 5}, "base_channels: there is no such option; indent it below `model:`, `generator:` (apf, "),
        (
            {**other(generator="spade", upsampling="most"), "data": {"width": 256, "height": 192}},
            "data.height 192 is not a multiple of 128 (model.generator.upsampling most doubles the first features 7",
        ),
        (
            {**other(discriminator="oasis", generator="spade"), "data": {"height": 352, "load_width": 600}},
            "data.height 352 is not a multiple of 64 (discriminator oasis halves it 6 times): use 320 or 384",
        ),
        (
            {**other(discriminator="oasis"), "pretrain": {"gan": "ls"}},
            "pretrain.gan ls has no effect with generator apf and discriminator oasis: "
            "it is for discriminator progressive",
        ),
    ],
)
def test_errors_speak_the_users_words(sections: dict[str, Any], words: str) -> None:
    assert words in mistakes(**sections)


def test_defaults_of_the_leaderboard_recipe_may_lie_under_any_model(root: Path, tmp_path: Path) -> None:
    """They are said for all networks; what a file of one's own says, default or not, is said for these."""
    mine = tmp_path / "mine.yaml"
    for said, refused in (
        ({}, ""),
        (
            {"finetune": {"seg_noise": True}},
            "finetune.seg_noise True has no effect with generator oasis and discriminator",
        ),
        ({"finetune": {"seg_noise": False, "feature_matching": 0.0}}, ""),
        (
            {"model": {"generator": {"halvings": 6}}},
            "model.generator.halvings: generator oasis has no option halvings; it is an option of apf",
        ),
        ({"pretrain": {"feature_matching": 3.0}}, "pretrain.feature_matching 3.0 has no effect with"),
        ({"parity": {"grow_copy": "once"}}, "parity.grow_copy once has no effect with"),
        ({"parity": "winner"}, ""),
    ):
        mine.write_text(
            yaml.safe_dump(merge({"model": {"generator": {"name": "oasis"}, "discriminator": {"name": "oasis"}}}, said))
        )
        if refused:
            with pytest.raises(UsageError, match=refused):
                load_config([root / "config.yaml", mine])
        else:
            load_config([root / "config.yaml", mine])
    changed = yaml.safe_load((root / "config.yaml").read_text())
    changed["model"] |= {"generator": "oasis", "discriminator": "oasis"}
    assert validate(changed).finetune.seg_noise, "config.yaml itself edited: defaults are nobody's choice"
    changed["model"]["discriminator"] = {"name": "oasis", "count": 3}
    with pytest.raises(
        UsageError, match="discriminator oasis has no option count; it is an option of progressive, multiscale, fpse"
    ):
        validate(changed)


@pytest.mark.parametrize("recipe", ["apf-gan", "oasis", "clade", "pix2pixhd"])
def test_settings_of_a_run_are_read_again(root: Path, recipe: str) -> None:
    """As its report keeps them, with every default, whatever its networks."""
    config = load_config([root / "config.yaml", root / "config" / "models" / f"{recipe}.yaml"])
    shown = stage_settings(config, "report")["config"]
    assert validate_recorded(shown, "settings/report.json") == config


def test_every_mistake_is_listed_at_once() -> None:
    text = mistakes(run="a b", pretrain={"batch": 0}, model={"generator": {"name": "apf", "halvings": 7}})
    assert "3 mistake(s)" in text


def test_yaml_words_and_numbers_read_as_meant(tmp_path: Path) -> None:
    """`on:` is true in YAML 1.1, and 1e-4 is text."""
    path = tmp_path / "mine.yaml"
    path.write_text("select: {on: test}\nparity: {preset: winner, spectral_norm: on}\nfinetune: {lr_g: 1e-4}\n")
    config = load_config([path])
    assert config.select.on == "test"
    assert config.parity.resolved()["spectral_norm"] == "on"
    assert config.finetune.lr_g == 1e-4


def test_gpus_may_be_auto_none_or_numbers() -> None:
    assert [validate({"gpus": gpus}).gpus for gpus in ("auto", 0, [0, 2])] == ["auto", 0, [0, 2]]


def test_on_in_quotes_is_on_and_counts_before_the_one_it_is_laid_over() -> None:
    """Snakemake puts the command line's file first into the mapping, so that order says nothing."""
    for select in ({True: "holdout", "on": "test"}, {"on": "test", True: "holdout"}):
        assert validate({"select": select}).select.on == "test"


def test_parity_presets_differ_in_every_switch() -> None:
    winner, intended = Parity(preset="winner").resolved(), Parity().resolved()
    assert all(winner[name] != intended[name] for name in PARITY)
    assert validate({"parity": "winner"}).parity.resolved() == winner


def test_merge_is_snakemakes() -> None:
    assert merge({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [3]}}) == {"a": {"x": 1, "y": [3]}}


def test_settings_hold_the_sections_of_the_networks_with_their_names() -> None:
    settings = stage_settings(Config(), "finetune")
    assert settings["model"] == {
        "generator": {
            "name": "apf", "base_channels": 64, "spectral_norm": "on", "halvings": 6, "spade_hidden": 128,
        },
        "discriminator": {"name": "progressive", "base_channels": 64, "spectral_norm": "on", "count": 4},
        "edges": "none",
    }  # fmt: skip
    assert not {"gan", "kl", "kl_reduction", "label_mix"} & set(settings["finetune"])


def test_training_sees_only_what_its_networks_use() -> None:
    def numbers(**model: Any) -> set[str]:
        return set(stage_settings(validate(other(**model)), "finetune")["finetune"])

    common = numbers(generator="spade")
    assert not {"kl", "label_mix", "seg_noise"} & common
    assert numbers(generator="spade", z_dim=8, style_encoder={"base_channels": 4}) == common | {"kl", "kl_reduction"}
    assert numbers(generator="spade", discriminator="oasis") == (common | {"label_mix"}) - {"feature_matching"}
    assert numbers() == common | {"seg_noise"}


def test_stages_see_only_what_they_depend_on() -> None:
    """The table of docs/reruns: changing an option changes the settings of these stages and no others."""

    def changed(**sections: Any) -> set[str]:
        before, after = Config(), validate(sections)
        return {stage for stage in with_settings() if stage_settings(before, stage) != stage_settings(after, stage)}

    report = {"report"}  # shows the configuration

    assert changed(infer={"seeds": [1]}) == report
    assert changed(select={"top": 2}) == report
    assert changed(score={"last": 300}) == {"tidy"} | report
    assert changed(select={"soup": 9}) == {"tidy"} | report
    assert changed(retention="best") == report
    assert changed(finetune={"epochs": 140}) == report
    assert changed(pretrain={"snapshot_minutes": 3, "log_every": 1}) == set()
    assert changed(generate={"batch": 1}) == set()
    assert changed(gpus=[0, 1], jobs_per_gpu=2) == set()
    assert changed(finetune={"lr_g": 2e-4}) == {"finetune"} | report
    assert changed(pretrain={"lr_g": 2e-4}) == {"pretrain"} | report
    assert changed(score={"metrics": ["fid"]}) == {"reference", "score"} | report
    assert changed(select={"on": "test"}) == {"select", "table", "report"}
    assert changed(generate={"quality": 90}) == {"generate", "fuse", "package"} | report
    assert changed(generate={"precision": "tf32"}) == {"generate", "table"} | report
    assert changed(finetune={"precision": "bf16"}) == {"finetune", "table"} | report
    assert changed(pretrain={"deterministic": True}) == {"pretrain", "table"} | report
    assert changed(data={"holdout": 100}) == {"validate"} | report
    assert changed(fuse={"share": 0.9}) == {"fuse"} | report


def test_order_of_keys_does_not_matter() -> None:
    a = validate({"pretrain": {"batch": 4, "lr_g": 1e-3}})
    b = validate({"pretrain": {"lr_g": 1e-3, "batch": 4}})
    assert stage_settings(a, "pretrain") == stage_settings(b, "pretrain")
