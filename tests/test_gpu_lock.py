"""Locks of GPUs: never two holders, none lost, whatever is killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from shanshui.backend import gpu_lock
from shanshui.backend.gpu_lock import Gpu, acquire_gpu, acquire_gpu_if_free, allowed, try_lock_gpu, visible_gpus
from shanshui.errors import UsageError

SOURCE = Path(__file__).resolve().parent.parent / "src"
GPUS = [Gpu(f"device{number}", str(number)) for number in range(4)]
JOB = """
import os, sys, time
from pathlib import Path
from shanshui.backend.gpu_lock import Gpu, lock_gpu
folder, log, count, seconds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
held = lock_gpu([Gpu(f"device{number}", str(number)) for number in range(count)], 1, folder, pause=0.02)
note = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(note, f"take {os.getpid()} {held.gpu.token} {time.monotonic_ns()}\\n".encode())
time.sleep(seconds)
os.write(note, f"free {os.getpid()} {held.gpu.token} {time.monotonic_ns()}\\n".encode())
"""


def start(folder: Path, log: Path, seconds: float) -> subprocess.Popen[bytes]:
    """A job that locks one of four devices; it needs no more of Python than comes with it."""
    command = [sys.executable, "-S", "-c", JOB, str(folder), str(log), str(len(GPUS)), str(seconds)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)})


def test_forty_jobs_on_four_devices_some_killed(tmp_path: Path) -> None:
    log, folder = tmp_path / "log.txt", tmp_path / "locks"
    rng = random.Random(5)
    jobs = [start(folder, log, rng.uniform(0.02, 0.2)) for _ in range(40)]
    killed: dict[int, int] = {}
    for job in rng.sample(jobs, 14):
        time.sleep(rng.uniform(0, 0.1))
        if job.poll() is None:
            killed[job.pid] = time.monotonic_ns()
            job.kill()
    codes = {job.pid: job.wait(timeout=120) for job in jobs}
    assert {pid for pid, code in codes.items() if code != 0} <= set(killed)
    assert killed

    taken: dict[int, tuple[str, int]] = {}
    freed: dict[int, int] = {}
    for line in log.read_text().splitlines():
        what, pid, token, when = line.split()
        if what == "take":
            taken[int(pid)] = token, int(when)
        else:
            freed[int(pid)] = int(when)
    assert set(taken) >= {pid for pid, code in codes.items() if code == 0}, "everybody had a turn"
    assert {token for token, _ in taken.values()} == {gpu.token for gpu in GPUS}
    for gpu in GPUS:
        turns = sorted(
            (begin, freed.get(pid, killed.get(pid, 0))) for pid, (token, begin) in taken.items() if token == gpu.token
        )
        overlaps = [(one, other) for one, other in pairwise(turns) if one[1] > other[0]]
        assert overlaps == []

    held = [try_lock_gpu(GPUS, 1, folder) for _ in range(5)]
    assert [part.gpu.token for part in held[:4] if part] == ["0", "1", "2", "3"], "no lock is lost"
    assert held[4] is None


def test_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    first = try_lock_gpu(GPUS[:1], 1, tmp_path)
    assert first
    assert try_lock_gpu(GPUS[:1], 1, tmp_path) is None
    first.release()
    assert try_lock_gpu(GPUS[:1], 1, tmp_path) is not None


def test_small_jobs_share_devices_evenly_and_keep_away_from_one_that_does_not_share(tmp_path: Path) -> None:
    alone = try_lock_gpu(GPUS[:1], 1, tmp_path)
    shared = [try_lock_gpu(GPUS[:2], 2, tmp_path) for _ in range(3)]
    assert [part.gpu.token if part else None for part in shared] == ["1", "1", None]
    assert alone
    alone.release()
    more = [try_lock_gpu(GPUS[:2], 2, tmp_path) for _ in range(3)]
    assert [part.gpu.token if part else None for part in more] == ["0", "0", None]
    assert try_lock_gpu(GPUS[:2], 1, tmp_path) is None, "who wants a device alone waits for those that share it"
    fresh = [try_lock_gpu(GPUS[:2], 2, tmp_path / "fresh") for _ in range(4)]
    assert [part.gpu.token for part in fresh if part] == ["0", "1", "0", "1"]


def test_waiting_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = try_lock_gpu(GPUS[:1], 1, tmp_path)
    assert first

    class Jitter:
        """Releases the first lock at the third draw."""

        draws = 0

        def random(self) -> float:
            self.draws += 1
            if self.draws == 3:
                first.release()
            return 0.5

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_lock, "_jitter", Jitter())
        assert gpu_lock.lock_gpu(GPUS[:1], 1, tmp_path, patience=0, pause=0.01).gpu.token == "0"
    assert capsys.readouterr().err.count("waiting for a free GPU") == 1


# --- which devices ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outer", "tokens"),
    [("", ["0", "1"]), ("2,3", ["2", "3"]), (" GPU-ab , GPU-cd ", ["GPU-ab", "GPU-cd"]), ("3,1,-1", ["3", "1"])],
)
def test_outer_choice_bounds_ours(outer: str, tokens: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", outer)
    assert [gpu.token for gpu in visible_gpus(["a", "b"])] == tokens


def test_configuration_chooses_among_the_visible() -> None:
    assert allowed(GPUS, "auto") == GPUS
    assert allowed(GPUS, "3,1") == [GPUS[3], GPUS[1]]
    assert allowed(GPUS, "2,7") == [GPUS[2]], "one configuration for machines of several sizes"
    assert allowed([], "0") == []
    with pytest.raises(UsageError, match="gpus: 9 names no device"):
        allowed(GPUS, "9")


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process that holds nothing yet, on a machine with a lock folder of its own."""
    monkeypatch.setattr(gpu_lock, "_held", [])
    monkeypatch.setenv(gpu_lock.FOLDER, str(tmp_path))
    for name in (gpu_lock.GPUS, gpu_lock.JOBS_PER_GPU, "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(gpu_lock.VISIBLE, "4,5")
    return monkeypatch


def test_process_sees_the_locked_device_only_and_keeps_it(fresh: pytest.MonkeyPatch) -> None:
    assert acquire_gpu(["a", "b"]) == "4"
    assert os.environ[gpu_lock.VISIBLE] == "4"
    fresh.setenv(gpu_lock.VISIBLE, "4,5")
    assert acquire_gpu(["a", "b"]) == "4", "one lock for a process"
    fresh.setattr(gpu_lock, "_held", [])


def test_no_device_no_lock(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert acquire_gpu([]) == ""
    assert os.environ[gpu_lock.VISIBLE] == "4,5"
    assert list(tmp_path.iterdir()) == []


def test_device_that_slurm_gave_to_the_job_needs_no_lock(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("SLURM_JOB_ID", "7")
    fresh.setenv(gpu_lock.VISIBLE, "0")
    assert acquire_gpu(["a"]) == ""
    assert list(tmp_path.iterdir()) == []
    fresh.setenv(gpu_lock.VISIBLE, "0,1")
    assert acquire_gpu(["a", "b"]) == "0", "several jobs within one allocation"


def test_device_is_taken_only_if_free(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    others = [try_lock_gpu([Gpu(name, name)], 1, tmp_path) for name in ("a", "b")]
    assert not acquire_gpu_if_free(["a", "b"])
    assert os.environ[gpu_lock.VISIBLE] == "4,5"
    assert others[1]
    others[1].release()
    assert acquire_gpu_if_free(["a", "b"])
    assert os.environ[gpu_lock.VISIBLE] == "5"
    assert acquire_gpu(["a", "b"]) == "5", "it is this process's from then on"
    assert acquire_gpu_if_free(["a", "b"])
    for held in (others[0], *gpu_lock._held):
        assert held
        held.release()
