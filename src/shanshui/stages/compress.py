"""Train a small generator, a student, of a larger one, its teacher; or its control, without the teacher.

    python -m shanshui compress --settings S.json --teacher W.safetensors --share 0.25 --photos photos.npy
        --label-maps label_maps.npy --discriminator pretrain/512x384.state.safetensors --resume FOLDER --weights OUT

The student's file is used like any weights. A killed call resumes from its last complete epoch.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.config.compress_section import Compress
from shanshui.config.settings import student_settings
from shanshui.config.stages import Stage
from shanshui.config.training_settings import TrainingConfig
from shanshui.config.typed_settings import checked, read_settings
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.outputs import add_file

if TYPE_CHECKING:
    from shanshui.architectures.generator_networks import BuiltGenerator
    from shanshui.architectures.narrowing import Student
    from shanshui.compression.distilling import DistillConfig
    from shanshui.compression.photographs import Photographs
    from shanshui.data.loader import TrainingPairs
    from shanshui.storage.size import Size

MEASURED_ON = 64  # label maps on which costs and, where the method does so, channels are measured
NAMED = {"shares", "control", "submit"}  # options that the names of files say
STREAM = 12  # of the random numbers of initial weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    add = parser.add_argument
    add("--settings", required=True, type=Path, metavar="JSON", help="settings of this stage")
    add("--teacher", required=True, type=Path, metavar="FILE", help="weights of the large generator")
    add("--share", required=True, type=float, help="of the teacher's multiply-accumulates, 0 to 1")
    add("--alone", action="store_true", help="train the control: the same networks, without the teacher")
    add("--photos", required=True, type=Path, metavar="NPY", help="photos.npy of `prepare`")
    add("--label-maps", required=True, type=Path, metavar="NPY", help="label_maps.npy of `prepare`")
    add("--instances", type=Path, metavar="NPY", help="instances.npy of `prepare`, where edges are made of them")
    add("--digests", type=Path, metavar="JSON", help="digests.json of `prepare`; without, the memory maps are read")
    add("--discriminator", type=Path, metavar="FILE", help="training state whose discriminator is trained further")
    add("--perceptual", type=Path, metavar="FILE", help="weights of the perceptual network of `compress`")
    add("--photo-perceptual", type=Path, metavar="FILE", help="weights of that of `finetune`, for photographs")
    add("--resume", required=True, type=Path, metavar="FOLDER", help="states; survives a failed job")
    add_file(parser, "--weights", required=True, mark="teacher", metavar="FILE", help="the student (*.safetensors)")


def read_compress_settings(path: Path) -> tuple[TrainingConfig, Compress]:
    """Read the settings file: those of fine-tuning, and the section `compress`.

    Raises:
        ShanshuiError: it cannot be read, or an entry is unknown, missing or wrong.
    """
    settings = read_settings(path)
    own = settings.pop("compress", None)
    if not isinstance(own, dict):
        raise UsageError(f"{path}: compress is missing", "settings as Snakemake writes them for this stage")
    if missing := sorted(Compress.model_fields.keys() - NAMED - own.keys()):
        raise UsageError(
            f"{path}: compress.{missing[0]} is missing", "settings as Snakemake writes them for this stage"
        )
    return TrainingConfig.of(settings, "finetune", str(path)), checked(Compress, own, path)


def measured(pairs: TrainingPairs, size: Size) -> np.ndarray:
    """Return training label maps uint8 (N, H, W), evenly spaced, their upper left parts of `size`."""
    places = np.unique(np.linspace(0, len(pairs) - 1, min(MEASURED_ON, len(pairs))).astype(int))
    return np.stack([pairs.label_maps[place, : size.height, : size.width] for place in places])


def distill_config(config: TrainingConfig, options: Compress, alone: bool) -> DistillConfig:
    """Return the options of training."""
    from shanshui.compression.distilling import DistillConfig

    perceptual = options.perceptual.weight if options.perceptual.net != "none" else 0.0
    return DistillConfig(
        options.epochs, options.batch, options.lr, config.seed, options.alignment.weight, options.alignment.by,
        options.similarity, options.reconstruction, perceptual, alone,
    )  # fmt: skip


def by_photographs(config: TrainingConfig, args: argparse.Namespace) -> Photographs:
    """Build the discriminator with the weights of a training state, and the losses of fine-tuning.

    Raises:
        ShanshuiError: no state was given, or it does not fit.
    """
    from shanshui.architectures.networks import adopt, init_discriminator
    from shanshui.compression.photographs import Photographs
    from shanshui.storage import checkpoint
    from shanshui.training.perceptual import perceptual_loss

    if args.discriminator is None:
        raise UsageError(
            "photographs true without --discriminator", "a training state of pretraining",
            "give one, or photographs false in the settings",
        )  # fmt: skip
    discriminator = init_discriminator(config.networks.discriminator)
    adopt(discriminator.D, checkpoint.load(args.discriminator).part("D"), str(args.discriminator))
    parity, net = config.parity, config.options.perceptual.net
    perceptual = perceptual_loss(net, args.photo_perceptual, parity.perceptual_input, parity.inception_norm)
    return Photographs(discriminator, config.options, perceptual)


def built(student: Student, teacher: BuiltGenerator, seg_noise: bool, gain: float, alone: bool) -> BuiltGenerator:
    """Build the student's networks with the weights that its method gives it; a control's are fresh."""
    from shanshui.architectures.networks import init_generator
    from shanshui.backend.modules import restore

    found = init_generator(student.declared, seg_noise, gain=gain)
    if student.arrays is not None and not alone:
        for letter, network in found.networks().items():
            if network is not found.style_encoder:  # the teacher's
                start = f"{letter}."
                arrays = {n.removeprefix(start): a for n, a in student.arrays.items() if n.startswith(start)}
                restore(network, arrays, f"the student's initial weights ({letter})")
    return found


def run(args: argparse.Namespace) -> None:
    """Make the student and train it, and write its weights.

    Raises:
        ShanshuiError: the teacher cannot have such a student, inputs do not fit the settings, or training diverged.
    """
    from shanshui.architectures.network_cost import generator_costs, patch_shares
    from shanshui.architectures.networks import restore_generator
    from shanshui.backend.arithmetic import use
    from shanshui.backend.runtime import seed_everything
    from shanshui.compression.distilling import Distillation, teach
    from shanshui.compression.examples import of_pairs
    from shanshui.compression.methods import METHODS, Teacher
    from shanshui.compression.student_file import check_teacher, student_meta
    from shanshui.data.loader import TrainingPairs
    from shanshui.data.prepared import prepared_digests
    from shanshui.storage import checkpoint
    from shanshui.synthesis.generator_file import read_generator
    from shanshui.training.perceptual import perceptual_loss

    config, options = read_compress_settings(args.settings)
    use(config.options.arithmetic)
    found = read_generator(args.teacher)
    check_teacher(args.teacher, found, options.alignment.weight)
    size, data = config.data.size, found.meta["data"]
    if (data["classes"], data["width"], data["height"]) != (config.data.classes, size.width, size.height):
        raise ShanshuiError(
            f"{args.teacher} was trained for other classes or another size than {args.settings} names",
            "a teacher of this run",
        )
    whole = restore_generator(found.arrays, found.meta, str(args.teacher))
    files = [args.photos, args.label_maps, *([args.instances] if args.instances else [])]
    pairs = TrainingPairs(*(np.load(file, mmap_mode="r") for file in files))
    label_maps = measured(pairs, size)
    used = patch_shares(whole, label_maps)
    counted = used if options.count == "patches" else {}
    first_seed = int(np.random.SeedSequence([config.seed, 0, STREAM]).generate_state(1)[0])
    seed_everything(first_seed)
    student = METHODS[options.method].student(Teacher(whole, size, label_maps, config.seed, counted), args.share)
    cost = generator_costs(whole, size)["G"]
    print(
        f"{'control' if args.alone else 'student'}: {student.cost.parameters:,} of {cost.parameters:,} parameters; "
        f"{student.cost.macs / 1e9:.2f} of {cost.macs / 1e9:.2f} GMAC, on distinct patches "
        f"{student.cost.on_patches(used) / 1e9:.2f} of {cost.on_patches(used) / 1e9:.2f}",
        flush=True,
    )
    seed_everything(first_seed)  # student and control begin alike
    network = built(student, whole, found.meta["seg_noise"], options.init_gain, args.alone)
    photographs = by_photographs(config, args) if options.photographs else None
    perceptual = perceptual_loss(options.perceptual.net, args.perceptual, "imagenet", "running")
    training = Distillation(whole, network, distill_config(config, options, args.alone), perceptual, photographs)
    described = {
        "method": options.method, "share": args.share, "count": options.count, "alone": args.alone,
        "macs_on_patches": student.cost.on_patches(used), "macs_of_teacher": cost.macs,
        "macs_on_patches_of_teacher": cost.on_patches(used),
    }  # fmt: skip
    meta = student_meta(args.teacher, found, student, {**options.model_dump(), "seed": config.seed}, described)
    meta |= config.options.arithmetic.record()
    of_data = prepared_digests([files[1], files[0], *files[2:]], args.digests)
    origin = checkpoint.identity(args.discriminator) if photographs else ""
    source = of_pairs(whole, pairs, config, options.batch, [*of_data, origin])
    teach(training, source, {**meta, "settings": dict(config.source)}, args.resume)
    checkpoint.save(args.weights, training.weights(), **meta)


STAGE = Stage(
    after="select",
    settings=student_settings,
    section="compress",
    device=True,
    removable=(".state/small_*/*/[!.]*.safetensors", ".state/alone_*/*/[!.]*.safetensors"),
    report_as="training",
)
