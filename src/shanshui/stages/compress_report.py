"""Compare a model with its students and their controls: size, cost, time, memory, scores, images.

python -m shanshui compress_report --settings S.json --weights TEACHER.safetensors STUDENT.safetensors ...
    --scores TEACHER.json STUDENT.json ... --labels test.csv --out report.json --strip strip.png
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.compression.student_names import is_control, is_student, share_of
from shanshui.config.section import NonNegative, Section
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import read_checked
from shanshui.errors import UsageError
from shanshui.report.students import Measured, student_report
from shanshui.storage.files import read_json, write_json
from shanshui.storage.outputs import add_file
from shanshui.synthesis.generation_inputs import ImageInputs, label_files

if TYPE_CHECKING:
    from shanshui.synthesis.synthesizer import Synthesizer

FILES = 12  # label maps that are generated
CALLS = 8  # of `generate` whose time is measured, after two others
SHOWN = 4  # label maps of the strip
WIDTHS = ("base_channels", "spade_hidden", "hidden")
MIB = 2**20


class CompressReportSettings(Section):
    """Settings file of this stage.

    Attributes:
        seed: of the noise.
    """

    seed: NonNegative


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    add = parser.add_argument
    add("--settings", required=True, type=Path, metavar="JSON", help="settings of this stage")
    add("--weights", required=True, nargs="+", type=Path, metavar="FILE", help="of the teacher, then of the students")
    add("--scores", required=True, nargs="+", type=Path, metavar="JSON", help="scores of the same models")
    add("--labels", required=True, type=Path, metavar="CSV", help="label maps, some of which are generated")
    add("--times", type=Path, metavar="DIR", help="benchmark files of the students' training")
    add_file(parser, "--out", required=True, help="the comparison (JSON)")
    add_file(parser, "--strip", ".png", required=True, help="label maps, and each model's images (PNG)")


def inputs_of(
    synthesizer: Synthesizer, files: Sequence[ImageInputs]
) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
    """Read names, label maps and, for generators that need them, instance maps."""
    found = []
    for one in files:
        ids = synthesizer.read_label_map(one.label)
        instances = None
        if synthesizer.accepts.instances:
            if one.instance is None:
                raise UsageError(f"{one.label} without instance map", "one, for a generator that uses their edges")
            instances = synthesizer.read_instance_map(one.instance, ids)
        found.append((one.name, ids, instances))
    return found


def seconds_per_image(
    synthesizer: Synthesizer, inputs: Sequence[tuple[str, np.ndarray, np.ndarray | None]], seed: int
) -> float:
    """Measure the median wall time of an image, with as many in a call as the stage `generate` asks for."""
    together, seconds = synthesizer.label_maps_at_once(), []
    for call in range(2 + CALLS):
        chosen = [inputs[(call * together + number) % len(inputs)] for number in range(together)]
        instances = [of for _, _, of in chosen if of is not None]
        names = [f"{name} {number}" for number, (name, _, _) in enumerate(chosen)]
        start = time.perf_counter()
        synthesizer.generate(np.stack([ids for _, ids, _ in chosen]), names, seed, instances=instances or None)
        seconds.append((time.perf_counter() - start) / together)
    return statistics.median(seconds[2:])


def measure(path: Path, files: Sequence[ImageInputs], seed: int) -> tuple[Measured, list[np.ndarray]]:
    """Count and time one model; return also its images of the first label maps, uint8 (H, W, 3)."""
    from shanshui.architectures.network_cost import generator_costs, patch_shares
    from shanshui.architectures.networks import restore_generator
    from shanshui.pipeline.memory import peak_memory, reset_peak
    from shanshui.storage.images import to_uint8
    from shanshui.storage.size import Size
    from shanshui.synthesis.generator_file import read_generator
    from shanshui.synthesis.synthesizer import Synthesizer

    reset_peak()
    synthesizer = Synthesizer.load(path)
    inputs = inputs_of(synthesizer, files)
    images = [
        to_uint8(synthesizer.generate(ids, name, seed, instances=instances)[0])
        for name, ids, instances in inputs[:SHOWN]
    ]
    seconds = seconds_per_image(synthesizer, inputs, seed)
    peak = peak_memory()
    found = read_generator(path)
    generator = restore_generator(found.arrays, found.meta, str(path))
    label_maps = np.stack([ids for _, ids, _ in inputs])
    costs = generator_costs(generator, Size.of_maps(label_maps))
    section, compression = generator.declared.section(), found.meta.get("compression", {})
    measured: Measured = {
        "model": path.stem, "method": compression.get("method", ""),
        "widths": {name: section[name] for name in WIDTHS if name in section},
        "parameters": sum(cost.parameters for cost in costs.values()),
        "megabytes": path.stat().st_size / 1e6, "gmac": costs["G"].macs / 1e9,
        "gmac_on_patches": costs["G"].on_patches(patch_shares(generator, label_maps)) / 1e9,
        "seconds": seconds, "peak_mib": None if peak is None else peak / MIB,
    }  # fmt: skip
    if compression:
        measured["epochs"] = found.meta["epoch"]
    return measured, images


def add_training_time(measured: Measured, folder: Path | None) -> None:
    """Add the wall time of a student's training from Snakemake's benchmark file, if there is one."""
    file = folder / f"compress.{measured['model']}.tsv" if folder else None
    if file is not None and file.is_file():
        first = file.read_text(encoding="utf-8").splitlines()[1].split("\t")[0]
        measured["training_seconds"] = float(first)


def write_strip(path: Path, files: Sequence[ImageInputs], images: dict[str, list[np.ndarray]], teacher: Path) -> None:
    """Write label maps, and below them the images of each model."""
    from shanshui.data.palette import class_palette
    from shanshui.report.sheet import strip
    from shanshui.storage import checkpoint
    from shanshui.storage.images import colour_label_map, write_image
    from shanshui.synthesis.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(teacher)
    palette = class_palette(checkpoint.read_meta(teacher)["data"]["classes"])
    shown = [colour_label_map(synthesizer.read_label_map(one.label), palette) for one in files[:SHOWN]]
    lines = [("label map", shown), *((_caption(name), made[: len(shown)]) for name, made in images.items())]
    write_image(path, strip(lines))


def _caption(model: str) -> str:
    """Return a caption as short as a line of the strip is high."""
    if not is_student(model):
        return "teacher"
    return f"{'control' if is_control(model) else 'student'} {share_of(model):.0%}"


def run(args: argparse.Namespace) -> None:
    """Measure all models, compare their scores, and write both.

    Raises:
        ShanshuiError: scores and weights are of different models, or were not measured alike.
    """
    from shanshui.backend.device import find_device
    from shanshui.evaluation import selection
    from shanshui.report.sheet import evenly_spaced
    from shanshui.storage import checkpoint
    from shanshui.storage.size import Size

    settings = read_checked(CompressReportSettings, args.settings)
    scores = [selection.parse_score(read_json(path), str(path)) for path in args.scores]
    if [score.model for score in scores] != [path.stem for path in args.weights]:
        raise UsageError("weights and scores of different models", "the same ones in the same order")
    selection.check_comparable(scores)
    files = evenly_spaced(label_files(args.labels), FILES)
    found = {path: measure(path, files, settings.seed) for path in reversed(args.weights)}  # the teacher last
    measured = [found[path][0] for path in args.weights]
    for one in measured:
        add_training_time(one, args.times)
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    device = "GPU" if find_device().kind == "cuda" else "CPU"
    data = checkpoint.read_meta(args.weights[0])["data"]
    size = str(Size(data["height"], data["width"]))
    report = student_report(measured, scores, {"device": device, "threads": threads, "calls": CALLS, "size": size})
    write_json(args.out, report)
    write_strip(args.strip, files, {path.stem: found[path][1] for path in args.weights}, args.weights[0])
    print("\n".join(report["text"]), file=sys.stderr)


STAGE = Stage(
    after="compress",
    settings=lambda c: {"seed": c.score.seed},
    section="compress",
    outputs=lambda run_paths: [name.removeprefix("results/{run}/") for name in run_paths.compared_students()],
    device=True,
    report_as="other",
)
