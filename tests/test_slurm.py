"""The tiny run through profiles/slurm and a real Slurm, against the same run without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from slurm_cluster import DEVICES, Cluster, missing, running_cluster

from shanshui.storage.files import sha256

ROOT = Path(__file__).resolve().parent.parent
PROFILE = ROOT / "profiles" / "slurm"
TINY = ROOT / "tests" / "config" / "tiny.yaml"
GPU_RULES = {"doctor", "reference", "pretrain", "finetune", "generate", "score", "infer", "score_seed", "score_fused"}
LOCAL_RULES = {"all", "settings", "select_checkpoints", "select_model", "select_seed", "soup", "verify"}
# The cluster is idle and shares its files: no need for the profile's patience.
IMPATIENT = (
    "--latency-wait", "10", "--slurm-init-seconds-before-status-checks", "2", "--max-status-checks-per-second", "1",
    "--max-threads", "1",
)  # fmt: skip


def command(folder: Path, *arguments: str, configuration: Sequence[Path] = (TINY,)) -> list[str]:
    """Snakemake on the repository's Snakefile, in a working folder of its own."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder),
        "--configfile", *map(str, configuration), *arguments,
    ]  # fmt: skip


def through_slurm(cluster: Cluster, folder: Path, *arguments: str, configuration: Sequence[Path] = (TINY,)) -> None:
    """Run through the profile to the end."""
    done = subprocess.run(
        command(folder, "--workflow-profile", str(PROFILE), *IMPATIENT, *arguments, configuration=configuration),
        env=cluster.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    steps = [log.read_text(errors="replace")[-2000:] for log in folder.glob(".snakemake/slurm_logs/**/*.log")]
    assert done.returncode == 0, "\n".join([done.stderr[-6000:], *steps, cluster.logs()])


def test_profile_names_rules_that_are_there() -> None:
    profile = yaml.safe_load((PROFILE / "config.yaml").read_text())
    written = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert [rule for rule in profile["set-resources"] if f"rule {rule}:" not in written] == []
    assert profile["retries"] > 0, "a job killed at its time limit has to continue"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    with running_cluster() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder on which the names of files can trip."""
    made = tmp_path / "山水 run"
    made.mkdir()
    return made


def test_gpus_are_handed_out_one_by_one(cluster: Cluster) -> None:
    """Two jobs at a time see one device each, and not the same."""
    shown = cluster.ask("srun", "--ntasks=2", "--gpus-per-task=1", "bash", "-c", "sleep 3; echo $CUDA_VISIBLE_DEVICES")
    assert sorted(shown.split()) == [str(number) for number in range(len(DEVICES))]


@pytest.mark.slow
def test_cluster_without_gpus_is_not_asked_for_any(cluster: Cluster, folder: Path) -> None:
    before = {job["JobId"] for job in cluster.jobs()}
    (folder / "without.yaml").write_text("gpus: 0\n")
    through_slurm(cluster, folder, "--until", "doctor", configuration=[TINY, folder / "without.yaml"])
    jobs = [job for job in cluster.jobs() if job["JobId"] not in before]
    assert [rule_of(job) for job in jobs] == ["doctor"]
    assert not any("gpu" in value for job in jobs for key, value in job.items() if key.startswith("Tres"))


@pytest.mark.slow
def test_interrupted_run_takes_its_jobs_along_and_continues_with_the_same_bytes(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    before = {job["JobId"] for job in cluster.jobs()}
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    first = subprocess.Popen(
        command(folder, "--workflow-profile", str(PROFILE), *IMPATIENT), env=cluster.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    signal.signal(signal.SIGINT, ours)
    try:
        wait_for_job(cluster, "pretrain", first)
        first.send_signal(signal.SIGINT)
        first.wait(timeout=300)
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    cluster.wait_for("squeue", "--noheader", "--format=left", pattern=r"^$")
    through_slurm(cluster, folder)

    jobs = [job for job in cluster.jobs() if job["JobId"] not in before]
    ran = {rule_of(job): job for job in jobs if job["JobState"] == "COMPLETED"}
    assert ran.keys() >= GPU_RULES | {
        "landscapes",
        "validate",
        "prepare",
        "merge",
        "fuse",
        "package",
        "table",
        "report",
    }
    assert not ran.keys() & LOCAL_RULES
    assert {rule for rule, job in ran.items() if "gpu=1" in job.get("TresPerJob", "").replace(":", "=")} == GPU_RULES

    local = tmp_path / "local"
    local.mkdir()
    threads = len(os.sched_getaffinity(0))  # those of the cluster's jobs; bits depend on their number
    subprocess.run(command(local, "--cores", str(threads)), check=True, capture_output=True)
    name = Path("results") / "tiny" / "submission.zip"
    assert sha256(folder / name) == sha256(local / name)


def rule_of(job: dict[str, str]) -> str:
    """The rule a Slurm job was submitted for."""
    return job.get("Comment", "").removeprefix("rule_").split("_wildcards_")[0]


def wait_for_job(cluster: Cluster, rule: str, process: subprocess.Popen[bytes]) -> None:
    """Until a job of the rule runs."""
    while not any(rule_of(job) == rule and job["JobState"] == "RUNNING" for job in cluster.jobs()):
        assert process.poll() is None, "Snakemake ended before"
        time.sleep(0.5)
