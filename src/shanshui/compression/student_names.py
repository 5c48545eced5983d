"""Names of students: `small_025_of_271+299` for a quarter of the model 271+299, `alone_...` for its control."""

from __future__ import annotations

import re

from shanshui.config.compress_section import PERCENT, Compress

STUDENT = r"(?:small|alone)_\d{3}"  # before `_of_` and the teacher's name
OF = "_of_"


def student_name(share: float, teacher: str, alone: bool = False) -> str:
    """Return the name of a teacher's student, or of its control, which is trained alone."""
    return f"{'alone' if alone else 'small'}_{round(PERCENT * share):03d}{OF}{teacher}"


def is_student(model: str) -> bool:
    """Return whether a model is a student or a control."""
    return re.match(f"{STUDENT}{OF}", model) is not None


def teacher_of(model: str) -> str:
    """Return the teacher's name; of other models their own."""
    return re.sub(f"^{STUDENT}{OF}", "", model)


def share_of(model: str) -> float:
    """Return the share in the name of a student or control; 0 of other models."""
    found = re.match(rf"(?:small|alone)_(\d{{3}}){OF}", model)
    return int(found[1]) / PERCENT if found else 0.0


def is_control(model: str) -> bool:
    """Return whether a model is a control."""
    return is_student(model) and model.startswith("alone")


def students(compress: Compress, teacher: str) -> list[str]:
    """List all students of a teacher, each followed by its control, the largest first."""
    kinds = (False, True) if compress.control else (False,)
    shares = sorted(compress.shares, reverse=True)
    return [student_name(share, teacher, alone) for share in shares for alone in kinds]


def submitted(compress: Compress, chosen: str) -> str:
    """Return the model whose images are submitted: the chosen one, or its student."""
    return chosen if compress.submit is None else student_name(compress.submit, chosen)
