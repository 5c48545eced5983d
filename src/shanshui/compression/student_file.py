"""Students in files: what can be a teacher, and what the metadata of a student's weights say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shanshui.architectures.narrowing import Student
from shanshui.architectures.registry import generator_of
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint
from shanshui.storage.checkpoint import Checkpoint, Meta
from shanshui.storage.files import sha256


def check_teacher(path: Path, found: Checkpoint, alignment: float) -> None:
    """Check that a student can learn from these weights.

    Args:
        path: how messages call them.
        found: the weights.
        alignment: weight of kernel alignment.

    Raises:
        ShanshuiError: it cannot.
    """
    declared = generator_of(found.meta, str(path))
    if found.meta["level"] is not None or found.meta.get("heads"):
        raise ShanshuiError(
            f"{path} is of pretraining, and generates images smaller than its label maps, too",
            "weights of the full size alone", "take a checkpoint of fine-tuning",
        )  # fmt: skip
    if not (found.meta["data"]["width"] and found.meta["data"]["height"]):
        raise ShanshuiError(
            f"{path} names no size of its images", "weights that were trained here, or imported with one"
        )
    if alignment and not declared.aligned:
        raise UsageError(
            f"alignment with the generator {declared.name}, which declares no layers for it", "a weight of 0"
        )


def student_meta(
    teacher: Path, found: Checkpoint, student: Student, training: Mapping[str, object],
    compression: Mapping[str, object],
) -> Meta:  # fmt: skip
    """Return the metadata of a student's weights: the teacher's where they describe data, else its own.

    Args:
        teacher: file of its teacher.
        found: content of this file.
        student: its declaration and cost.
        training: options of its training, `epochs` and `seed` among them.
        compression: what else is to be said of it.
    """
    named = ("data", "parity", "preset", "seg_noise", "level", "alpha")
    return {
        **{name: found.meta[name] for name in named if name in found.meta},
        "kind": "generator",
        "model": {k: v for k, v in found.meta["model"].items() if k != "plan"} | student.declared.model_entry(),
        **student.declared.extra_header(),
        "phase": "distill",
        "epoch": training["epochs"],
        "seed": training["seed"],
        "training": dict(training),
        "teacher": {"file": teacher.name, "identity": checkpoint.identity(teacher), "sha256": sha256(teacher)},
        "compression": {
            **compression, "macs": student.cost.macs, "parameters": student.cost.parameters,
            "part_of_teacher": student.share,
        },
    }  # fmt: skip
