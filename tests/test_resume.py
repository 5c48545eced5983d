"""Training state that survives a killed job."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from shanshui.errors import ShanshuiError
from shanshui.storage import checkpoint
from shanshui.training.resume import PAUSE, resume_folder

ARRAYS = {"G.a": np.ones(3, np.float32)}


def test_newest_usable_state_is_found_and_two_are_kept(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "key") as states:
        assert states.latest(upto=9) is None
        for epoch in (1, 2, 3):
            states.save(epoch, ARRAYS, {"epoch": epoch})
        assert states.epochs() == [2, 3]
        found = states.latest(upto=2)
        assert found is not None
        assert (found[0], found[1].meta["epoch"]) == (2, 2)


def test_an_earlier_epoch_trained_again_keeps_its_state(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "key") as states:
        for epoch in (7, 8, 3):
            states.save(epoch, ARRAYS, {})
        assert states.epochs() == [3, 8]
        found = states.latest(upto=4)
        assert found is not None
        assert found[0] == 3


def test_half_written_state_is_passed_over(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "key") as states:
        states.save(1, ARRAYS, {})
        states.path(2).write_bytes(states.path(1).read_bytes()[:40])
        found = states.latest(upto=5)
        assert found is not None
        assert found[0] == 1
        assert states.epochs() == [1]


def test_what_a_killed_save_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    half = tmp_path / "key" / ".epoch_003.123.safetensors"
    half.touch()
    with resume_folder(tmp_path, "key") as states:
        assert states.epochs() == []
        assert not half.exists()


def keys(folder: Path) -> list[str]:
    """Of the runs that have a place there."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_change_that_is_taken_back_before_a_state_was_saved_costs_nothing(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "old") as states:
        for epoch in (1, 2, 3):
            states.save(epoch, ARRAYS, {})
    for change in ("new", "newer"):
        with resume_folder(tmp_path, change) as states:
            assert states.latest(upto=9) is None, "other settings start afresh"
    with resume_folder(tmp_path, "old") as states:
        assert states.epochs() == [2, 3]
    assert keys(tmp_path) == ["old"], "of changes that left no state there is nothing to keep"


def test_states_of_other_settings_go_with_the_first_of_new_ones(tmp_path: Path) -> None:
    for key in ("old", "older"):
        with resume_folder(tmp_path, key):
            (tmp_path / key / "epoch_001.safetensors").touch()
    with resume_folder(tmp_path, "new") as states:
        assert keys(tmp_path) == ["new", "old", "older"]
        states.save(1, ARRAYS, {})
        assert keys(tmp_path) == ["new"]


def test_failed_save_leaves_the_states_of_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with resume_folder(tmp_path, "old") as states:
        states.save(1, ARRAYS, {})

    def fail(*_: object, **__: object) -> None:
        raise ShanshuiError("the disk is full")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with resume_folder(tmp_path, "new") as states, pytest.raises(ShanshuiError, match="full"):
        states.save(1, ARRAYS, {})
    with resume_folder(tmp_path, "old") as states:
        assert states.epochs() == [1]


# --- several trainers ---------------------------------------------------------------------------------

SPAWN = multiprocessing.get_context("spawn")


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stage(folder: Path, name: str, stops: tuple[str, ...], ahead: float) -> None:
    """Train one epoch and write `name`; where it is, is said by files. At `stops` it waits to be told to go on.

    The clock of its machine is `ahead`, seconds.
    """
    now, born = time.time, psutil.Process.create_time
    time.time = lambda: now() + ahead
    psutil.Process.create_time = lambda self: born(self) + ahead

    def reached(point: str) -> None:
        (folder / f"{name} {point}").touch()
        if point in stops:
            wait_until((folder / f"{name} may go on").exists)

    try:
        reached("started")
        with resume_folder(folder / "states", "key") as states:
            reached("training")
            states.save(1, ARRAYS, {})
        reached("trained")
        (folder / name).touch()
    except ShanshuiError as error:
        (folder / f"{name} failed").write_text(str(error))


def latest_in(folder: Path) -> int:
    """Number of the process that was started last."""
    newest = folder / "states" / "newest"
    return int(newest.read_text().split()[1]) if newest.exists() else 0


class Trainer:
    """Such a stage in a process of its own."""

    def __init__(self, folder: Path, name: str, *stops: str, ahead: float = 0.0) -> None:
        self.folder, self.name = folder, name
        self.process = SPAWN.Process(target=stage, args=(folder, name, stops, ahead), daemon=True)
        self.process.start()

    def reaches(self, point: str) -> None:
        """Wait until it is there."""
        wait_until(lambda: self.is_at(point))

    def is_at(self, point: str) -> bool:
        """Whether it has been there."""
        return (self.folder / f"{self.name} {point}").exists()

    def waits(self) -> None:
        """Wait until it waits for another."""
        wait_until(lambda: latest_in(self.folder) == self.process.pid)
        time.sleep(3 * PAUSE)
        assert not self.is_at("training")

    def ends(self) -> None:
        """Let it go on, and wait for the end of its process."""
        (self.folder / f"{self.name} may go on").touch()
        self.process.join(60)
        assert self.process.exitcode == 0

    def has_written(self) -> bool:
        """Whether its results are there."""
        return (self.folder / self.name).exists()


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0], ids=["one clock", "ahead", "behind"])
def test_orphan_in_training_is_waited_for_and_hands_over(
    ahead: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its machine's clock may go ahead of the other one's, or behind it."""
    orphan = Trainer(tmp_path, "orphan", "training", ahead=ahead)
    orphan.reaches("training")
    job = Trainer(tmp_path, "job", "training")
    job.waits()
    orphan.ends()
    job.reaches("training")
    assert (tmp_path / "states" / "key" / "epoch_001.safetensors").exists(), "what the orphan learned"
    assert orphan.is_at("failed")
    assert not orphan.has_written(), "results come from the living workflow alone"
    job.ends()
    assert job.has_written()
    said = capfd.readouterr().err
    assert said.count(f"waiting for process {orphan.process.pid} on ") == said.count(f"kill {orphan.process.pid}") == 1


def test_orphan_past_its_training_has_written_before_the_next_begins(tmp_path: Path) -> None:
    orphan = Trainer(tmp_path, "orphan", "trained")
    orphan.reaches("trained")
    job = Trainer(tmp_path, "job", "training")
    job.waits()
    orphan.ends()
    job.reaches("training")
    assert orphan.has_written()
    job.ends()
    assert job.has_written()


def test_killed_trainer_holds_nobody_up(tmp_path: Path) -> None:
    killed = Trainer(tmp_path, "killed", "training")
    killed.reaches("training")
    killed.process.kill()
    Trainer(tmp_path, "job").ends()
    assert (tmp_path / "job").exists()


def test_of_two_that_wait_the_one_started_last_goes_on(tmp_path: Path) -> None:
    first = Trainer(tmp_path, "first", "training")
    first.reaches("training")
    second = Trainer(tmp_path, "second", "training")
    second.waits()
    third = Trainer(tmp_path, "third", "training")
    second.reaches("failed")
    third.waits()
    first.ends()
    third.ends()
    assert third.has_written()
    assert not first.has_written()
    assert not second.has_written()


def test_orphan_that_comes_when_all_is_done_leaves_it_so(tmp_path: Path) -> None:
    late = Trainer(tmp_path, "late", "started")
    late.reaches("started")
    job = Trainer(tmp_path, "job")
    job.ends()
    assert job.has_written()
    late.ends()
    assert "a process started later" in (tmp_path / "late failed").read_text()
    assert not late.has_written()


def test_clock_that_was_set_back_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "newest").write_text(str(time.time() + 3600))
    with resume_folder(tmp_path, "key") as states:
        states.save(1, ARRAYS, {})
        assert states.epochs() == [1]
