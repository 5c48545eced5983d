"""Names that connect the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from shanshui.config import Config
from shanshui.errors import ShanshuiError
from shanshui.flow import Flow, check_inputs
from shanshui.settings import validate


def test_one_pretraining_job_per_resolution() -> None:
    flow = Flow(Config())
    assert flow.resolutions() == ["064x048", "128x096", "256x192", "512x384"]
    assert flow.state_before("r", "064x048") == []
    assert flow.state_before("r", "256x192") == ["results/r/pretrain/128x096.state.safetensors"]
    assert flow.pretrained("r") == "results/r/pretrain/512x384.state.safetensors"


def test_finetuning_is_a_chain_over_the_scored_range() -> None:
    flow = Flow(Config())
    assert flow.epoch_before("r", 271) == []
    assert flow.epoch_before("r", 272) == ["results/r/finetune/epoch_271.safetensors"]
    assert len(flow.checkpoint_scores("r")) == 40


def test_candidates_are_all_subsets_named_without_rank() -> None:
    names = Flow.candidates(["epoch_299", "epoch_271", "epoch_273"])
    assert names == [
        "epoch_271", "epoch_273", "epoch_299", "271+273", "271+299", "273+299", "271+273+299",
    ]  # fmt: skip
    assert Flow.candidates(["epoch_273", "epoch_299", "epoch_271"]) == names
    assert Flow.members("r", "271+299")[1] == "results/r/finetune/epoch_299.safetensors"
    assert Flow.weights_of("r", "271+299") == "results/r/merge/271+299.safetensors"


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


def test_fingerprint_sees_new_and_changed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("data/train/imgs", "data/train/labels", "data/test/labels"):
        (tmp_path / folder).mkdir(parents=True)
    flow = Flow(Config())
    prints = [flow.fingerprint()]
    (tmp_path / "data/train/imgs/a.jpg").write_bytes(b"1")
    prints.append(flow.fingerprint())
    (tmp_path / "data/train/imgs/a.jpg").write_bytes(b"12")
    prints.append(flow.fingerprint())
    assert len(set(prints)) == 3
    assert validate({"landscapes": {"train": 4, "test": 2, "width": 64, "height": 48}}).landscapes is not None
