"""Training state that outlives a killed job: undeclared to Snakemake, keyed by all it depends on, locked."""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shanshui import checkpoint
from shanshui.checkpoint import Arrays, Checkpoint
from shanshui.errors import ShanshuiError

KEEP = 2


@dataclass(frozen=True)
class ResumeFolder:
    """Saved states `epoch_NNN.safetensors` of one training run; the last two are kept."""

    folder: Path

    def epochs(self) -> list[int]:
        """Epochs after which a state was saved, ascending."""
        names = (re.fullmatch(r"epoch_(\d+)\.safetensors", file.name) for file in self.folder.iterdir())
        return sorted(int(name.group(1)) for name in names if name)

    def path(self, epoch: int) -> Path:
        """File of the state after `epoch`."""
        return self.folder / f"epoch_{epoch:03d}.safetensors"

    def latest(self, upto: int) -> tuple[int, Checkpoint] | None:
        """The newest readable state not beyond epoch `upto`; unreadable ones are removed."""
        for epoch in reversed([e for e in self.epochs() if e <= upto]):
            try:
                return epoch, checkpoint.load(self.path(epoch))
            except ShanshuiError:
                self.path(epoch).unlink()
        return None

    def save(self, epoch: int, arrays: Arrays, meta: dict[str, Any]) -> None:
        """Keep the state after `epoch` and the highest other ones, `KEEP` in all."""
        checkpoint.save(self.path(epoch), arrays, **meta)
        others = [other for other in self.epochs() if other != epoch]
        for old in others[: 1 - KEEP]:
            self.path(old).unlink()


@contextlib.contextmanager
def resume_folder(root: str | Path, key: str) -> Iterator[ResumeFolder]:
    """Hold the states under `root` for the run described by `key`; states of other keys are removed.

    Raises ShanshuiError where another process (an orphan of a killed workflow, say) is still training here.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ShanshuiError(
                f"another process is training with the states in {root}",
                "one trainer at a time",
                f"wait for it or stop it (`fuser {root / 'lock'}` names it), then run again",
            ) from None
        for other in root.iterdir():
            if other.is_dir() and other.name != key:
                shutil.rmtree(other)
        (root / key).mkdir(exist_ok=True)
        yield ResumeFolder(root / key)
