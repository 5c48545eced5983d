"""Host time of a training step: what the CPU does for a GPU, in parts, against another checkout of this repository.

    python benchmarks/host_time.py [--against DIR] [--rounds 5] [--cpu]

The step is APF-GAN's at 512x384, batch 1, fine-tuning with spectral norm, augmentation and moving average, on the stub
CUDA device of the tests (`tests/pretended_cuda`), which computes nothing: all that is left is the host's. Jittor is
compiled with optimisation, once, in a cache of its own. Both checkouts take turns, step by step; the numbers are
medians of CPU time. With `--cpu` the step is a small one on the CPU, and what the kernels compute is part of it.

    python       functions in Python, outside of Jittor's
    graph        Jittor's functions called from Python: operations and gradients are created
    executor     Jittor's executor: operations are fused, kernels looked up, memory allocated, kernels launched
    in Python, Jittor's: the number of functions that a step calls
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HEIGHT, WIDTH = 384, 512
SYNCS = ("sync_all", "sync")  # of Jittor: run what was created
WARM_UP = 3


def settings(small: bool) -> dict[str, Any]:
    """Sections from which the networks are built."""
    base, hidden, of_d = (8, 16, 8) if small else (64, 128, 64)
    return {
        "data": {"classes": [str(i) for i in range(29)], "height": HEIGHT, "width": WIDTH},
        "model": {
            "generator": {"name": "apf", "base_channels": base, "halvings": 5 if small else 6, "spade_hidden": hidden},
            "discriminator": {"name": "progressive", "count": 3, "base_channels": of_d},
        },
        "parity": {"spectral_norm": "on", "full_order": "kept", "pool_padding": "excluded", "seg_noise_init": "zero"},
    }  # fmt: skip


def training_step(cpu: bool) -> Callable[[], None]:
    """Build the networks; return a function that takes one step."""
    import numpy as np

    from shanshui.architectures.base import LossConfig
    from shanshui.architectures.generator_networks import FULL, Conditioning
    from shanshui.architectures.networks import build_discriminator, build_generator
    from shanshui.backend.runtime import load_jittor, seed_everything
    from shanshui.data.labels import one_hot
    from shanshui.storage.size import Size
    from shanshui.training.augment import OPERATIONS
    from shanshui.training.moving_average import MovingAverage
    from shanshui.training.optim import adam
    from shanshui.training.step import Networks, StepConfig, train_step

    jt = load_jittor()
    seed_everything(0)
    chosen = settings(cpu)
    G, D = build_generator(chosen, seg_noise=True, heads=0), build_discriminator(chosen)
    opt_g, opt_d = adam(G.networks().values(), 1e-4, (0.0, 0.9)), adam([D.D], 4e-4, (0.0, 0.9))
    nets = Networks(G, D, opt_g, opt_d, MovingAverage(G.networks(), 0.9))
    config = StepConfig(LossConfig({"feat": 10.0, "rec": 10.0, "perceptual": 0.0}, None), OPERATIONS)
    size, rng = Size(96, 128) if cpu else Size(HEIGHT, WIDTH), np.random.default_rng(0)

    photos = rng.standard_normal((1, 3, *size)).astype(np.float32)
    label_maps = rng.integers(0, 29, (1, size.height // 16, size.width // 16), np.uint8).repeat(16, 1).repeat(16, 2)

    def step() -> None:
        train_step(nets, config, FULL, jt.array(photos), Conditioning(jt.array(one_hot(label_maps, 29))), rng)
        assert nets.average
        nets.average.update()
        jt.sync_all()

    return step


class Executor:
    """CPU time inside Jittor's executor: the functions that start it are replaced by ones that look at the clock."""

    def __init__(self, jt: Any) -> None:
        self.seconds = 0.0
        for name in SYNCS:
            setattr(jt, name, self.timed(getattr(jt, name)))

    def timed(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap one."""

        def timed_run(*args: Any, **kwargs: Any) -> Any:
            begin = time.process_time()
            try:
                return run(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - begin

        return timed_run


def graph_share(step: Callable[[], None]) -> float:
    """Return the share of Jittor's functions in the time outside of the executor, by a profile of some steps."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(3):
        step()
    profile.disable()
    of_jittor = of_python = 0.0
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if file == "~" and any(f"{sync}>" in name or f".{sync} " in name for sync in SYNCS):
            continue
        if file == "~" and "jittor" in name:
            of_jittor += own
        else:
            of_python += own
    return of_jittor / (of_jittor + of_python)


def calls(step: Callable[[], None]) -> list[int]:
    """Count the functions in Python, and those of Jittor, that a step calls."""
    found = [0, 0]

    def count(_frame: Any, event: str, argument: Any) -> None:
        found[0] += event == "call"
        found[1] += event == "c_call" and "jittor" in repr(argument)

    sys.setprofile(count)
    step()
    sys.setprofile(None)
    return found


def child(cpu: bool) -> None:
    """Write how many functions a step calls; then take a step for every line that comes in, and write its times."""
    step = training_step(cpu)
    import jittor as jt

    for _ in range(WARM_UP):
        step()
    print(json.dumps(calls(step)), flush=True)
    executor = Executor(jt)
    share = graph_share(step)
    for _line in sys.stdin:
        executor.seconds = 0.0
        begin, at = time.process_time(), time.perf_counter()
        step()
        total, wall = time.process_time() - begin, time.perf_counter() - at
        outside = total - executor.seconds
        times = [outside * (1 - share), outside * share, executor.seconds, total, wall]
        print(json.dumps([1000 * each for each in times]), flush=True)
    os._exit(0)


def environment(checkout: Path, cpu: bool) -> dict[str, str]:
    """Return that of a child with the sources of a checkout."""
    if cpu:
        return os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1", "SHANSHUI_DEVICE": "cpu"}
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]
    from pretended_cuda.runs import counting_device

    device = counting_device()
    kept = {name: value for name, value in device.environment().items() if name != "cc_path"}
    paths = [str(device.folder / "site"), str(checkout / "src")]
    optimised = {"SHANSHUI_CACHE": str(device.folder / "optimised"), "OMP_NUM_THREADS": "1"}
    return kept | optimised | {"PYTHONPATH": os.pathsep.join(paths)}


def started(checkout: Path, cpu: bool) -> subprocess.Popen[str]:
    """Start a child that takes steps of a checkout, one for each line."""
    command = [sys.executable, __file__, "--child", *(["--cpu"] if cpu else [])]
    return subprocess.Popen(
        command, env=environment(checkout, cpu), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answer(process: subprocess.Popen[str]) -> Any:
    """Return the next line of JSON a child writes."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith("["):
            return json.loads(line)
    raise SystemExit("a child ended")


def main() -> None:
    """Compare two checkouts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each")
    parser.add_argument("--cpu", action="store_true", help="a small step on the CPU instead")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.cpu)
    checkouts = [*([args.against.resolve()] if args.against else []), ROOT]
    children = [started(checkout, args.cpu) for checkout in checkouts]
    counts = [answer(process) for process in children]
    rows: list[list[list[float]]] = [[] for _ in children]
    for _ in range(args.rounds):
        for process, row in zip(children, rows, strict=True):
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
            row.append(answer(process))
    print(f"{'ms':10} " + " ".join(f"{checkout.name:>12}" for checkout in checkouts) + f" {'ratio':>6}")
    for part, name in enumerate(("python", "graph", "executor", "together", "wall")):
        found = [statistics.median(times[part] for times in row) for row in rows]
        print(f"{name:10} " + " ".join(f"{ms:12.1f}" for ms in found) + f" {found[-1] / found[0]:6.2f}")
    for which, name in enumerate(("in Python", "Jittor's")):
        print(
            f"{name:10} "
            + " ".join(f"{each[which]:12}" for each in counts)
            + f" {counts[-1][which] / counts[0][which]:6.2f}"
        )
    for process in children:
        process.kill()


if __name__ == "__main__":
    main()
