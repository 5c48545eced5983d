"""Compiling Jittor in a child process: the note it leaves, the lock around it, the line it shows."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shanshui.backend import compilation, toolchain
from shanshui.backend.compilation import MARK, Progress, compile_core, import_lock, is_compiled
from shanshui.errors import ShanshuiError

SOURCE = Path(__file__).resolve().parent.parent / "src"


def test_unwritable_cache_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ShanshuiError, match=r"cannot be written to.*\n.*\n.*SHANSHUI_CACHE"),
        import_lock(tmp_path / "file" / "x"),
    ):
        pass


def test_lock_is_free_again_though_a_forked_child_lives_on(tmp_path: Path) -> None:
    with import_lock(tmp_path):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with open(tmp_path / "import.lock") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError where it is not
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_waiting_for_the_lock_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = f"""
import fcntl, time
with open({str(tmp_path / "import.lock")!r}, "w") as handle:
    fcntl.flock(handle, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(1)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with import_lock(tmp_path, patience=0.1):
            pass
    assert "waiting for another process" in capfd.readouterr().err


def fake_child(tmp_path: Path, *lives: str) -> list[str]:
    """A command whose first, second, ... run executes the given lines of shell."""
    cases = "\n".join(f"{number}) {life} ;;" for number, life in enumerate(lives, 1))
    script = tmp_path / "child"
    script.write_text(
        f'#!/bin/sh\necho run >> "{tmp_path}/runs"\ncase $(wc -l < "{tmp_path}/runs") in\n{cases}\nesac\n'
    )
    script.chmod(0o755)
    return [str(script)]


def compiled_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "jittor_core.cpython-311-x86_64-linux-gnu.so").touch()
    return folder


def test_compiling_leaves_a_note_that_a_lost_cache_voids(tmp_path: Path) -> None:
    folder = compiled_folder(tmp_path)
    compile_core(tmp_path, {}, "key", fake_child(tmp_path, f"echo '{MARK}{folder}'"))
    assert is_compiled(tmp_path, "key")
    assert not is_compiled(tmp_path, "another compiler")
    shutil.rmtree(folder)
    assert not is_compiled(tmp_path, "key")


def test_child_that_ends_early_without_a_word_is_started_again(tmp_path: Path) -> None:
    folder = compiled_folder(tmp_path)
    compile_core(tmp_path, {}, "key", fake_child(tmp_path, "exit 0", f"echo '{MARK}{folder}'"))
    assert is_compiled(tmp_path, "key")
    assert (tmp_path / "runs").read_text().count("run") == 2


def test_failed_compilation_shows_the_end_of_its_log(tmp_path: Path) -> None:
    fails = "echo 'cc1plus: out of memory' >&2; exit 1"
    with pytest.raises(ShanshuiError, match=r"exit code 1\):\n.*cc1plus: out of memory"):
        compile_core(tmp_path, {}, "key", fake_child(tmp_path, fails, fails, "exit 3"))
    assert not is_compiled(tmp_path, "key")
    assert (tmp_path / "runs").read_text().count("run") == 2


def test_compilation_that_fails_once_is_repeated(tmp_path: Path) -> None:
    folder = compiled_folder(tmp_path)
    compile_core(tmp_path, {}, "key", fake_child(tmp_path, "exit 255", f"echo '{MARK}{folder}'"))
    assert is_compiled(tmp_path, "key")


def test_killed_compilation_leaves_no_note_and_no_lock(tmp_path: Path) -> None:
    script = f"""
import pathlib
from shanshui.backend.compilation import compile_core, import_lock
home = pathlib.Path({str(tmp_path)!r})
with import_lock(home):
    print("compiling", flush=True)
    compile_core(home, {{}}, "key", ["sleep", "60"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "compiling\n"
        process.kill()
        process.wait()
        with import_lock(tmp_path):  # a child just forked holds it until it starts its program, no longer
            assert not is_compiled(tmp_path, "key")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the orphan


def test_environment_key_follows_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    before = compilation.environment_key()
    assert compilation.environment_key() == before
    monkeypatch.setattr(compilation, "find_compiler", lambda: toolchain.Compiler("/usr/bin/g++", "99.0.0"))
    assert compilation.environment_key() != before


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_rewrites_one_line_on_a_terminal_only() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        progress = Progress("compiling", 10, stream)
        for done in (1, 2, 12):
            progress.show(done)
        progress.show(10, last=True)
    assert terminal.getvalue().count("\r") == 4
    assert terminal.getvalue().endswith("10 of 10 files, 0:00 \n")
    assert file.getvalue() == "compiling: 1 of 10 files, 0:00\ncompiling: 10 of 10 files, 0:00\n"
