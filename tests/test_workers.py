"""Work that is divided among processes: in order, errors and all, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shanshui.data import workers
from shanshui.data.workers import in_processes


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, whatever is there."""
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: {0, 1})


def who(number: int) -> tuple[int, int]:
    """Return the number and the process."""
    return number, os.getpid()


def refuse(number: int) -> int:
    """Take no seven."""
    if number == 7:
        raise ValueError("no seven")
    return number


@pytest.mark.usefixtures("cores")
def test_results_come_in_order_from_other_processes() -> None:
    found = in_processes(who, range(40), "counting", "number")
    assert [number for number, _ in found] == list(range(40))
    assert os.getpid() not in {process for _, process in found}


def test_few_items_need_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: set(range(8)))
    assert in_processes(who, range(39), "counting", "number") == [(number, os.getpid()) for number in range(39)]


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("count", [10, 40])
def test_the_first_error_is_raised(count: int) -> None:
    with pytest.raises(ValueError, match="no seven"):
        in_processes(refuse, range(count), "counting", "number")


LONG = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from shanshui.data import workers
from test_workers import slow
if __name__ == "__main__":
    workers.os.sched_getaffinity = lambda _: {0, 1}
    workers.in_processes(slow, [sys.argv[2]] * 80, "waiting", "item")
"""


def slow(folder: str) -> None:
    """Say that this process works, and take long."""
    Path(folder, str(os.getpid())).touch()
    time.sleep(30)


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text(LONG)
    (tmp_path / "seen").mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(Path(__file__).parent), str(tmp_path / "seen")])
    until = time.monotonic() + 30
    while len(seen := list((tmp_path / "seen").iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(seen) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = [psutil.Process(int(one.name)) for one in seen if psutil.pid_exists(int(one.name))]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert not alive
