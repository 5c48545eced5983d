"""Training killed in the middle of an epoch, Snakemake and all, then continued as the message says."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from shanshui.storage import checkpoint

EPOCHS = {"pretrain": 8, "finetune": 8}
TARGETS = ["pretrain/032x016", "pretrain/064x032", "finetune/epoch_016"]


def command(root: Path, folder: Path, config: Path, *arguments: str) -> list[str]:
    cores = os.environ.get("OMP_NUM_THREADS", "all")
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(folder),
        "--configfile", str(config), "--cores", cores, "--rerun-incomplete", *arguments,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with two configurations of the same training: `whole` and `cut`."""
    folder = tmp_path_factory.mktemp("killed")
    tiny = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
    for run in ("whole", "cut"):
        config = {**tiny, "run": run, "select": {"top": 1}}
        config["score"] = {**tiny["score"], "first": 16, "last": 16}
        for phase, epochs in EPOCHS.items():
            config[phase] = {**tiny[phase], "epochs": epochs, "snapshot_minutes": 0}
        config["finetune"]["ema"] = 0.9
        (folder / f"{run}.yaml").write_text(yaml.safe_dump(config))
    return folder


def targets(run: str) -> list[str]:
    return [f"results/{run}/{target}.safetensors" for target in TARGETS]


def weights(folder: Path, run: str) -> list[Path]:
    return [folder / target for target in targets(run)]


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process and all it started."""
    everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(everyone, timeout=30)
    process.wait()


def unlock(start: list[str]) -> None:
    """Start again after a kill, and give the command that the refusal names."""
    refused = subprocess.run(start, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    (named,) = (line.strip() for line in refused.stderr.splitlines() if "--unlock" in line)
    subprocess.run(shlex.split(named), capture_output=True, check=True)


def states(folder: Path, phase: str) -> Iterator[Path]:
    return (folder / "results" / "cut" / ".state" / phase).glob("*/epoch_*.safetensors")


@pytest.mark.drill
def test_killed_in_every_phase_it_ends_in_the_same_bits(root: Path, folder: Path) -> None:
    """Killed in both resolutions of pretraining and in fine-tuning, after an epoch was kept."""
    done = subprocess.run(
        command(root, folder, folder / "whole.yaml", "--", *targets("whole")),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    cut = command(root, folder, folder / "cut.yaml", "--", *targets("cut"))
    for phase, target in zip(("pretrain_032x016", "pretrain_064x032", "finetune"), weights(folder, "cut"), strict=True):
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen(cut, stdout=log, stderr=log)
        deadline = time.monotonic() + 240
        while not any(int(state.stem[6:]) % 8 for state in states(folder, phase)):
            assert process.poll() is None, (folder / "log").read_text()[-4000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        kill_tree(process)
        assert not target.exists(), "killed before the end of the job"
        unlock(cut)
    done = subprocess.run(cut, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]

    average = "finetune/ema_016.safetensors"
    pairs = [*zip(weights(folder, "whole"), weights(folder, "cut"), strict=True),
             (folder / "results/whole" / average, folder / "results/cut" / average)]  # fmt: skip
    for whole, continued in pairs:
        wanted, found = checkpoint.load(whole).arrays, checkpoint.load(continued).arrays
        assert wanted.keys() == found.keys()
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array, err_msg=f"{whole.stem}: {name}")
