"""Running a case and judging it: done with a right result, or refused in a sentence; inputs as they were."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from unittest import mock

from fuzz import cases
from fuzz.cases import Case, Kind
from shanshui.__main__ import main
from shanshui.errors import ShanshuiError

LIMIT = 300  # seconds; past them a case counts as hung
DONE, REFUSED, TRACEBACK, WRONG, CHANGED, LEFT = (
    "done",
    "refused",
    "traceback",
    "wrong",
    "changed inputs",
    "half written",
)
BAD = (TRACEBACK, WRONG, CHANGED, LEFT)
KINDS: dict[str, Kind] = {
    "picture": cases.picture, "validate": cases.validate, "configuration": cases.configuration,
    "weights": cases.weights, "import": cases.bring_in, "score": cases.score,
}  # fmt: skip


@dataclass
class Figures:
    """How many cases of each kind ended how, and what was said of the bad ones."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Kinds in rows, endings in columns."""
        kinds = sorted({kind for kind, _ in self.counts})
        ends = (DONE, REFUSED, *BAD)
        lines = [f"{'':<16}{'cases':>8}" + "".join(f"{end:>16}" for end in ends)]
        for kind in [*kinds, "all"]:
            mine = [sum(n for (k, e), n in self.counts.items() if e == end and kind in (k, "all")) for end in ends]
            lines.append(f"{kind:<16}{sum(mine):>8}" + "".join(f"{number:>16}" for number in mine))
        return "\n".join(lines)


def fingerprint(folder: Path) -> str:
    """Digest of everything below a folder: names, kinds, link targets, bytes."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        total.update(os.fsencode(path.relative_to(folder)) + str(stat.S_IFMT(status.st_mode)).encode())
        if path.is_symlink():
            total.update(os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(status.st_mode):
            total.update(path.read_bytes())
    return total.hexdigest()


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _here(case: Case) -> tuple[int, str]:
    """Exit code and what was said, within this process."""
    said = io.StringIO()
    without_plot = mock.patch("shanshui.stages.validate.plot_classes", lambda path, *_: path.touch())
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), without_plot, _limited():
        try:
            code = main(case.arguments) if case.arguments else 0
        except SystemExit as ending:
            code = int(ending.code or 0)
    return code, said.getvalue()


def _apart(case: Case) -> tuple[int, str]:
    """Exit code and what was said, by a process of its own."""
    command = [sys.executable, "-m", "shanshui", *case.arguments]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False)
    return done.returncode, done.stderr.decode("utf-8", "replace")


def judge(case: Case, folder: Path, apart: bool) -> tuple[str, str]:
    """How a case ends, and what was said."""
    before = fingerprint(folder / "in")
    try:
        code, said = (_apart if apart and case.arguments else _here)(case)
        if "Traceback (most recent call last)" in said or code < 0:
            end = TRACEBACK
        elif code:
            end = REFUSED if f"shanshui {case.arguments[0]}: " in said or "usage: " in said else TRACEBACK
        else:
            with _limited():
                wrong = case.check()
            end, said = (WRONG, wrong) if wrong else (DONE, "")
    except ShanshuiError as error:
        end, said = (REFUSED, "") if not case.arguments else (WRONG, f"done, but: {error}")
    except Exception:
        end, said = TRACEBACK, traceback.format_exc()
    if fingerprint(folder / "in") != before:
        end = CHANGED
    out = folder / "out"
    if end == REFUSED and out.is_dir() and any(path.name.startswith(".") for path in out.rglob("*")):
        end = LEFT
    return end, said


def run_case(kind: str, seed: int, figures: Figures, apart: bool = False, kinds: dict[str, Kind] | None = None) -> None:
    """Make the case of a seed, run it, count how it ends."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        try:
            case = (kinds or KINDS)[kind](folder, random.Random(f"{kind} {seed}"))
            end, said = judge(case, folder, apart)
        finally:
            for path in folder.rglob("*"):
                if path.is_symlink() or stat.S_ISFIFO(path.lstat().st_mode):
                    path.unlink()
            shutil.rmtree(folder / "out", ignore_errors=True)
    figures.counts[kind, end] += 1
    if end in BAD:
        figures.bad.append(f"--- {kind}, seed {seed}: {end}\n{said[-2000:]}")
