"""Snakemake killed, restarted, and twice at a time, on a workflow of one slow job."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from copied_workflow import Planner

from shanshui.launch import LOCK, prepare, registered, somebody_runs

SOURCE = Path(__file__).resolve().parent.parent / "src"
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
from shanshui import launch
launch.prepare(workflow, 3)

rule slow:
    output: "a.txt"
    resources: gpu=1
    shell: "sleep {{config[seconds]}}; echo done > {{output}}"
"""


def note(state: Path) -> Path:
    """One of Snakemake's own notes."""
    (state / "locks").mkdir(parents=True, exist_ok=True)
    file = state / "locks" / "0.output.lock"
    file.write_text("a.txt\n")
    return file


def test_stale_notes_go_when_nobody_lives(tmp_path: Path) -> None:
    stale = note(tmp_path)
    with registered(tmp_path) as alone:
        assert alone
        assert not stale.exists()
        mine = note(tmp_path)
        with registered(tmp_path, executes=False) as other:
            assert not other
            assert mine.exists()
        assert somebody_runs(tmp_path)
    assert not somebody_runs(tmp_path)


def test_second_one_neither_clears_nor_lets_a_third_one_clear(tmp_path: Path) -> None:
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(registered(tmp_path))
        mine = note(tmp_path)
        assert not second.enter_context(registered(tmp_path))
        first.close()
        with registered(tmp_path) as third:
            assert not third, "the second one still lives"
            assert mine.exists()


def test_dry_run_clears_stale_notes_and_leaves_no_trace(tmp_path: Path) -> None:
    stale = note(tmp_path)
    with registered(tmp_path, executes=False) as alone:
        assert alone
        assert not stale.exists()
        with registered(tmp_path) as other:
            assert other, "a dry run keeps nobody from clearing"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written_is_left_to_snakemake(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with registered(tmp_path) as alone:
        assert not alone


@pytest.mark.parametrize(("local", "given", "gpu"), [(True, {}, 3), (True, {"gpu": 5}, 5), (False, {}, None)])
def test_number_of_gpu_jobs_holds_here_unless_said_otherwise(
    local: bool, given: dict[str, int], gpu: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    workflow: Any = SimpleNamespace(is_main_process=True, global_resources=dict(given), execute=lambda **_: "done")
    prepare(workflow, 3)
    plugin = SimpleNamespace(common_settings=SimpleNamespace(local_exec=local, dryrun_exec=False))
    assert workflow.execute(executor_plugin=plugin) == "done"
    assert workflow.global_resources.get("gpu") == gpu


def test_process_of_a_single_job_is_left_alone() -> None:
    workflow: Any = SimpleNamespace(is_main_process=False, execute=len)
    prepare(workflow, 3)
    assert workflow.execute is len


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


@pytest.fixture
def planner() -> Iterator[Planner]:
    planner = Planner()
    yield planner
    planner.close()


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


def test_killed_snakemake_is_followed_by_the_same_command(folder: Path, planner: Planner) -> None:
    """While one works, a second gets Snakemake's own message; once it is killed, the next needs no --unlock."""
    command = ["--cores", "1", "--config", "seconds=60"]
    first = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *command], cwd=folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(folder / ".snakemake" / "locks" / "0.output.lock", first)
        code, said = planner.run(folder, "--dry-run", *command)
        assert code == 0, said
        code, said = planner.run(folder, *command)
        assert code != 0
        assert "cannot be locked" in said
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)  # the job, which outlived it
    assert (folder / ".snakemake" / "locks" / "0.output.lock").exists()
    code, said = planner.run(folder, "--cores", "1", "--config", "seconds=0")
    assert code == 0, said
    assert 'Resource("gpu", 3)' in said
    assert (folder / "a.txt").read_text() == "done\n"
    assert (folder / ".snakemake" / LOCK).exists()
