"""The GPU check's own machinery: limits, a second try after a signal, what is written, and where it stops."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def check(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", root / "benchmarks" / "gpu" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run_step(check: ModuleType, tmp_path: Path) -> Callable[..., int]:
    def run(*scripts: str, limit: float = 30) -> int:
        step = check.Step("trial", limit, tuple(("-c", script) for script in scripts))
        return check.run_step(step, sys.executable, dict(os.environ), limit, check.Log(tmp_path / "log.txt"))

    return run


def test_output_reaches_the_log_and_commands_stop_at_the_first_failure(
    run_step: Callable[..., int], tmp_path: Path
) -> None:
    assert run_step("print('one')", "import sys; print('two'); sys.exit(3)", "print('three')") == 3
    assert (tmp_path / "log.txt").read_text().splitlines() == ["one", "two"]


def test_step_is_ended_at_its_limit_with_its_children(run_step: Callable[..., int], tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    start = time.monotonic()
    assert run_step(child, limit=1) == 124
    assert time.monotonic() - start < 20


def test_step_ended_by_a_signal_is_tried_once_more(run_step: Callable[..., int], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    crash = f"import os, pathlib; p = pathlib.Path({str(mark)!r}); first = not p.exists(); p.touch()\n"
    assert run_step(crash + "if first: os.kill(os.getpid(), 11)\nprint('fine')") == 0
    assert "ended by signal 11" in (tmp_path / "log.txt").read_text()
    assert run_step("import os; os.kill(os.getpid(), 11)") == -11


def test_without_a_device_the_check_says_so_and_ends(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(root / "benchmarks" / "gpu" / "check.py"), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "SHANSHUI_DEVICE": "cpu"}
    done = subprocess.run([*command, "--only", "repeat"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no CUDA device is used" in done.stdout
    assert (tmp_path / "out" / "steps.txt").read_text().splitlines()[-1].startswith("core ")
    wrong = subprocess.run([*command, "--only", "everything"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "no step is called everything" in wrong.stderr
