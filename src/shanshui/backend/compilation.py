"""Compilation of Jittor itself, once per machine and environment, in a child process with a progress line.

`import jittor` compiles about 150 files if it finds no earlier result. If part of an earlier result is out of date,
it also ends the whole process with exit code 0, so that a job that never ran would look successful. Both happen in a
child process here; the calling process imports the finished result.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import TextIO

from shanshui.backend.core_headers import precompiled_headers
from shanshui.backend.device import find_device
from shanshui.backend.toolchain import cpu_model, find_compiler, python_include
from shanshui.errors import ShanshuiError
from shanshui.storage.files import digest, read_json, write_json

OBJECT_FILES = 157  # counted after a compilation of Jittor 1.3.11.0 for the CPU
MARK = "compiled in "
CHILD = f"""
import jittor, jittor_utils, os
print("{MARK}" + jittor.flags.cache_path, flush=True)
if jittor_utils.pool_size:
    jittor_utils.pool_cleanup()
os._exit(0)
"""


class Progress:
    """A progress line that is rewritten on a terminal; elsewhere a new line every `every` seconds."""

    def __init__(
        self, what: str, total: int, stream: TextIO | None = None, every: float = 60.0, unit: str = "files"
    ) -> None:
        self.what, self.total, self.every, self.unit = what, total, every, unit
        self.stream = sys.stderr if stream is None else stream
        self.start = time.monotonic()
        self.shown = -every

    def show(self, done: int, last: bool = False) -> None:
        """Report `done` of `total` parts; `last` ends the line."""
        seconds = time.monotonic() - self.start
        live = self.stream.isatty()
        if not (last or live or seconds - self.shown >= self.every):
            return
        self.shown = seconds
        count = f"{min(done, self.total)} of {self.total}" if self.total else str(done)
        text = f"{self.what}: {count} {self.unit}, {int(seconds) // 60}:{int(seconds) % 60:02d}"
        self.stream.write(f"\r{text} " if live else f"{text}\n")
        if live and last:
            self.stream.write("\n")
        self.stream.flush()


def environment_key(mpi: str = "") -> str:
    """Compute a digest of all that a compiled Jittor depends on: package, Python, compiler, machine, `mpi` version."""
    compiler = find_compiler()
    package = util.find_spec("jittor")
    return digest(
        {
            "jittor": metadata.version("jittor"),
            "place": package.origin if package else None,
            "python": [platform.python_version(), str(python_include())],
            "compiler": [compiler.path, compiler.version],
            "cpu": cpu_model(),
            "system": [platform.platform(), platform.node()],
            "nvcc": toolkit.key if (toolkit := find_device().toolkit) else "",
            **({"mpi": mpi} if mpi else {}),
        }
    )


def stamp_file(home: Path, key: str) -> Path:
    """Return the stamp file which records that Jittor was compiled under `home` for the environment `key`."""
    return home / "compiled" / f"{key}.json"


def is_compiled(home: Path, key: str) -> bool:
    """Return whether the stamp file and the compiled files it names exist."""
    stamp = stamp_file(home, key)
    return stamp.is_file() and any(Path(read_json(stamp)["cache"]).glob("jittor_core*.so"))


def forget(home: Path, key: str) -> None:
    """Remove the stamp file, so that the next start compiles what changed."""
    stamp_file(home, key).unlink(missing_ok=True)


def count_new_objects(home: Path, since: float) -> int:
    """Count the object files under `home` written after the time `since` (seconds since the epoch)."""
    new = 0
    for file in (home / ".cache" / "jittor").rglob("obj_files/*.o"):
        with contextlib.suppress(FileNotFoundError):  # the compiler renames as it goes
            new += file.stat().st_mtime >= since
    return new


def watch(process: subprocess.Popen[bytes], report: Callable[[int], None], home: Path, pause: float = 0.5) -> None:
    """Report the number of new object files until `process` ends.

    Args:
        process: the compiling child.
        report: called with the number.
        home: folder of the object files.
        pause: seconds between two reports.
    """
    since = time.time() - 1
    patience = time.monotonic() + 5  # a start that finds everything compiled ends sooner and says nothing
    while process.poll() is None:
        time.sleep(pause)
        if time.monotonic() > patience:
            report(count_new_objects(home, since))


def compile_core(home: Path, environment: Mapping[str, str], key: str, command: list[str] | None = None) -> None:
    """Import Jittor in a child process until all is compiled; write the stamp file that `is_compiled` reads.

    Args:
        home: folder that is HOME and JITTOR_HOME to the child.
        environment: variables for the child, which override those of this process.
        key: see `environment_key`.
        command: another child, for tests.

    Raises:
        ShanshuiError: where it fails, with the end of the compiler's output.
    """
    log = home / "compile.log"
    failed = 0
    for _ in range(3):  # a rebuilt helper library ends the child early, with exit code 0: start it again
        progress = Progress("compiling Jittor, once per machine (about 90 seconds on two idle cores)", OBJECT_FILES)
        with (
            open(log, "w", encoding="utf-8") as said,
            precompiled_headers(home, environment.get("cc_path", "")) as headers,
        ):
            child = subprocess.Popen(
                command or [sys.executable, "-c", CHILD],
                env={**os.environ, **environment, **headers},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            try:
                watch(child, progress.show, home)
            except BaseException:
                child.kill()
                raise
        if child.returncode != 0:
            failed += 1
            if failed == 2:
                break
            continue  # Jittor's pool of compilers now and then loses one; what has been compiled is found again
        if progress.shown >= 0:
            progress.show(OBJECT_FILES, last=True)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if folder := next((line.removeprefix(MARK) for line in lines if line.startswith(MARK)), ""):
            write_json(stamp_file(home, key), {"cache": folder})
            return
    tail = "\n    ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
    raise ShanshuiError(
        f"Jittor could not be compiled (exit code {child.returncode}):\n    {tail}",
        "a working g++, Python headers, 2 GB of memory and 1 GB of disk",
        f"see {log}; `python -m shanshui doctor` checks the machine",
    )


@contextlib.contextmanager
def import_lock(home: Path, patience: float = 10.0, shared: bool = False) -> Iterator[None]:
    """Let one process at a time import Jittor: the first compiles, the others find its result.

    After `patience` seconds a message on stderr says what is waited for.

    Args:
        home: folder of the lock.
        patience: seconds.
        shared: import together with other processes that are `shared`, while none compiles.

    Raises:
        ShanshuiError: where `home` is not writable.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle = open(home / "import.lock", "w")  # noqa: SIM115 - closed below, after the lock
    except OSError as error:
        raise ShanshuiError(
            f"Jittor's cache {home} cannot be written to: {error.strerror}",
            "a folder with 1 GB of free space for compiled code",
            "put it elsewhere: export SHANSHUI_CACHE=/some/folder",
        ) from None
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with handle:
        try:
            fcntl.flock(handle, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            words = "waiting for another process that imports or compiles Jittor ..."
            reminder = threading.Timer(patience, print, [words], {"file": sys.stderr, "flush": True})
            reminder.daemon = True
            reminder.start()
            fcntl.flock(handle, mode)
            reminder.cancel()
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing is not enough once a forked child holds the file too
