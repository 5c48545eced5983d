"""What the system says against reading and writing: a sentence, and before the work where it can be known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn_folders import draw, names, pictures, score

from shanshui.__main__ import main
from shanshui.storage import outputs

NOBODY = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder for everybody, where commands can be run as an ordinary user without an entry in the list of users."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become another user")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def call(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command, variables = [str(word) for word in words], {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=variables)


def test_outputs_are_tried_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outputs.check_writable(tmp_path / "new" / "folder" / "x.json")
    outputs.check_writable(tmp_path / "new" / "folder", folder=True)
    for path, kind in (
        (tmp_path / "file" / "x.json", NotADirectoryError),
        (tmp_path / ("n" * 300), OSError),
        (tmp_path / "new" / ("水" * 90) / "x.json", OSError),
        (tmp_path, IsADirectoryError),
    ):
        with pytest.raises(kind):
            outputs.check_writable(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_that_are_too_long_are_said_before(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(here, "n" * 300 + ".json") == 1
    assert "name is too long" in capsys.readouterr().err
    assert draw("水" * 100) == 1
    assert "name is too long" in capsys.readouterr().err
    assert score(here, f"{'a' * 250}.json") == 0


def test_a_folder_on_a_read_only_disk_is_refused_before(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = here / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    try:
        assert score(here, str(disk / "s.json")) == 1
        assert "read-only" in capsys.readouterr().err
        assert draw(disk / "new") == 1
        assert "read-only" in capsys.readouterr().err
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_mounted_there_is_filled(here: Path) -> None:
    disk = here / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    try:
        assert draw(disk) == draw(disk) == 0
        assert "landscapes.json" in names(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_any_error_of_the_system_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from shanshui.errors import SENTENCES

    for number in SENTENCES:

        def fails(_args: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number), "some/file")

        monkeypatch.setattr("shanshui.commands.status.run", fails)
        assert main(["status", "demo"]) == 1
        said = capsys.readouterr().err.splitlines()
        assert said[0].startswith("shanshui status: some/file: ")
        assert said[1].startswith("  expected: ")
        assert said[2].startswith("  to do:    ")


def test_a_user_without_a_home(open_folder: Path, root: Path) -> None:
    alone = ["env", "-u", "HOME", "-u", "SHANSHUI_CACHE", "-u", "XDG_CACHE_HOME", *NOBODY]
    done = call(*alone, sys.executable, "-m", "shanshui", "doctor", cwd=open_folder, PYTHONPATH=f"{root}/src")
    assert "Traceback" not in done.stderr
    assert "no home folder" in done.stdout + done.stderr
    assert "SHANSHUI_CACHE" in done.stdout + done.stderr
    assert done.returncode != 0


def test_a_folder_of_somebody_else_is_refused_before(open_folder: Path, root: Path) -> None:
    place = pictures(open_folder)
    (open_folder / "closed").mkdir(mode=0o755)
    run = [*NOBODY, sys.executable, "-m", "shanshui", "score", place, place, "--metrics", "sharpness", "--out"]
    done = call(*run, "closed/x.json", cwd=open_folder, PYTHONPATH=f"{root}/src", HOME=str(open_folder))
    assert done.stderr.startswith("shanshui score: closed: this user may not read or write it")
    assert done.returncode == 1
