"""Atomic writing and digests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shanshui import checkpoint, files
from shanshui.errors import ShanshuiError


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(ZeroDivisionError), files.atomic(target) as staged:
        staged.write_text(str(1 / 0))
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_folders_are_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "pictures"
    target.mkdir()
    (target / "stale.jpg").touch()
    with files.atomic(target) as staged:
        staged.mkdir()
        (staged / "new.jpg").touch()
    assert [path.name for path in target.iterdir()] == ["new.jpg"]


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [2]})
    files.write_json(tmp_path / "b.json", {"a": [2], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert files.digest({"b": 1, "a": 2}) == files.digest({"a": 2, "b": 1}) != files.digest({"a": 2})


def test_missing_and_broken_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(ShanshuiError, match=r"gone\.json does not exist"):
        files.read_json(tmp_path / "gone.json")
    (tmp_path / "half.json").write_text('{"a": ')
    with pytest.raises(ShanshuiError, match=r"half\.json is not valid JSON"):
        files.read_json(tmp_path / "half.json")


def test_csv_round_trip_keeps_commas_and_chinese(tmp_path: Path) -> None:
    rows = [{"name": "山, 水", "n": 1}]
    files.write_csv(tmp_path / "a.csv", rows, ["name", "n"])
    assert files.read_csv(tmp_path / "a.csv") == [{"name": "山, 水", "n": "1"}]


def test_weights_can_be_read_by_whoever_can_read_other_new_files(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.safetensors", {"w": np.zeros(1, np.float32)})
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b.txt").stat().st_mode
