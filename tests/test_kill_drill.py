"""The real workflow killed with SIGKILL again and again, in every stage: it ends in the bytes of an undisturbed run.

What dies is the job alone (as when memory runs out), Snakemake alone (its job goes on as an orphan, beside that of
the next Snakemake), or both (as in a power cut). The next start is the same command; where it is refused, since a
killed Snakemake left its locks, the command that the refusal names comes first.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from shanshui.storage import files, folders

Kill = tuple[str, str, str]
Job = tuple[psutil.Process, list[str]]
SLOW = "Snakemake, and its job trains on until the next one waits for it"
KILLS: list[Kill] = [  # stage, what its command line holds, who dies; each once, when such a job runs
    ("landscapes", "", "both"),
    ("doctor", "", "Snakemake"),
    ("validate", "", "job"),
    ("prepare", "", "Snakemake"),
    ("reference", "", "both"),
    ("segmenter", "", "Snakemake"),
    ("pretrain", "064x032", "both"),
    ("finetune", "--epoch 003", SLOW),
    ("generate", "images/epoch_003", "Snakemake"),
    ("score", "score/epoch_004", "both"),
    ("merge", "", "Snakemake"),
    ("select", "select/model.json", "both"),
    ("fuse", "", "job"),
    ("package", "", "Snakemake"),
    ("table", "", "both"),
    ("report", "", "Snakemake"),
]
TIMED = ("logs", "benchmarks", "events", "stats.jsonl", "doctor.json", "report.html")  # they hold seconds
PATIENCE = 1800  # seconds between two things that happen


class Workflow:
    """The repository's workflow in a working folder of its own, at the smallest size, with all of its stages."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        folder.mkdir()
        config = yaml.safe_load((root / "tests" / "config" / "tiny.yaml").read_text())
        config["segmenter"] = {"width": 64, "height": 32, "channels": 4, "epochs": 2, "batch": 4}
        config["score"]["metrics"] = ["dct_frechet", "mask_accuracy"]
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def start(self, *again: str) -> psutil.Popen:
        """The one command, or that with rules to run again."""
        cores = os.environ.get("OMP_NUM_THREADS", "all")
        with open(self.folder / "said.txt", "ab") as said:
            return psutil.Popen(
                [sys.executable, "-m", "snakemake", "--snakefile", str(self.root / "Snakefile"),
                 "--directory", str(self.folder), "--configfile", str(self.folder / "config.yaml"), "--cores", cores,
                 "--logger-shanshui-everything", *(["--forcerun", *again] if again else [])],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    def unlocks(self, before: int) -> bool:
        """Give the command that a start was refused with, if it was, after so many characters of all that was said."""
        said = (self.folder / "said.txt").read_text(errors="replace")[before:]
        named = [line.strip() for line in said.splitlines() if " --unlock " in line]
        for line in named:
            subprocess.run(shlex.split(line), capture_output=True, check=True)
        return bool(named)

    def has_said(self, words: str) -> bool:
        """Whether any of its processes said this."""
        return words in (self.folder / "said.txt").read_text(errors="replace")

    def said(self) -> str:
        """The end of all that was said."""
        return (self.folder / "said.txt").read_text(errors="replace")[-6000:]

    def results(self) -> dict[str, Path]:
        """All files whose bytes must not depend on time."""
        found = {str(path.relative_to(self.folder)): path for path in sorted(self.folder.glob("results/**/*"))}
        return {
            name: path for name, path in found.items()
            if path.is_file() and not any(part.startswith(".") or part in TIMED for part in Path(name).parts)
        }  # fmt: skip

    def everyone(self) -> Iterator[psutil.Process]:
        """All living processes in the folder, orphans too."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.folder):
                    yield process


def stages(snakemake: psutil.Popen) -> list[Job]:
    """Stages that a living Snakemake runs just now, with their arguments."""
    found = []
    with contextlib.suppress(psutil.Error):
        for process in snakemake.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if words[1:3] == ["-m", "shanshui"]:
                    found.append((process, words[3:]))
    return found


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has used so far; infinite when it has ended."""
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return sum(process.cpu_times()[:2])
    return float("inf")


def run_undisturbed(workflow: Workflow) -> dict[str, float]:
    """CPU seconds of the shortest job of every stage."""
    snakemake = workflow.start()
    used: dict[tuple[str, ...], float] = {}
    until = time.monotonic() + 3 * PATIENCE
    while snakemake.poll() is None:
        assert time.monotonic() < until, workflow.said()
        for process, words in stages(snakemake):
            seconds = cpu_seconds(process)
            used[tuple(words)] = max(used.get(tuple(words), 0.0), 0.0 if seconds == float("inf") else seconds)
        time.sleep(0.1)
    assert snakemake.returncode == 0, workflow.said()
    return {words[0]: min(s for other, s in used.items() if other[0] == words[0]) for words in used}


def next_victim(workflow: Workflow, snakemake: psutil.Popen, kills: list[Kill]) -> tuple[psutil.Process, Kill] | None:
    """A running job that one of the `kills` is meant for, as soon as there is one; None when Snakemake ends first."""
    until = time.monotonic() + PATIENCE
    while snakemake.poll() is None:
        assert time.monotonic() < until, workflow.said()
        for process, words in stages(snakemake):
            for kill in kills:
                if words[0] == kill[0] and kill[1] in " ".join(words):
                    return process, kill
        time.sleep(0.05)
    return None


def kill(snakemake: psutil.Popen, job: psutil.Process, who: str) -> None:
    """SIGKILL."""
    victims = [job] if who == "job" else [snakemake]
    if who == "both":
        victims += snakemake.children(recursive=True)
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    if who != "job":
        snakemake.wait()


def hold_up(workflow: Workflow, trainer: psutil.Process) -> None:
    """Stop a trainer once the states are its own, until another process waits for it."""
    until = time.monotonic() + PATIENCE
    lock = workflow.folder / "results/tiny/.state/finetune/lock"
    while not (lock.exists() and lock.read_text().startswith(f"{trainer.pid} ")):
        assert time.monotonic() < until, workflow.said()
        time.sleep(0.02)
    trainer.suspend()

    def let_go() -> None:
        while not workflow.has_said(f"waiting for process {trainer.pid} on") and time.monotonic() < until:
            time.sleep(0.2)
        trainer.resume()

    threading.Thread(target=let_go, daemon=True).start()


def run_killed(workflow: Workflow, used: dict[str, float], rng: random.Random) -> list[Kill]:
    """The same command again and again through all of KILLS, to the end; returns those that could not be made.

    Where Snakemake was killed and left its locks, its next start names the command that removes them.

    The moment is drawn in CPU seconds of the job, so that it lies within the job on a busy machine too. A job that was
    over before it was noticed is run again, three times in all.
    """
    left, snakemake, wounded, before = list(KILLS), workflow.start(), False, 0
    tries, again = 3, tuple[str, ...]()
    while True:
        if found := next_victim(workflow, snakemake, left):
            job, planned = found
            stage, _, who = planned
            moment = rng.uniform(0.0, 0.9) * used[stage]
            if who == SLOW:
                hold_up(workflow, job)
            else:
                while cpu_seconds(job) < moment:
                    time.sleep(0.02)
            kill(snakemake, job, who)
            left.remove(planned)
            wounded = who == "job" or (wounded and snakemake.is_running())
        elif snakemake.returncode == 0:
            if not left or not tries:
                return left
            tries, before = tries - 1, len((workflow.folder / "said.txt").read_text(errors="replace"))
            again = ({"select": "select_model"}.get(left[0][0], left[0][0]),)
            snakemake = workflow.start(*again)
            continue
        elif not workflow.unlocks(before):
            assert wounded, "it failed though no job of it was killed:\n" + workflow.said()
            wounded = False
        if not snakemake.is_running():
            before = len((workflow.folder / "said.txt").read_text(errors="replace"))
            snakemake = workflow.start(*again)  # Snakemake does not make what is missing but no longer needed


@pytest.fixture
def workflows(root: Path, tmp_path: Path) -> Iterator[tuple[Workflow, Workflow]]:
    """Two working folders; whatever still runs in them is ended."""
    pair = Workflow(root, tmp_path / "whole"), Workflow(root, tmp_path / "killed")
    yield pair
    for workflow in pair:
        for process in workflow.everyone():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.mark.drill
def test_killed_in_every_stage_it_ends_in_the_same_bytes(workflows: tuple[Workflow, Workflow]) -> None:
    whole, killed = workflows
    used = run_undisturbed(whole)
    assert {stage for stage, _, _ in KILLS} == set(used), "every stage is killed"
    left = run_killed(killed, used, random.Random(2022))
    assert left == []
    assert killed.has_said("waiting for process"), "the next trainer waits for an orphan"
    until = time.monotonic() + PATIENCE
    while any(killed.everyone()):
        assert time.monotonic() < until, "an orphan does not end"
        time.sleep(0.5)

    wanted, found = whole.results(), killed.results()
    assert {"results/tiny/submission.zip", "results/tiny/fid_table.csv"} <= set(wanted)
    assert sum(name.endswith(".safetensors") for name in wanted) == 8
    differing = [
        name for name in wanted if name not in found or files.sha256(found[name]) != files.sha256(wanted[name])
    ]
    assert differing == []
    assert [name for name in found if name.endswith(".safetensors") and name not in wanted] == []


# --- two at once, as an orphan and the job that follows it ----------------------------------------------------


def write_again_and_again(folder: Path, letter: str) -> None:
    """A file and a folder of 20 files, under the same names as the other process."""
    for _ in range(200):
        files.write_text(folder / "file.txt", letter * 5000)
        with folders.replaced(folder / "set") as staged:
            for number in range(20):
                (staged / f"{number}.txt").write_text(letter)


def test_two_that_write_under_one_name_do_not_spoil_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_again_and_again, args=(tmp_path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if (tmp_path / "file.txt").exists():
            assert (tmp_path / "file.txt").read_text() in ("a" * 5000, "b" * 5000)
        time.sleep(0.005)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "set"], "nothing temporary is left"
    texts = [path.read_text() for path in (tmp_path / "set").glob("*.txt")]
    assert texts in (["a"] * 20, ["b"] * 20), "the set of one of them"
