"""A disk that is full: a plain message, the old file untouched, nothing half-written left."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from shanshui import __main__
from shanshui.errors import ShanshuiError
from shanshui.evaluation.feature_file import FeatureSet, save_features
from shanshui.storage import checkpoint, files, images

NUMBERS = np.random.default_rng(0).random(2**18).astype(np.float32)  # 1 MiB
WRITERS: dict[str, Callable[[Path], object]] = {
    "weights.safetensors": lambda path: checkpoint.save(path, {"G.w": NUMBERS}, kind="generator"),
    "list.json": lambda path: files.write_json(path, NUMBERS.astype(float).tolist()),
    "table.csv": lambda path: files.write_csv(path, [{"a": "x" * 2**19}] * 2, ["a"]),
    "picture.png": lambda path: images.write_image(path, NUMBERS.view(np.uint8).reshape(512, -1, 4)[..., :3]),
    "picture.jpg": lambda path: images.write_image(path, NUMBERS.view(np.uint8).reshape(512, -1, 4)[..., :3], 100),
    "features.npz": lambda path: save_features(path, {"test": FeatureSet(["a"], {"dct": NUMBERS[None]}, {})}),
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # zipfile's second attempt
@pytest.mark.parametrize("name", WRITERS)
def test_writer_on_a_full_disk(name: str, small_disk: Path) -> None:
    (small_disk / name).write_text("old")
    with pytest.raises(ShanshuiError, match="the disk is full: .*" + name):
        WRITERS[name](small_disk / name)
    assert [path.name for path in small_disk.iterdir()] == [name]
    assert (small_disk / name).read_text() == "old"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "x"), OSError(errno.EDQUOT, "x"),
                                   RuntimeError(f"I/O error: {os.strerror(errno.ENOSPC)} (os error 28)")])  # fmt: skip
def test_lack_of_space_is_known_whoever_says_so(error: Exception, tmp_path: Path) -> None:
    def write() -> None:
        with files.atomic(tmp_path / "a.txt") as staged:
            staged.write_text("half")
            raise error

    with pytest.raises(ShanshuiError, match="the disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), files.atomic(tmp_path / "a.txt"):
        raise PermissionError(errno.EACCES, "no")


def test_stage_that_writes_by_other_ways_ends_with_the_same_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "stats.jsonl")

    monkeypatch.setattr("shanshui.commands.status.run", fails)
    assert __main__.main(["status", "demo"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("shanshui status: the disk is full: stats.jsonl could not be written")
    assert "Traceback" not in said
