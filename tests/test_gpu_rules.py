"""Every job that runs a network asks for the device it uses, and comes after the examination of the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from copied_workflow import CopiedWorkflow, Run


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A working folder in which nothing has run."""
    copy = CopiedWorkflow(tmp_path_factory.mktemp("gpu") / "copy")
    said_otherwise = (
        '    message:\n        "merge: average of {wildcards.subset}"\n'  # then Snakemake names no resources
    )
    copy.edit("rules/score.smk", lambda text: text.replace(said_otherwise, ""))
    config = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
    return copy.begin("tiny", config)


@pytest.mark.parametrize(("batch_norm", "gpu"), [("estimated", "1"), ("averaged", "0")])
def test_average_asks_for_a_gpu_where_it_runs_the_network(run: Run, batch_norm: str, gpu: str) -> None:
    run.set(merge={"batch_norm": batch_norm})
    code, said = run.snakemake("--dry-run", "results/tiny/merge/003+004.safetensors")
    assert code == 0, said
    (job,) = re.findall(r"^rule merge:\n(?:.+\n)+", said, re.MULTILINE)
    assert f"gpu={gpu}" in job, job
    assert ("doctor.json" in job) == (gpu == "1"), job


def test_no_average_asks_for_a_gpu_where_there_are_none(run: Run) -> None:
    run.set(gpus=0, merge={"batch_norm": "estimated"})
    code, said = run.snakemake("--dry-run", "results/tiny/merge/003+004.safetensors")
    assert code == 0, said
    assert "gpu=1" not in said


def test_training_is_handed_the_digests_of_the_pairs(run: Run) -> None:
    """Or every job, and every MPI rank, would read some ten gigabytes before it begins."""
    run.set(score={"metrics": ["dct_frechet", "mask_accuracy"]})
    wanted = [f"results/tiny/{name}.safetensors" for name in ("finetune/epoch_004", "segmenter/segmenter")]
    code, said = run.snakemake("--dry-run", *wanted)
    assert code == 0, said
    commands = re.findall(r"-m shanshui (pretrain|finetune|segmenter|prepare) (.+)", said)
    assert {stage for stage, _ in commands} == {"pretrain", "finetune", "segmenter", "prepare"}
    assert all("--digests results/tiny/prepare/digests.json" in words for _, words in commands)
