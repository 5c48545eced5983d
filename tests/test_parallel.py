"""Training by several MPI ranks: refused, started, ended and equal to training by one process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from pretended_cuda.runs import counting_device

from shanshui.backend import gpu_lock, mpi, parallel
from shanshui.backend.runtime import compile_for_ranks
from shanshui.config.schema import Config
from shanshui.config.settings import stage_settings, validate
from shanshui.data.loader import TrainingPairs, batches
from shanshui.errors import ShanshuiError, UsageError
from shanshui.pipeline import job_cores
from shanshui.pipeline.run_paths import RunPaths
from shanshui.storage import checkpoint
from shanshui.storage.files import write_csv, write_json
from shanshui.storage.size import Size

PAIRS, EPOCHS = 4, 6
YIELDING = {"OMPI_MCA_mpi_yield_when_idle": "1"}  # a rank that waits leaves its core to other tests
needs_mpi = pytest.mark.skipif(
    not (shutil.which("mpirun") and shutil.which("mpicc")), reason="no Open MPI (mpirun, mpicc) on this machine"
)

# --- options and resources ----------------------------------------------------------------------------


def config(processes: int = 1, accumulate: int = 1, **more: object) -> Config:
    numbers = {
        "epochs": EPOCHS, "batch": 4, "reconstruction": 10.0, "perceptual": {"net": "none"}, "processes": processes,
        "accumulate": accumulate,
    }  # fmt: skip
    return validate({
        "data": {
            "width": 64, "height": 32, "load_width": 72, "holdout": 2, "classes": ["sky", "water", "tree"],
        },
        "model": {
            "generator": {"name": "apf", "base_channels": 4, "halvings": 5, "spade_hidden": 8},
            "discriminator": {"name": "progressive", "count": 2, "base_channels": 8},
        },
        "pretrain": numbers, "finetune": {**numbers, "ema": 0.9},
        "score": {"first": 2 * EPOCHS, "last": 2 * EPOCHS, "metrics": ["dct_frechet"], "rank_by": "dct_frechet"},
        "select": {"top": 1}, **more,
    })  # fmt: skip


def test_a_batch_is_shared_equally_or_refused() -> None:
    with pytest.raises(UsageError, match=r"pretrain: batch 10 cannot be shared equally among 4 processes: use 12"):
        validate({"pretrain": {"processes": 4}})


def test_a_job_asks_for_a_gpu_for_each_process() -> None:
    run_paths = RunPaths(config(processes=2))
    assert run_paths.largest_job() == 2
    assert RunPaths(config()).largest_job() == 1
    assert job_cores.cores(1, 2) == job_cores.cores(1) == 64
    assert job_cores.cores(2, 2) == 2 * job_cores.cores(2)


def test_the_number_of_processes_is_a_setting_of_training_alone() -> None:
    one, two = config(), config(processes=2)
    assert stage_settings(two, "pretrain")["pretrain"]["processes"] == 2
    assert stage_settings(one, "generate") == stage_settings(two, "generate")


# --- starting ranks -----------------------------------------------------------------------------------


def test_the_command_line_of_mpirun() -> None:
    command = parallel.rank_command("mpirun", 4, ["pretrain", "--look", "a b"], root=False)
    assert command[:3] == ["mpirun", "-np", "4"]
    assert command[-5:] == [sys.executable, "-m", "shanshui", "pretrain", "--look", "a b"][-5:]
    assert "--allow-run-as-root" not in command
    assert "--allow-run-as-root" in parallel.rank_command("mpirun", 4, [], root=True)


def test_ranks_share_threads_and_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parallel.THREADS, "7")
    assert parallel.rank_environment(2, [])[parallel.THREADS] == "3"
    assert gpu_lock.VISIBLE not in parallel.rank_environment(2, [])
    assert parallel.rank_environment(8, ["0", "3"])[parallel.THREADS] == "1"
    assert parallel.rank_environment(2, ["0", "3"])[gpu_lock.VISIBLE] == "0,3"


def test_one_process_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMPI_COMM_WORLD_SIZE", raising=False)
    monkeypatch.setattr(parallel, "run_ranks", lambda *_: pytest.fail("started"))
    assert not parallel.spread(1, ["pretrain"])


def test_without_mpi_people_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi.shutil, "which", lambda name: None)
    mpi.find_mpi.cache_clear()
    with pytest.raises(ShanshuiError, match="mpirun and mpicc not found"):
        parallel.spread(2, ["pretrain"])


def test_another_number_of_ranks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="3 MPI ranks"):
        parallel.spread(2, ["pretrain"])


RANK = """
import os, sys, time
from shanshui.backend import mpi, parallel
parallel.become_rank()
open(os.path.join(sys.argv[1], f"{mpi.rank()}.of.{mpi.size()}"), "w").write(str(os.getpid()))
time.sleep(600 if sys.argv[2] == "wait" or mpi.rank() == 0 else 0)
sys.exit(3)
"""
LAUNCHER = """
import os, sys
from shanshui.backend import mpi, parallel
command = parallel.rank_command(mpi.find_mpi().mpirun, 2, [], os.geteuid() == 0)
command = command[: command.index("-m")] + ["-c", sys.argv[1], *sys.argv[2:]]
sys.exit(parallel.run_ranks(command, {**os.environ, **parallel.rank_environment(2, [])}))
"""


@needs_mpi
def test_one_rank_that_fails_ends_the_others_with_its_exit_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, RANK, str(tmp_path), "fail"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    pids = [int(file.read_text()) for file in tmp_path.iterdir()]
    assert psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=30)[1] == []


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[psutil.Process, list[psutil.Process]]]:
    """A launcher, and its two ranks, which would wait for minutes."""
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    launcher = psutil.Popen([sys.executable, "-c", LAUNCHER, RANK, str(tmp_path), "wait"])
    signal.signal(signal.SIGINT, ours)
    files = [tmp_path / f"{rank}.of.2" for rank in range(2)]
    until = time.monotonic() + 60
    while not all(file.is_file() and file.read_text() for file in files):
        assert time.monotonic() < until, "no ranks"
        time.sleep(0.1)
    ranks = [psutil.Process(int(file.read_text())) for file in files]
    yield launcher, ranks
    for process in (launcher, *ranks):
        if process.is_running():
            process.kill()


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_rank_outlives_the_job(waiting: tuple[psutil.Process, list[psutil.Process]], number: signal.Signals) -> None:
    launcher, ranks = waiting
    launcher.send_signal(number)
    launcher.wait(30)
    assert psutil.wait_procs(ranks, timeout=30)[1] == []


@needs_mpi
def test_no_rank_outlives_mpirun(waiting: tuple[psutil.Process, list[psutil.Process]]) -> None:
    launcher, ranks = waiting
    launcher.children()[0].kill()
    assert psutil.wait_procs(ranks, timeout=30)[1] == []
    assert launcher.wait(30) == 256 - 9  # as `run_ranks` has it: killed by signal 9


def test_devices_are_locked_all_or_none(tmp_path: Path) -> None:
    gpus = [gpu_lock.Gpu(name, name) for name in "abc"]
    first = gpu_lock.try_lock_gpus(gpus, 2, 1, tmp_path)
    assert [held.gpu.token for held in first] == ["a", "b"]
    assert gpu_lock.try_lock_gpus(gpus, 2, 1, tmp_path) == []
    third = gpu_lock.try_lock_gpu(gpus, 1, tmp_path)
    assert third is not None
    assert third.gpu.token == "c"  # what the attempt had taken is free again
    for held in [*first, third]:
        held.release()


DEVICE_OF_RANK = """
import sys
from shanshui.backend import mpi, parallel
from shanshui.backend.device import cuda_identities, find_device
parallel.become_rank()
print("rank", mpi.rank(), find_device().kind, *cuda_identities(), flush=True)
"""
STARTED = f"""
import os, sys
from shanshui.backend import gpu_lock, mpi, parallel
from shanshui.backend.device import cuda_identities
devices = gpu_lock.acquire_gpus(cuda_identities(), 2)
print("locked", *devices, flush=True)
command = parallel.rank_command(mpi.find_mpi().mpirun, 2, [], os.geteuid() == 0)
command = [*command[:command.index("-m")], "-c", {DEVICE_OF_RANK!r}]
sys.exit(parallel.run_ranks(command, {{**os.environ, **parallel.rank_environment(2, devices)}}))
"""


def identities(environment: dict[str, str]) -> list[str]:
    """Of the devices that the driver shows there."""
    ask = "from shanshui.backend.device import cuda_identities; print(*cuda_identities())"
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@needs_mpi
def test_two_ranks_have_two_devices(tmp_path: Path) -> None:
    """On pretended devices, of which another job holds the first."""
    device = counting_device()
    environment = device.environment() | {"PRETENDED_DEVICES": "3", "SHANSHUI_GPU_LOCKS": str(tmp_path)}
    environment["SHANSHUI_JOBS_PER_GPU"] = "1"
    first, second, third = identities(environment)
    held = gpu_lock.try_lock_gpus([gpu_lock.Gpu(first, "0")], 1, 1, tmp_path)
    done = subprocess.run([sys.executable, "-c", STARTED], env=environment, capture_output=True, text=True, check=True)
    held[0].release()
    lines = done.stdout.splitlines()
    assert "locked 1 2" in lines
    ranks = sorted(line.split()[1:] for line in lines if line.startswith("rank "))
    assert ranks == [["0", "cuda", second], ["1", "cuda", third]]


# --- equality ------------------------------------------------------------------------------------------


def test_ranks_take_their_rows_of_the_same_batches() -> None:
    rng = np.random.default_rng(0)
    pairs = TrainingPairs(
        rng.integers(0, 255, (9, 36, 72, 3), dtype=np.uint8), rng.integers(0, 3, (9, 36, 72), dtype=np.uint8)
    )
    whole = list(batches(pairs, 4, 1, 2, Size(32, 64)))
    parts = [list(batches(pairs, 4, 1, 2, Size(32, 64), part=(rank, 2))) for rank in range(2)]
    for step, batch in enumerate(whole):
        assert np.array_equal(batch.real, np.concatenate([part[step].real for part in parts]))
        assert np.array_equal(batch.label_map, np.concatenate([part[step].label_map for part in parts]))


def test_draws_of_an_augmentation_are_divided_among_ranks() -> None:
    from shanshui.training.augment import OPERATIONS, draw_augmentation

    draws = draw_augmentation(np.random.default_rng(0), OPERATIONS, 4, Size(32, 64))
    half = draws.rows(slice(2, 4))
    assert draws.real
    assert draws.window
    assert half.real
    assert half.window
    assert np.array_equal(half.real.contrast, draws.real.contrast[2:])
    assert np.array_equal(half.window.chosen, draws.window.chosen[2:])
    assert half.window.offset == draws.window.offset
    assert np.array_equal(half.shift, draws.shift[2:])
    assert draw_augmentation(np.random.default_rng(0), (), 4, Size(32, 64)).rows(slice(2)) == draw_augmentation(
        np.random.default_rng(0), (), 4, (32, 64)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prepare` leaves: 4 pairs, one of them to be looked at."""
    folder = tmp_path_factory.mktemp("ranks")
    rng = np.random.default_rng(5)
    label_maps = rng.integers(0, 3, (PAIRS, 9, 18), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    photos = (label_maps[..., None] * 90 + rng.integers(0, 60, (PAIRS, 36, 72, 3))).astype(np.uint8)
    np.save(folder / "photos.npy", photos)
    np.save(folder / "label_maps.npy", label_maps)
    Image.fromarray(photos[0]).save(folder / "photo.png")
    Image.fromarray(label_maps[0]).save(folder / "label.png")
    row = {"name": "a", "image": str(folder / "photo.png"), "label": str(folder / "label.png")}
    write_csv(folder / "holdout.csv", [row], list(row))
    return folder


def train(folder: Path, out: Path, processes: int, accumulate: int = 1) -> None:
    """The first resolution of pretraining: three epochs of one step."""
    write_json(out / "settings.json", stage_settings(config(processes, accumulate), "pretrain"))
    paths = {
        "settings": out / "settings.json", "photos": folder / "photos.npy", "label-maps": folder / "label_maps.npy",
        "samples": folder / "holdout.csv", "resume": out / "resume", "look": out,
        "state": out / "state.safetensors", "weights": out / "weights.safetensors",
    }  # fmt: skip
    options = [str(part) for name, path in paths.items() for part in (f"--{name}", path)]
    subprocess.run(
        [sys.executable, "-m", "shanshui", "pretrain", "--resolution", "032x016", *options], check=True, timeout=600
    )


def losses(out: Path) -> np.ndarray:
    (stats,) = (out / "pretrain").rglob("stats.jsonl")
    lines = [json.loads(line) for line in stats.read_text().splitlines()]
    return np.array([[value for name, value in line.items() if "/" in name] for line in lines])


@needs_mpi
@pytest.mark.drill
def test_a_job_of_two_processes_begins_as_one_of_one_and_can_be_continued(folder: Path, tmp_path: Path) -> None:
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        train(folder, tmp_path / str(processes), processes)
    one, two = losses(tmp_path / "1"), losses(tmp_path / "2")
    assert one.shape == two.shape
    assert np.abs(one[0] / two[0] - 1).max() < 1e-3  # on the same pairs, crops and flips, from the same weights
    whole = (tmp_path / "2" / "state.safetensors").read_bytes()
    (tmp_path / "2" / "state.safetensors").unlink()
    train(folder, tmp_path / "2", 2)  # from the state both ranks find under resume/
    assert (tmp_path / "2" / "state.safetensors").read_bytes() == whole
    assert checkpoint.load(tmp_path / "2" / "weights.safetensors").meta["training"]["processes"] == 2


@needs_mpi
@pytest.mark.drill
def test_a_job_of_two_processes_in_parts_begins_as_one_of_one_and_can_be_continued(
    folder: Path, tmp_path: Path
) -> None:
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        train(folder, tmp_path / str(processes), processes, accumulate=2)
    one, two = losses(tmp_path / "1"), losses(tmp_path / "2")
    assert np.abs(one[0] / two[0] - 1).max() < 1e-3
    whole = (tmp_path / "2" / "state.safetensors").read_bytes()
    (tmp_path / "2" / "state.safetensors").unlink()
    train(folder, tmp_path / "2", 2, accumulate=2)
    assert (tmp_path / "2" / "state.safetensors").read_bytes() == whole
    assert checkpoint.load(tmp_path / "2" / "weights.safetensors").meta["training"]["accumulate"] == 2


@pytest.mark.drill
def test_a_job_in_parts_gives_the_same_weights_again(folder: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        train(folder, tmp_path / name, 1, accumulate=2)
    assert (tmp_path / "a" / "weights.safetensors").read_bytes() == (
        tmp_path / "b" / "weights.safetensors"
    ).read_bytes()


@needs_mpi
@pytest.mark.slow
def test_steps_of_two_ranks_are_those_of_one_process(root: Path, tmp_path: Path) -> None:
    """Each from the same state. Where a feature lies on a kink of a loss, rounding decides on which side of it."""
    script, recorded, out = root / "tests" / "shared_steps.py", tmp_path / "recorded", tmp_path / "apart.json"
    subprocess.run([sys.executable, str(script), "record", str(recorded)], check=True, timeout=600)
    again = parallel.rank_command(mpi.find_mpi().mpirun, 2, [], os.geteuid() == 0)
    again = [*again[: again.index("-m")], str(script), "repeat", str(recorded), str(out)]
    compile_for_ranks()
    assert parallel.run_ranks(again, {**os.environ, **parallel.rank_environment(2, []), **YIELDING}) == 0
    steps = [step for phase in json.loads(out.read_text()).values() for step in phase]
    assert len(steps) == 17
    assert max(value for step in steps for name, value in step.items() if "/" in name) < 1e-5
    for network in "GD":
        gradients = sorted(step[f"gradient of {network}"] for step in steps)
        assert gradients[11] < 1e-4
        assert gradients[-1] < 0.2
