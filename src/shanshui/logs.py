"""Training logs: `stats.jsonl`, TensorBoard events and a progress bar on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from shanshui.storage.files import write_text


def progress(total: int, description: str, unit: str = "step", shown: bool = True) -> tqdm:
    """Create a progress bar on stderr; where stderr is no terminal, it prints a line every ten seconds at most."""
    quiet = not sys.stderr.isatty()
    return tqdm(
        total=total, desc=description, unit=unit, mininterval=10 if quiet else 0.2, dynamic_ncols=not quiet,
        ascii=quiet, file=sys.stderr, leave=True,
        disable=not shown,
    )  # fmt: skip


StatsLine = dict[str, Any]  # of `stats.jsonl`: numbers, and the names of phase and resolution


class StatsLog:
    """Log of one training run: one JSON line per epoch, and the same as TensorBoard events.

    Lines of epochs that are about to be trained again (after a resume) are removed first.

    Args:
        folder: of `stats.jsonl` and `events`.
        first_epoch: the first epoch that will be written.
    """

    def __init__(self, folder: str | Path, first_epoch: int) -> None:
        from tensorboardX import SummaryWriter

        self.path = Path(folder) / "stats.jsonl"
        self.lines = [line for line in self._read() if json.loads(line)["epoch"] < first_epoch]
        self.events = SummaryWriter(str(Path(folder) / "events"), write_to_disk=True)

    def _read(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []

    def write(self, epoch: int, step: int, numbers: Mapping[str, float], **more: object) -> None:
        """Add a line with the means of one epoch.

        Args:
            epoch: number from 1.
            step: training steps so far.
            numbers: losses (named `G/...`, `D/...`) and timings, also written as TensorBoard scalars.
            more: further entries of the line only.
        """
        self.lines.append(json.dumps({"epoch": epoch, "step": step, **more, **numbers}, ensure_ascii=False))
        write_text(self.path, "\n".join(self.lines) + "\n")
        for name, value in numbers.items():
            self.events.add_scalar(f"Loss/{name}" if "/" in name else f"Timing/{name}", value, epoch)
        self.events.flush()

    def amend(self, numbers: Mapping[str, float]) -> list[StatsLine]:
        """Add numbers to the last line, and return all lines."""
        lines: list[StatsLine] = [json.loads(line) for line in self.lines]
        if numbers and lines:
            lines[-1] |= numbers
            self.lines[-1] = json.dumps(lines[-1], ensure_ascii=False)
            write_text(self.path, "\n".join(self.lines) + "\n")
            for name, value in numbers.items():
                self.events.add_scalar(f"Samples/{name}", value, lines[-1]["epoch"])
        return lines

    def close(self) -> None:
        """Close the event file."""
        self.events.close()
