"""Atomic writing and digests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from shanshui.backend.cuda_compat import link
from shanshui.backend.toolchain import write_kernel_compiler, write_script
from shanshui.errors import ShanshuiError
from shanshui.storage import checkpoint, files


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(ZeroDivisionError), files.atomic(target) as staged:
        staged.write_text(str(1 / 0))
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


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


def test_umask_of_other_threads_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it sets it for a moment, in which another thread's files would be open to everybody."""

    def touched(mask: int) -> int:
        raise AssertionError(f"umask {mask:o}")

    monkeypatch.setattr(os, "umask", touched)
    checkpoint.save(tmp_path / "a.safetensors", {"w": np.zeros(1, np.float32)})
    files.write_text(tmp_path / "b.txt", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.txt"]


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(handle: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def watched_replace(old: Path, new: Path) -> None:
        done.append(f"{Path(old).name} named")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    with files.atomic(tmp_path / "a.txt") as staged:
        staged.write_text("a")
    assert done == [staged.name, f"{staged.name} named"]
    done.clear()
    with files.atomic(tmp_path / "set") as staged:
        staged.mkdir()
        (staged / "b.txt").write_text("b")
        (staged / "link").symlink_to(tmp_path)
    assert done == ["b.txt", staged.name, f"{staged.name} named"], "what a link leads to is not ours"


def test_processes_of_equal_number_on_two_machines_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pods have them that share a volume: each writes its own file, and the one that fails removes its own only."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    target = tmp_path / "a.txt"
    with files.atomic(target) as first:
        first.write_text("first")
        with pytest.raises(ZeroDivisionError), files.atomic(target) as second:
            second.write_text(str(1 / 0))
        assert second != first
    assert target.read_text() == "first"


@pytest.mark.parametrize("made", ["link", "script"])
def test_links_and_scripts_are_staged_under_names_of_their_own(
    made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 7)
    staged: list[str] = []
    replace = os.replace

    def watched(old: Path, new: Path) -> None:
        staged.append(Path(old).name)
        replace(old, new)

    monkeypatch.setattr(os, "replace", watched)
    for number in (1, 2):
        name = tmp_path / "name"
        link(tmp_path / f"{number}", name) if made == "link" else write_script(name, f"#!/bin/sh\nexit {number}\n")
    assert len(set(staged)) == 2
    if made == "link":
        assert os.readlink(name) == str(tmp_path / "2")
    else:
        assert subprocess.run([name], check=False).returncode == 2


def test_precompiled_header_is_made_under_a_name_of_its_own(tmp_path: Path) -> None:
    """By a shell whose number ($$) may be another's on another machine: the compiler is told where to write."""
    text = write_kernel_compiler(tmp_path).read_text()
    assert "$$" not in text.replace("# no $$", "")
