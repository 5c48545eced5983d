"""Milliseconds of an image by a teacher and by its students, in turn in one process, singly and several in a pass.

    python benchmarks/students.py --labels DIR --weights TEACHER STUDENT... [--rounds 6]
    python benchmarks/students.py --labels DIR --weights WEIGHTS --size 512x384 --channels 64 --share 0.25

With `--size` the teacher is a generator like that of the weights, but with so many base channels, twice as many hidden
ones, and random weights, and its student the same at the share of its multiply-accumulates.
OMP_NUM_THREADS is the number of threads. In every round each model generates the images singly, one image in turn by
every model, and then as the stage `generate` does, as many in a call as fill its passes. Ratios are of the fastest.
`--clock process` counts the CPU time of the process, which other programs disturb less than the wall time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from shanshui.architectures.base import Generator
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.narrowing import narrow
from shanshui.architectures.registry import generator_of
from shanshui.backend.runtime import load_jittor
from shanshui.data.labels import Classes
from shanshui.storage import checkpoint
from shanshui.storage.size import Size
from shanshui.synthesis.generation_inputs import label_files
from shanshui.synthesis.synthesizer import Synthesizer


def untrained(declared: Generator, classes: Classes, size: Size) -> Synthesizer:
    """Create a synthesizer with random weights."""
    generator = BuiltGenerator(declared, *declared.build())
    declared.initialise(*generator.networks().values(), gain=0.02)
    for network in generator.networks().values():
        network.eval()
    return Synthesizer(generator, classes, size)


def teacher_and_student(weights: Path, size: Size, channels: int, share: float) -> dict[str, Synthesizer]:
    """Create a generator of another width like that of the weights, and its student."""
    meta = json.loads(json.dumps(checkpoint.read_meta(weights)))
    halvings = 6 if size.height % 64 == size.width % 64 == 0 else 5
    meta["model"]["generator"].update(base_channels=channels, spade_hidden=2 * channels, halvings=halvings)
    teacher = generator_of(meta).in_phase(0, seg_noise=True)
    student, classes = narrow(teacher, share, size), Classes.of(meta["data"])
    return {
        f"{channels} channels": untrained(teacher, classes, size),
        f"share {share}": untrained(student.declared, classes, size),
    }


def main() -> None:
    """Measure, and print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--weights", type=Path, nargs="+", required=True)
    parser.add_argument("--size", type=Size.parse)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--clock", choices=("wall", "process"), default="wall")
    arguments = parser.parse_args()
    load_jittor()
    if arguments.size:
        models = teacher_and_student(arguments.weights[0], arguments.size, arguments.channels, arguments.share)
    else:
        models = {f"{path.parent.parent.name}/{path.stem}": Synthesizer.load(path) for path in arguments.weights}
    first = next(iter(models.values()))
    files = label_files(arguments.labels)[: arguments.images]
    maps = [(one.name, first.read_label_map(one.label)) for one in files]
    clock = time.perf_counter if arguments.clock == "wall" else time.process_time
    singly: dict[str, list[float]] = {name: [] for name in models}
    together: dict[str, list[float]] = {name: [] for name in models}
    for number in range(arguments.rounds + 1):  # the first is not counted
        for name, ids in maps:
            for model, synthesizer in models.items():
                start = clock()
                synthesizer.generate(ids, name)
                singly[model] += [clock() - start] if number else []
        for model, synthesizer in models.items():
            stack = np.stack([maps[i % len(maps)][1] for i in range(synthesizer.label_maps_at_once())])
            start = clock()
            synthesizer.generate(stack)
            together[model] += [(clock() - start) / len(stack)] if number else []
    teacher = next(iter(models))
    for model in models:
        line = f"{model:40}"
        for what, found in (("singly", singly), ("as generate does", together)):
            fastest, median = min(found[model]) * 1e3, statistics.median(found[model]) * 1e3
            line += f" {what}: {fastest:6.1f} ms (median {median:6.1f}) {fastest / min(found[teacher]) / 1e3:5.2f}"
        print(line)


if __name__ == "__main__":
    main()
