"""Which files are read to know what they hold, and that a changed one is noticed whatever its size."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shanshui.data import contents
from shanshui.data.contents import content_digests

AGES = 10**11  # nanoseconds


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, in order."""
    names: list[str] = []
    sha256 = contents.sha256

    def watched(path: str | Path) -> str:
        names.append(Path(path).name)
        return sha256(path)

    monkeypatch.setattr(contents, "sha256", watched)
    return names


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three files, written a while ago."""
    made = [tmp_path / "data" / name for name in "abc"]
    made[0].parent.mkdir()
    for file in made:
        file.write_text(file.name)
        age(file)
    return made


def age(file: Path, more: int = 0) -> None:
    then = time.time_ns() - AGES + more
    os.utime(file, ns=(then, then))


def test_only_what_changed_is_read_again(files: list[Path], tmp_path: Path, read: list[str]) -> None:
    memory = tmp_path / "run" / "contents.json"
    first = content_digests(files, memory)
    assert sorted(read) == ["a", "b", "c"]
    assert len(set(first.values())) == 3
    read.clear()
    assert content_digests(files, memory) == first
    assert read == []
    age(files[0], 5)
    assert content_digests(files, memory) == first, "touched, its contents as before"
    assert read == ["a"]
    read.clear()
    files[1].write_text("B")
    age(files[1], 7)
    changed = content_digests(files, memory)
    assert read == ["b"]
    assert {path for path in first if first[path] != changed[path]} == {str(files[1])}, "of equal size"


def test_file_replaced_by_one_of_equal_size_and_time_is_noticed(
    files: list[Path], tmp_path: Path, read: list[str]
) -> None:
    memory = tmp_path / "contents.json"
    before = content_digests(files, memory)
    at = files[0].stat().st_mtime_ns
    (tmp_path / "other").write_text("A")
    os.replace(tmp_path / "other", files[0])
    os.utime(files[0], ns=(at, at))
    assert content_digests(files, memory) != before


def test_file_changed_just_now_is_not_trusted_to_stay(tmp_path: Path, read: list[str]) -> None:
    """Within the same tick of the clock it may change once more."""
    file = tmp_path / "a"
    file.write_text("a")
    for _ in range(2):
        content_digests([file], tmp_path / "contents.json")
    assert read == ["a", "a"]


def test_memory_that_cannot_be_used_costs_time_alone(files: list[Path], tmp_path: Path, read: list[str]) -> None:
    (tmp_path / "in the way").write_text("")
    memory = tmp_path / "in the way" / "contents.json"
    assert content_digests(files, memory) == content_digests(files, memory)
    assert len(read) == 6
    (tmp_path / "broken.json").write_text("{")
    assert content_digests(files, tmp_path / "broken.json")
