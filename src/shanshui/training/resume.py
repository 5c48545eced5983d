"""Training states that outlive a killed job: not declared to Snakemake, keyed by all dependencies, locked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from shanshui.errors import ShanshuiError
from shanshui.storage import checkpoint
from shanshui.storage.checkpoint import Arrays, Checkpoint, Meta
from shanshui.storage.files import temporary_name, write_text

KEEP = 2
PAUSE = 0.5  # seconds between two looks at a lock that another process holds


def file_system_time(folder: Path) -> float:
    """Return the seconds since 1970 by the clock of the file system of `folder`, which is the same for all nodes."""
    probe = temporary_name(folder / "clock")
    probe.touch(exist_ok=False)
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def seconds_alive() -> float:
    """Return the age of this process in seconds, from a monotonic clock."""
    after_name = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(after_name[19]) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Place:
    """Held lock of the folder `root`, by a process started at `started` (seconds since 1970 by `root`'s clock).

    Of all processes that train in it, the one started last belongs to the running workflow, others to killed ones, in
    whatever order they arrive. The file `newest` says when that one was started, and which it is.
    """

    root: Path
    handle: TextIO
    started: float

    def keep(self) -> None:
        """Write `started` into `newest`.

        Raises:
            ShanshuiError: a process started later has written there before.
        """
        newest = self.root / "newest"
        said = newest.read_text(encoding="utf-8").split() if newest.is_file() else ["0"]
        other = float(said[0])
        if self.started < other <= file_system_time(self.root):  # beyond now: the clock has been set back since
            raise ShanshuiError(
                f"a process started later trains with the states in {self.root}, or did",
                "one trainer at a time; the latest continues, from the states saved so far",
                "nothing, where a workflow was killed and started again",
            )
        if other != self.started:
            write_text(newest, f"{self.started!r} {os.getpid()} {platform.node()}")


def state_file(folder: Path, epoch: int) -> Path:
    """Return the path of the state after `epoch`."""
    return folder / f"epoch_{epoch:03d}.safetensors"


@dataclass(frozen=True)
class ResumeFolder:
    """Saved states `epoch_NNN.safetensors` of one training run; the last two are kept.

    Folders next to `folder` belong to runs with other settings, data or initial weights. They are removed when this run
    saves its first state; until then a change can be reverted without losing trained epochs.
    """

    folder: Path
    place: Place

    def epochs(self) -> list[int]:
        """List the epochs after which a state was saved, ascending."""
        names = (re.fullmatch(r"epoch_(\d+)\.safetensors", file.name) for file in self.folder.iterdir())
        return sorted(int(name.group(1)) for name in names if name)

    def path(self, epoch: int) -> Path:
        """Return the path of the state after `epoch`."""
        return state_file(self.folder, epoch)

    def latest(self, upto: int) -> tuple[int, Checkpoint] | None:
        """Read the newest readable state up to epoch `upto`; unreadable ones are removed. None if there is none."""
        for epoch in reversed([e for e in self.epochs() if e <= upto]):
            try:
                return epoch, checkpoint.load(self.path(epoch))
            except ShanshuiError:
                self.path(epoch).unlink()
        return None

    def save(self, epoch: int, arrays: Arrays, meta: Meta) -> None:
        """Save the state after `epoch`, and keep only the highest other ones of this run, `KEEP` in all.

        Raises:
            ShanshuiError: a process started later waits for this state, to continue from it.
        """
        checkpoint.save(self.path(epoch), arrays, **meta)
        others = [other for other in self.epochs() if other != epoch]
        for old in others[: 1 - KEEP]:
            self.path(old).unlink()
        for other_run in self.folder.parent.iterdir():
            if other_run.is_dir() and other_run != self.folder:
                shutil.rmtree(other_run)
        self.place.keep()


# --- one trainer at a time ----------------------------------------------------------------------------

_held: dict[Path, Place] = {}  # the places of this process


@contextlib.contextmanager
def resume_folder(root: str | Path, key: str) -> Iterator[ResumeFolder]:
    """Lock the states in `root` and yield those of the run described by `key`; others stay until it saves one.

    Waits, with a message, while another process (such as an orphan of a killed workflow) trains here; that one ends
    when it next saves a state. The lock is held until this process ends: what it writes after training must come before
    what the next one writes under the same names.

    Raises:
        ShanshuiError: another process was started later, so that this one is the orphan.
    """
    root = Path(root).absolute()
    root.mkdir(parents=True, exist_ok=True)
    if root not in _held:
        _held[root] = _take_place(root)
    (root / key).mkdir(exist_ok=True)
    for half in root.glob("*/.*"):  # left by a process that was killed as it saved
        half.unlink()
    for other in root.iterdir():
        if other.is_dir() and other.name != key and not any(other.iterdir()):
            other.rmdir()
    yield ResumeFolder(root / key, _held[root])


def _take_place(root: Path) -> Place:
    """Wait for the lock of `root` and take it; the lock's file names the process that holds it."""
    with contextlib.ExitStack() as undo:
        handle = undo.enter_context(open(root / "lock", "a+", encoding="utf-8"))
        place = Place(root, handle, file_system_time(root) - seconds_alive())
        place.keep()
        waiting = False
        while not _try(handle):
            time.sleep(PAUSE)
            place.keep()
            if not waiting:
                waiting = True
                handle.seek(0)
                pid, _, node = handle.read().partition(" ")
                print(
                    f"waiting for process {pid} on {node}, which trains with the states in {root} (left by a killed "
                    "workflow?): it hands over when it next saves its state; to continue at once, from the last one "
                    f"saved: kill {pid}",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
        place.keep()
        handle.truncate(0)
        handle.write(f"{os.getpid()} {platform.node()}")
        handle.flush()
        undo.pop_all()  # held until the process ends
    return place


def _try(handle: TextIO) -> bool:
    """Lock an open file; return whether no other process holds the lock."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
