"""What the GPU measurements share: one line per result, time, memory, and the networks that are measured.

Every result is written at once, to the screen and to `results.jsonl` under `--out`, so that what came before a
failure is kept.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from subjects import Subject

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(os.environ.get("SHANSHUI_GPU_OUT") or ".")  # set by check.py
LABELS = os.environ.get("SHANSHUI_GPU_LABELS") or None  # folder of label maps; None: drawn landscapes
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests"), str(ROOT / "src")]


def report(step: str, **values: Any) -> None:
    """Write one result: a line on the screen and a line in results.jsonl."""
    text = " ".join(f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v}" for n, v in values.items())
    print(f"  {step}: {text}", flush=True)
    with open(OUT / "results.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, **values}, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())


def median_ms(
    call: Callable[[], Any], wait: Callable[[], Any], seconds: float = 3.0, least: int = 3, most: int = 50
) -> float:
    """Measure the median milliseconds of `call` followed by `wait`; the first call does not count.

    Args:
        seconds: repeat for about so long, at least `least` and at most `most` times.
    """
    call(), wait()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < least or (time.perf_counter() - begin < seconds and len(times) < most):
        start = time.perf_counter()
        call(), wait()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def used_mib() -> int:
    """Ask nvidia-smi for the memory in use on the first GPU, in MiB, by all processes; -1 where it does not answer."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return -1


def subject(batch: int, channels: int = 64, size: str = "512x384") -> Subject:
    """Make the networks and images the project's other benchmarks measure."""
    from subjects import Subject

    width, height = map(int, size.split("x"))
    return Subject(width, height, batch, channels, LABELS)


def relative_difference(found: Any, wanted: Any) -> float:
    """|found - wanted| / |wanted| (Frobenius), in double precision."""
    found, wanted = np.asarray(found, np.float64).ravel(), np.asarray(wanted, np.float64).ravel()
    return float(np.linalg.norm(found - wanted) / max(float(np.linalg.norm(wanted)), 1e-30))


def training_step(subject: Subject, folder: Path) -> tuple[Any, Callable[[], dict[str, float]]]:
    """Build networks and a call that trains one step on one batch and fetches the losses.

    Args:
        folder: weights are read from it, or left in it where it has none.

    Returns:
        The networks and the call.
    """
    from subjects import our_networks

    from shanshui.architectures.base import LossConfig
    from shanshui.architectures.generator_networks import FULL
    from shanshui.backend.runtime import load_jittor
    from shanshui.storage.size import Size
    from shanshui.training.step import StepConfig, train_step

    jt = load_jittor(parallel_compile=True)
    nets = our_networks(subject, folder)
    label_maps, rng, real = subject.label_maps(), np.random.default_rng(0), jt.array(subject.photos())
    conditioning = nets.generator.condition(label_maps, nets.generator.patch_sizes(Size.of_maps(label_maps)))
    step_config = StepConfig(LossConfig({"feat": 10.0, "rec": 10.0, "perceptual": 0.0}, None))

    def step() -> dict[str, float]:
        losses = train_step(nets, step_config, FULL, real, conditioning, rng)
        jt.sync(list(losses.values()))
        return {name: float(loss.item()) for name, loss in losses.items()}

    return nets, step
