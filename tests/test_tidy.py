"""What a run keeps with `retention: best`: which files, and what then runs again. The table of docs/disk.md.

On the real Snakefile with stages that compute nothing, but for `tidy` itself.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from copied_workflow import CopiedWorkflow, Run

from shanshui.errors import ShanshuiError
from shanshui.pipeline.retention import (
    REMOVED,
    TidySettings,
    check_plan,
    kept_names,
    losses,
    plan_removal,
    read_removed,
    remove,
    write_kept,
)
from shanshui.storage.files import read_json, write_json

TOLD = TidySettings(tried=2, last=12, full="128x096")
RANKED = {"ranking": [{"model": f"epoch_{epoch:03d}"} for epoch in (10, 9, 11, 12)]}


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    make(tmp_path, *(f"finetune/{kind}_{e:03d}.safetensors" for kind in ("epoch", "ema") for e in range(8, 13)))
    make(tmp_path, "merge/009+010.safetensors", "merge/008+010.safetensors", "finetune/.epoch_013.99.safetensors")
    make(
        tmp_path, *(f"pretrain/{size}{kind}.safetensors" for size in ("064x048", "128x096") for kind in ("", ".state"))
    )
    make(tmp_path, ".state/pretrain_064x048/abc/epoch_002.safetensors", ".state/pretrain_064x048/lock")
    make(tmp_path, ".state/finetune/abc/epoch_012.safetensors", "infer/009+010/seed_1/test/a.jpg")
    make(tmp_path, "infer/009+010/seed_2/test/a.jpg", "score/epoch_008.json")
    return tmp_path


def test_best_last_chosen_and_members_stay(run_folder: Path) -> None:
    found = plan_removal(run_folder, kept_names(TOLD, RANKED, "008+010", 2))
    assert found.kept == [
        "finetune/ema_012.safetensors", *(f"finetune/epoch_{e}.safetensors" for e in ("008", "009", "010", "012")),
        "merge/008+010.safetensors", "pretrain/128x096.safetensors", "pretrain/128x096.state.safetensors",
    ]  # fmt: skip
    assert found.gone == [
        ".state/pretrain_064x048/abc/epoch_002.safetensors",
        *(f"finetune/ema_{e}.safetensors" for e in ("008", "009", "010", "011")), "finetune/epoch_011.safetensors",
        "infer/009+010/seed_1", "infer/009+010/seed_2", "merge/009+010.safetensors",
        "pretrain/064x048.safetensors", "pretrain/064x048.state.safetensors",
    ]  # fmt: skip


def test_removed_files_are_listed_until_they_are_back(run_folder: Path) -> None:
    names = plan_removal(run_folder, kept_names(TOLD, RANKED, "epoch_010", 1)).gone
    listed = remove(run_folder, names)
    assert sorted(listed) == sorted(names)
    assert not any((run_folder / name).exists() for name in names)
    assert listed["infer/009+010/seed_2"] == len("infer/009+010/seed_2/test/a.jpg")
    make(run_folder, "finetune/epoch_011.safetensors")
    assert read_removed(run_folder).keys() == set(names) - {"finetune/epoch_011.safetensors"}
    assert remove(run_folder, []).keys() == set(names) - {"finetune/epoch_011.safetensors"}


def test_loss_is_told_from_removal(run_folder: Path) -> None:
    found = plan_removal(run_folder, kept_names(TOLD, RANKED, "epoch_010", 1))
    assert list(losses(run_folder)) == []
    write_kept(run_folder / "kept.json", run_folder, found.kept, remove(run_folder, found.gone))
    assert list(losses(run_folder)) == []
    (run_folder / "finetune/epoch_010.safetensors").unlink()
    (run_folder / "finetune/epoch_012.safetensors").write_text("other")
    assert list(losses(run_folder)) == [
        "finetune/epoch_010.safetensors is lost: kept.json has it among what was kept",
        "finetune/epoch_012.safetensors has another sha256 than kept.json says",
    ]


def test_training_again_what_was_removed_is_refused(tmp_path: Path) -> None:
    again = [("finetune", "009"), ("finetune", "010"), ("score", "")]
    check_plan(tmp_path, again, 2)
    write_json(tmp_path / "select" / "checkpoints.json", RANKED)
    write_json(tmp_path / REMOVED, {"finetune/epoch_009.safetensors": 1, "finetune/ema_010.safetensors": 1})
    for jobs, tried in ((again, 1), ([("settings", "")], 2)):
        with pytest.raises(ShanshuiError, match="needs checkpoints that `retention: best` removed: 009; fine-tuning"):
            check_plan(tmp_path, jobs, tried)
    check_plan(tmp_path, [("finetune", "010")], 1)
    check_plan(tmp_path, [*again, ("pretrain", "")], 2)


# --- on the real Snakefile ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A change to a finished and tidied run; the jobs that run, or the words it is refused with."""

    text: str
    change: dict[str, Any]
    jobs: dict[str, int] = field(default_factory=dict)
    refused: str = ""


AFTER = {"table": 1, "package": 1, "report": 1, "tidy": 1}
CHOSEN = {"fuse": 1, "score_fused": 1}
ROWS = [
    Row("nothing", {}),
    Row(
        "a seed more in `infer.seeds`",
        {"infer": {"seeds": [5, 7, 9]}},
        {"settings": 1, "infer": 1, "score_seed": 1, "select_seed": 1, **AFTER},
    ),
    Row(
        "`finetune.epochs` and `score.last` one higher",
        {"finetune": {"epochs": 4}, "score": {"last": 6}},
        {
            "settings": 2,
            "finetune_last": 1,
            "generate": 2,
            "score": 2,
            "select_checkpoints": 1,
            "select_model": 1,
            **AFTER,
        },
    ),
    Row("`report.samples`", {"report": {"samples": 3}}, {"settings": 1, "report": 1, "tidy": 1}),
    Row("`retention: all` again", {"retention": "all"}, {"settings": 1, "report": 1}),
    Row("`score.metrics`", {"score": {"metrics": ["dct_frechet", "sharpness"]}}, refused="would be trained again"),
    Row("`select.top` higher than the checkpoints kept", {"select": {"top": 3}}, refused="would be trained again"),
    Row(
        "a recipe too large for the disk",
        {"model": {"generator": {"name": "apf", "base_channels": 2**16, "halvings": 5}}},
        refused="will not fit",
    ),
]


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> CopiedWorkflow:
    return CopiedWorkflow(tmp_path_factory.mktemp("copy") / "only the best")


@pytest.fixture(scope="module")
def whole(root: Path, workflow: CopiedWorkflow) -> Run:
    """A run of three scored checkpoints and a moving average, finished with everything kept."""
    config = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
    config["finetune"] |= {"epochs": 3, "ema": 0.9}
    config["score"] |= {"last": 5}
    config["select"] |= {"top": 1}
    run = workflow.begin("whole", config)
    ran = run.jobs()
    assert (ran["tidy"], ran["finetune"], ran["finetune_last"]) == (0, 2, 1)
    return run


@pytest.fixture(scope="module")
def finished(whole: Run) -> Run:
    """The same, then told to keep the best alone."""
    run = whole.copy("best")
    run.set(retention="best")
    assert run.jobs() == {"settings": 2, "report": 1, "tidy": 1}
    return run


def test_only_the_average_that_can_be_chosen_is_written(whole: Run) -> None:
    assert [path.name for path in (whole.results / "finetune").glob("ema_*")] == ["ema_005.safetensors"]


def test_lower_last_epoch_goes_without_an_average_rather_than_train_again(whole: Run) -> None:
    run = whole.copy("lower")
    try:
        run.set(score={"last": 4})
        code, said = run.snakemake()
        assert code == 0, said[-3000:]
        assert "no moving average among the candidates: epoch 4 was trained when" in said
        assert not re.search(r"^Finished jobid: \d+ \(Rule: (pretrain|finetune\w*)\)$", said, re.MULTILINE)
    finally:
        shutil.rmtree(run.folder)


def test_unneeded_weights_are_gone(finished: Run) -> None:
    removed, listed = read_removed(finished.results), read_json(finished.results / "kept.json")
    assert listed["removed"] == removed
    tuned = {path.stem for path in (finished.results / "finetune").glob("*.safetensors")}
    assert {"epoch_005", "ema_005"} <= tuned < {"epoch_003", "epoch_004", "epoch_005", "ema_005"}
    assert "pretrain/032x016.state.safetensors" in removed
    assert len([name for name in removed if name.startswith("infer/")]) == 1


@pytest.mark.parametrize("row", ROWS, ids=[row.text for row in ROWS])
def test_row(row: Row, finished: Run) -> None:
    run = finished.copy("changed")
    try:
        run.set(**row.change)
        code, said = run.snakemake()
        ran = Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", said, re.MULTILINE))
        del ran["all"]
        assert (ran, code) == (Counter(row.jobs), int(bool(row.refused))), said[-3000:]
        assert row.refused in said
        assert "Traceback" not in said
    finally:
        shutil.rmtree(run.folder)


def test_document_has_these_rows(root: Path) -> None:
    text = (root / "docs" / "disk.md").read_text(encoding="utf-8")
    for row in ROWS:
        named = ", ".join(f"{n} {rule}" if n > 1 else rule for rule, n in row.jobs.items()) or "nothing"
        assert f"| {row.text} | {'refused: ' + row.refused if row.refused else named} |" in text, row.text
