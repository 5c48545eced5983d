"""The starter model: weights that come with the package, used where none are given."""

from __future__ import annotations

from pathlib import Path

from shanshui.errors import UsageError

FOLDER = Path(__file__).resolve().parent.parent / "starter"
LARGEST = 12 * 2**20  # bytes of the file


def starter_weights() -> Path | None:
    """Return the starter model's weights file; None if this installation has none."""
    return next(iter(sorted(FOLDER.glob("*.safetensors"))), None)


def given_or_starter(weights: str | Path | None, argument: str = "--weights") -> Path:
    """Return `weights` or, where they are None, those of the starter model.

    Args:
        weights: a file, or None.
        argument: how the caller's users name it.

    Raises:
        UsageError: there are neither; the message names weights of a demo, if there are any.
    """
    if weights is not None:
        return Path(weights)
    if starter := starter_weights():
        return starter
    trained = [
        path for folder in ("merge", "finetune") for path in sorted(Path("results/demo", folder).glob("*.safetensors"))
    ]
    do = f"those of the demo: {trained[0]}" if trained else "`make demo` trains some in minutes"
    raise UsageError(
        f"no {argument}, and no starter model in this installation",
        "weights of a generator: a checkpoint, an average or imported ones",
        do,
    )
