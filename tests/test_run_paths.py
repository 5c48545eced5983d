"""Names that connect the rules."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from shanshui.backend import gpu_lock
from shanshui.config.schema import Config
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError
from shanshui.pipeline.inputs_there import check_inputs
from shanshui.pipeline.run_paths import RunPaths, average_name, prepare_environment
from shanshui.storage.files import write_json, write_text


def test_one_pretraining_job_per_resolution() -> None:
    run_paths = RunPaths(Config())
    assert run_paths.resolutions() == ["064x048", "128x096", "256x192", "512x384"]
    assert run_paths.state_before("r", "064x048") == []
    assert run_paths.state_before("r", "256x192") == ["results/r/pretrain/128x096.state.safetensors"]
    assert run_paths.pretrained("r") == "results/r/pretrain/512x384.state.safetensors"


def test_finetuning_is_a_chain_over_the_scored_range() -> None:
    run_paths = RunPaths(Config())
    assert run_paths.epoch_before("r", 271) == []
    assert run_paths.epoch_before("r", 272) == ["results/r/finetune/epoch_271.safetensors"]
    assert len(run_paths.checkpoint_scores("r")) == 40


def test_epoch_that_is_there_keeps_the_one_it_came_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else moving `score.first` would train it again; under other settings it is trained again anyway."""
    monkeypatch.chdir(tmp_path)
    before = RunPaths(validate({"run": "r"}))
    write_json("results/r/settings/finetune.json", before.settings("r", "finetune"))
    for epoch in (271, 272):
        write_text(f"results/r/finetune/after/{epoch}", "".join(before.epoch_before("r", epoch)) + "\n")
    for first in (272, 270):
        moved = RunPaths(validate({"run": "r", "score": {"first": first}}))
        assert moved.epoch_before("r", 272) == ["results/r/finetune/epoch_271.safetensors"]
        assert moved.epoch_before("r", 271) == []
    other = RunPaths(validate({"run": "r", "score": {"first": 270}, "finetune": {"lr_g": 1.0}}))
    assert other.epoch_before("r", 271) == ["results/r/finetune/epoch_270.safetensors"]


def test_settings_carry_the_digest_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_paths = RunPaths(Config())
    settings = run_paths.settings("r", "fuse")
    assert settings["share"] == Config().fuse.share
    write_json("results/r/accepted.json", {"fuse": {settings["code"]: "older"}})
    assert run_paths.settings("r", "fuse")["code"] == "older"
    assert run_paths.settings("other", "fuse") == settings


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("auto", "1", None)),
        ({"gpus": [0, 2], "jobs_per_gpu": 3}, ("0,2", "3", None)),
        ({"gpus": 0}, ("auto", "1", "cpu")),
    ],
)
def test_jobs_inherit_what_the_configuration_says_of_gpus(
    options: dict[str, object], expected: tuple[str, str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (gpu_lock.GPUS, gpu_lock.JOBS_PER_GPU, "SHANSHUI_DEVICE")
    for name in (*names, "PYTHONPATH", "PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    prepare_environment(Path("src"), True, validate(options))
    assert tuple(os.environ.get(name) for name in names) == expected


@pytest.mark.parametrize(
    ("own_python", "given", "expected"),
    [
        (True, None, ["src"]),
        (True, "toys::src:more", ["src", "toys", "more"]),
        (False, "toys", ["src"]),  # of another Python: a conda environment has packages of its own
    ],
)
def test_jobs_find_plugins_where_snakemake_does(
    own_python: bool, given: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    for name in (gpu_lock.GPUS, gpu_lock.JOBS_PER_GPU, "PYTHONPATH"):
        monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv("PYTHONPATH")
    prepare_environment(Path("src"), own_python, Config())
    assert os.environ["PYTHONPATH"].split(os.pathsep) == expected


def test_candidates_are_all_subsets_named_without_rank() -> None:
    run_paths = RunPaths(validate({"finetune": {"ema": 0}}))
    names = run_paths.candidates(["epoch_299", "epoch_271", "epoch_273"])
    assert names == [
        "epoch_271", "epoch_273", "epoch_299", "271+273", "271+299", "273+299", "271+273+299",
    ]  # fmt: skip
    assert run_paths.candidates(["epoch_273", "epoch_299", "epoch_271"]) == names
    assert RunPaths.members("r", "271+299")[1] == "results/r/finetune/epoch_299.safetensors"
    assert RunPaths.weights_of("r", "271+299") == "results/r/merge/271+299.safetensors"


@pytest.mark.parametrize(
    ("there", "averaged"),
    [((), "310"), (("epoch_310", "ema_310"), "310"), (("epoch_309",), "310"), (("epoch_310",), "")],
)
def test_average_is_of_the_last_epoch_unless_it_was_trained_without(
    there: tuple[str, ...], averaged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_paths = RunPaths(Config())
    write_json("results/leaderboard/settings/finetune.json", run_paths.settings("leaderboard", "finetune"))
    for name in there:
        write_text(f"results/leaderboard/finetune/{name}.safetensors", "")
    assert run_paths.averaged_epoch == averaged
    assert run_paths.candidates(["epoch_309"]) == ["epoch_309", *([f"ema_{averaged}"] if averaged else [])]
    assert bool(run_paths.average_warning()) == (not averaged)
    for epoch in ("309", "310", "3100"):
        patterns = run_paths.without_average(), run_paths.with_average()
        fits = [bool(re.fullmatch(rf"finetune/epoch_({p})\.safetensors", f"finetune/epoch_{epoch}.safetensors"))
                for p in patterns]  # fmt: skip
        assert fits == [epoch != averaged, epoch == averaged]


def test_average_is_made_anew_with_other_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = RunPaths(validate({"run": "r", "finetune": {"ema": 0}}))
    write_json("results/r/settings/finetune.json", before.settings("r", "finetune"))
    write_text("results/r/finetune/epoch_310.safetensors", "")
    assert (before.averaged_epoch, before.average_warning()) == ("", "")
    assert RunPaths(validate({"run": "r"})).averaged_epoch == "310"


def test_soups_and_the_moving_average_are_candidates_too() -> None:
    run_paths = RunPaths(Config())
    assert run_paths.soups() == range(2, 9)
    assert run_paths.soup_choices()[-1] == "results/{run}/select/soup_7.json"
    soup = average_name(["271+273", "epoch_299"])
    assert soup == average_name(["epoch_299", "epoch_273", "epoch_271"]) == "271+273+299"
    assert run_paths.candidates(["epoch_273", "epoch_271"], ["epoch_271", soup]) == [
        "epoch_271", "epoch_273", "271+273", soup, "ema_310",
    ]  # fmt: skip
    assert RunPaths.weights_of("r", "ema_310") == "results/r/finetune/ema_310.safetensors"


def test_training_label_maps_are_a_set_where_they_decide() -> None:
    assert (RunPaths(Config()).sets(), RunPaths(Config()).train_labels()) == (["holdout", "test"], [])
    run_paths = RunPaths(validate({"select": {"on": "train"}, "data": {"holdout": 0}}))
    assert run_paths.sets() == ["train", "test"]
    assert run_paths.train_labels() == ["results/{run}/validate/train.csv"]


def test_segmenter_where_a_metric_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"metrics": ["dct_frechet"], "rank_by": "dct_frechet"}
    assert RunPaths(validate({"score": plain})).segmenter("r") == []
    metrics = {"metrics": ["dct_frechet", "miou"], "rank_by": "miou"}
    assert RunPaths(validate({"score": metrics})).segmenter("r") == ["results/r/segmenter/segmenter.safetensors"]
    brought = validate({"score": metrics, "segmenter": {"weights": str(tmp_path / "s.safetensors")}, "landscapes":
                        {"train": 9, "test": 2, "width": 64, "height": 64}})  # fmt: skip
    assert RunPaths(brought).segmenter("r") == [str(tmp_path / "s.safetensors")]
    with pytest.raises(ShanshuiError, match=r"segmenter\.weights.*not found"):
        check_inputs(brought)
    monkeypatch.chdir(tmp_path)
    of_another_run = Path("results/r/segmenter/segmenter.safetensors")
    of_another_run.parent.mkdir(parents=True)
    of_another_run.touch()
    brought = validate({**brought.model_dump(), "segmenter": {"weights": str(of_another_run)}})
    with pytest.raises(ShanshuiError, match=r"belongs to a run"):
        check_inputs(brought)


def test_missing_data_is_said_in_three_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ShanshuiError) as caught:
        check_inputs(Config())
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "data/train/imgs" in lines[0]
    assert "demo.yaml" in lines[2]


def test_missing_weights_are_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("data/train/imgs", "data/train/labels", "data/test/labels"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(ShanshuiError, match="python -m shanshui weights fid_inception inception_v3 vgg19"):
        check_inputs(Config())


def test_edges_of_instances_need_their_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = {"generator": "clade", "discriminator": "multiscale", "edges": "instance"}
    config = validate({"model": model, "data": {"layout": "coco-stuff", "root": "coco"}})
    for folder in ("train_img", "train_label", "val_label", "train_inst"):
        (tmp_path / "coco" / folder).mkdir(parents=True)
    (tmp_path / "coco" / "train_inst" / "a.png").touch()
    with pytest.raises(ShanshuiError, match="instance maps found coco/train_inst"):
        check_inputs(config)
    assert RunPaths(config).prepared_instances() == ["results/{run}/prepare/instances.npy"]
    assert RunPaths(Config()).prepared_instances() == []


def test_other_networks_are_precompiled_and_trained_in_one_job() -> None:
    run_paths = RunPaths(validate({
        "model": {"generator": "spade", "discriminator": "multiscale"}, "pretrain": {"epochs": 100},
        "score": {"first": 101, "last": 102}, "select": {"top": 1},
    }))  # fmt: skip
    assert run_paths.resolutions() == ["512x384"]
    assert run_paths.state_before("r", "512x384") == []
    assert run_paths.other_networks()
    assert RunPaths(Config()).other_networks() == ""


def test_fingerprint_sees_new_and_changed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("data/train/imgs", "data/train/labels", "data/test/labels"):
        (tmp_path / folder).mkdir(parents=True)
    run_paths = RunPaths(Config())
    prints = [run_paths.fingerprint()]
    (tmp_path / "data/train/imgs/a.jpg").write_bytes(b"1")
    prints.append(run_paths.fingerprint())
    (tmp_path / "data/train/imgs/a.jpg").write_bytes(b"12")
    prints.append(run_paths.fingerprint())
    (tmp_path / "data/train/imgs/a.jpg").write_bytes(b"21")
    prints.append(run_paths.fingerprint())
    assert len(set(prints)) == 4
    (tmp_path / "data/train/imgs/nothing.jpg").symlink_to("nowhere")
    assert run_paths.fingerprint() not in prints
    assert validate({"landscapes": {"train": 4, "test": 2, "width": 64, "height": 48}}).landscapes is not None


def test_braces_dashes_and_spaces_in_paths_are_no_wildcards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("my {run} imgs", "-labels", "t e;s't"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ex {x}.txt").write_text("a\n")
    paths = {"train_images": "my {run} imgs", "train_labels": "-labels", "test_labels": "t e;s't"}
    config = validate({"data": {**paths, "exclude": "ex {x}.txt"}})
    made = RunPaths(config)
    assert made.validate_arguments() == [
        "--train-images=my {run} imgs", "--train-labels=-labels", "--test-labels=t e;s't", "--exclude=ex {x}.txt"
    ]  # fmt: skip
    assert made.raw_data() == {}
    before = made.fingerprint()
    (tmp_path / "ex {x}.txt").write_text("b\n")
    assert made.fingerprint() != before
    (tmp_path / "s{1}.safetensors").touch()
    config = validate({"data": paths, "segmenter": {"weights": "s{1}.safetensors"}})
    with pytest.raises(ShanshuiError, match="holds braces, which Snakemake takes for wildcards"):
        check_inputs(config)


def test_dead_links_do_not_stop_the_planning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").symlink_to("gone")
    made = RunPaths(validate({"data": {"train_images": "a", "train_labels": "a", "test_labels": "a"}}))
    before = made.fingerprint()
    (tmp_path / "a" / "gone").write_bytes(b"here now")
    assert made.fingerprint() != before
