"""Training state that survives a killed job."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from shanshui.errors import ShanshuiError
from shanshui.training.resume import resume_folder

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


def test_other_settings_start_afresh(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "old") as states:
        states.save(1, ARRAYS, {})
    with resume_folder(tmp_path, "new") as states:
        assert states.latest(upto=9) is None
    assert not (tmp_path / "old").exists()


def hold(folder: Path, started: multiprocessing.synchronize.Event, end: multiprocessing.synchronize.Event) -> None:
    with resume_folder(folder, "key"):
        started.set()
        end.wait(30)


def test_two_trainers_never_share_a_state(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started, end = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, started, end))
    other.start()
    try:
        assert started.wait(30)
        with pytest.raises(ShanshuiError, match="another process is training"), resume_folder(tmp_path, "key"):
            pass
    finally:
        end.set()
        other.join()
    with resume_folder(tmp_path, "key") as states:
        assert states.epochs() == []
