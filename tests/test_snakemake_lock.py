"""Snakemake killed, restarted, and twice at a time, on a workflow of one slow job."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from copied_workflow import PLANNER

from shanshui.pipeline.snakemake_lock import LOCK, is_locked, prepare, registered, unlocking

SOURCE = Path(__file__).resolve().parent.parent / "src"
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
from shanshui.pipeline import snakemake_lock
snakemake_lock.prepare(workflow, 3, "demo")

rule slow:
    output: "a.txt"
    resources: gpu=1
    shell: "sleep {{config[seconds]}}; echo done > {{output}}"
"""


def test_living_one_is_seen_and_leaves_no_trace_of_life(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with registered(tmp_path):
        assert is_locked(tmp_path)
        with registered(tmp_path):
            assert is_locked(tmp_path)
        assert is_locked(tmp_path), "the first one still lives"
    assert not is_locked(tmp_path)


@pytest.mark.parametrize("alive", [False, True])
def test_locks_of_others_stay(tmp_path: Path, alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set them may live where it cannot be seen: on another machine, or under another Snakefile."""
    monkeypatch.chdir(tmp_path)
    note = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    note.parent.mkdir(parents=True)
    note.write_text("a.txt\n")
    workflow: Any = SimpleNamespace(
        is_main_process=True, global_resources={}, execute=lambda **_: note.read_text(),
        dag_settings=SimpleNamespace(targets=()),
    )  # fmt: skip
    prepare(workflow, 1, "demo")
    for dry in (False, True):
        plugin = SimpleNamespace(common_settings=SimpleNamespace(local_exec=True, dryrun_exec=dry))
        with registered(tmp_path / ".snakemake") if alive else contextlib.nullcontext():
            assert workflow.execute(executor_plugin=plugin) == "a.txt\n"


@pytest.mark.parametrize(
    ("called", "named"),
    [
        (["/a b/.venv/bin/snakemake", "--configfile", "my 山.yaml", "--", "all"],
         "'/a b/.venv/bin/snakemake' --unlock --configfile 'my 山.yaml' -- all"),
        (["/site-packages/snakemake/__main__.py", "-n"], f"{sys.executable} -m snakemake --unlock -n"),
    ],
)  # fmt: skip
def test_named_command_is_the_one_given_with_unlock(called: list[str], named: str) -> None:
    assert unlocking(called) == named


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written_is_left_to_snakemake(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with registered(tmp_path):
        assert not is_locked(tmp_path)


@pytest.mark.parametrize(("local", "given", "gpu"), [(True, {}, 3), (True, {"gpu": 5}, 5), (False, {}, None)])
def test_number_of_gpu_jobs_holds_here_unless_said_otherwise(
    local: bool, given: dict[str, int], gpu: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    workflow: Any = SimpleNamespace(
        is_main_process=True,
        global_resources=dict(given),
        execute=lambda **_: "done",
        dag_settings=SimpleNamespace(targets=()),
    )
    prepare(workflow, 3, "demo")
    plugin = SimpleNamespace(common_settings=SimpleNamespace(local_exec=local, dryrun_exec=False))
    assert workflow.execute(executor_plugin=plugin) == "done"
    assert workflow.global_resources.get("gpu") == gpu


def test_process_of_a_single_job_is_left_alone() -> None:
    workflow: Any = SimpleNamespace(is_main_process=False, execute=len)
    prepare(workflow, 3, "demo")
    assert workflow.execute is len


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


def test_killed_snakemake_is_followed_by_the_command_it_is_told(folder: Path) -> None:
    """While one works, a second is refused; once it is killed, the refusal names the command that helps."""
    command = ["--cores", "1", "--config", "seconds=60"]
    first = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *command], cwd=folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    note = folder / ".snakemake" / "locks" / "0.output.lock"
    try:
        wait_for(note, first)
        code, said = PLANNER.run(folder, "--dry-run", *command)
        assert code == 0, said
        code, said = PLANNER.run(folder, *command)
        assert code != 0
        assert "Another Snakemake is at work" in said
        assert "--unlock" not in said, "which would free the files of the one at work"
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)  # the job, which outlived it
    again = ["--cores", "1", "--config", "seconds=0"]
    code, said = PLANNER.run(folder, *again)
    assert code != 0
    assert note.exists(), "the one that left it may be alive somewhere else"
    (named,) = (line.strip() for line in said.splitlines() if "--unlock" in line)
    code, said = PLANNER.run(folder, *shlex.split(named)[1:])
    assert code == 0, said
    code, said = PLANNER.run(folder, *again)
    assert code == 0, said
    assert 'Resource("gpu", 3)' in said
    assert (folder / "a.txt").read_text() == "done\n"
    assert (folder / ".snakemake" / LOCK).exists()
