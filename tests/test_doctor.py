"""The doctor's findings and its exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.backend.device import Device
from shanshui.backend.runtime import cache_home, load_jittor
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError
from shanshui.pipeline import diagnosis, run_checks
from shanshui.pipeline.diagnosis import GIB, check_disk, check_weights
from shanshui.pipeline.finding import Finding, asked
from shanshui.pipeline.network_counts import find_counts
from shanshui.storage.files import write_json

SMALL = {
    "generator": {"name": "apf", "base_channels": 8},
    "discriminator": {"name": "progressive", "base_channels": 8},
}  # a run that fits everywhere
SOURCE = Path(__file__).resolve().parent.parent / "src"


def doctor(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "SHANSHUI_CACHE": str(cache_home()), **variables}
    return subprocess.run(
        [sys.executable, "-m", "shanshui", "doctor", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_usable_machine(tmp_path: Path) -> None:
    load_jittor()  # compiled from here on
    done = doctor(tmp_path, "--out", "doctor.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "usable\n"
    for name in (
        "Python",
        "compiler",
        "headers",
        "oneDNN",
        "Jittor",
        "device",
        "CPU",
        "memory",
        "disk: cache",
    ):
        assert any(line[5:].startswith(name) for line in done.stdout.splitlines()), name
    found = json.loads((tmp_path / "doctor.json").read_text())
    assert found["device"] in ("cpu", "cuda")
    assert (found["jittor"], found["compiler"] > "") == ("1.3.11.0", True)


def test_gaps_make_the_exit_code_and_say_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    done = doctor(tmp_path, "--compile", "--out", "doctor.json", PATH=str(empty))
    assert done.returncode == 1
    assert "gap  compiler      no C++ compiler" in done.stdout
    assert "to do: apt-get install g++" in done.stdout
    assert "not usable: compiler" in done.stderr
    assert not (tmp_path / "doctor.json").exists()


def test_weights_a_configuration_needs_are_gaps(tmp_path: Path) -> None:
    write_json(tmp_path / "fid.yaml", {"pretrain": {"perceptual": {"net": "none"}}, "model": SMALL})
    done = doctor(tmp_path, "--config", "fid.yaml")
    assert done.returncode == 1
    assert "not usable: data, fid_inception, inception_v3" in done.stderr
    assert "python -m shanshui weights fid_inception" in done.stdout


def test_weights_are_notes_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    states = {finding.name: finding.state for finding in check_weights([])}
    assert states.pop("efficientnet_lite0") in ("ok", "note"), "set-up brings it"
    assert set(states.values()) == {"note"}


def test_errors_become_gaps_with_their_cure() -> None:
    def fails() -> str:
        raise ShanshuiError("nothing there", "something", "get it")

    assert asked("thing", fails) == Finding("thing", "gap", "nothing there", "get it")
    assert asked("thing", lambda: "here") == Finding("thing", "ok", "here")
    assert asked("thing", fails).line() == "gap  thing         nothing there\n                   to do: get it"


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_disk("disk", tmp_path / "not" / "yet", 1).state == "ok"
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(9 * GIB, 8 * GIB, GIB))
    found = check_disk("disk", tmp_path, 2 * GIB)
    assert (found.state, found.text) == ("gap", f"1.0 GiB free at {tmp_path}")
    (tmp_path / "file").touch()
    assert "below cannot be written to (Not a directory" in check_disk("disk", tmp_path / "file" / "below", 1).text


def test_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "available_memory", lambda: GIB)
    assert diagnosis.check_memory().state == "note"
    monkeypatch.undo()
    assert 0 < diagnosis.available_memory() < 2**50


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "find_device", lambda: Device("cpu", "CPU: no CUDA device"))
    monkeypatch.setattr(diagnosis, "cuda_devices", list)
    assert (diagnosis.check_device().state, diagnosis.check_device().do[:8]) == ("note", "nothing,")
    monkeypatch.setattr(diagnosis, "cuda_devices", lambda: [{"name": "Card", "memory_mib": 8000}])
    assert "docs/gpu.md" in diagnosis.check_device().do
    monkeypatch.setattr(diagnosis, "find_device", lambda: Device("cuda", "CUDA: 1 device(s)"))
    monkeypatch.setattr(diagnosis, "driver_version", lambda: "12.2")
    assert diagnosis.check_device().text == "CUDA: 1 device(s); driver for CUDA 12.2; Card (8000 MiB)"


def test_a_step_of_ccfpse_is_told_before_training() -> None:
    """2.77 times the outputs of convolutions for the images of a process."""
    model = {"generator": {"name": "ccfpse", "base_channels": 4}, "discriminator": {"name": "fpse", "base_channels": 4}}
    phases = {phase: {"batch": 4, "processes": 2} for phase in ("pretrain", "finetune")}
    config = validate({"model": model, **phases})
    counts = find_counts(config)
    assert isinstance(counts, NetworkCounts)
    said = {finding.name: finding.text for finding in run_checks.examine(config, {"finetune"})}["memory: a step"]
    assert f"about {2.77 * 4 * counts.outputs * 2 / GIB:.1f} GiB in each process" in said
    assert "memory: a step" not in {finding.name for finding in run_checks.examine(validate({}), {"finetune"})}
