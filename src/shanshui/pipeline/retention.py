"""Decide which weights, states and images are kept after a run, and list the removed ones.

With `retention: best` these stay: of fine-tuning the checkpoints that were tried in averages (the best `select.top` and
`select.soup`), the last one with its moving average, and the chosen model with its members; of pretraining the state
that fine-tuning starts from; of the noise seeds the chosen one's images. Students, scores and features stay. The chosen
model, the teacher of students, is removed neither before they are made nor after.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.config.section import Positive, Section
from shanshui.config.stages import stages
from shanshui.errors import ShanshuiError
from shanshui.storage.files import read_json, sha256, write_json

if TYPE_CHECKING:
    from shanshui.evaluation.selection import Ranking


KEPT = "kept.json"
STATES = ".state"
REMOVED = f"{STATES}/removed.json"  # unknown to Snakemake, which deletes `kept.json` before it is written again


@dataclass(frozen=True)
class Removal:
    """Names in the run's folder: files that are kept, files and folders to remove."""

    kept: list[str]
    gone: list[str]


class TidySettings(Section):
    """Settings file of the stage `tidy`.

    Attributes:
        tried: number of best checkpoints that are averaged.
        last: last scored epoch.
        full: name of the last resolution of pretraining, the images' own.
    """

    tried: Positive
    last: Positive
    full: str


def kept_names(
    settings: TidySettings, checkpoints: Ranking, model: str, seed: int, submitted: str | None = None
) -> set[str]:
    """Return the names of files and folders to keep.

    Args:
        settings: of the stage `tidy`.
        checkpoints: ranking of the checkpoints.
        model: name of the chosen model.
        seed: chosen noise seed.
        submitted: model whose images are submitted, the chosen one's student; None: the chosen one.
    """
    tuned = {entry["model"] for entry in checkpoints["ranking"][: settings.tried]}
    tuned |= {f"{kind}_{settings.last:03d}" for kind in ("epoch", "ema")}
    tuned |= {f"epoch_{epoch}" for epoch in model.split("+")} if "+" in model else {model}
    full = f"pretrain/{settings.full}"
    names = {f"finetune/{name}.safetensors" for name in tuned} | {f"merge/{model}.safetensors"}
    return names | {f"{full}.safetensors", f"{full}.state.safetensors", f"infer/{submitted or model}/seed_{seed}"}


def removable() -> list[str]:
    """Return the patterns of removable files and folders that stages declare."""
    return [place for stage in stages().values() for place in stage.removable]


def plan_removal(folder: Path, names: set[str]) -> Removal:
    """Divide the removable files and folders that exist into those to keep (`names`) and to remove."""
    found = sorted(path.relative_to(folder).as_posix() for place in removable() for path in folder.glob(place))
    files = [name for name in found if name in names and (folder / name).is_file()]
    return Removal(files, [name for name in found if name not in names])


def read_removed(folder: Path) -> dict[str, int]:
    """Read the bytes of files and folders that were removed and do not exist again, by name."""
    file = folder / REMOVED
    listed: dict[str, int] = read_json(file) if file.exists() else {}
    return {name: size for name, size in listed.items() if not (folder / name).exists()}


def remove(folder: Path, names: Sequence[str]) -> dict[str, int]:
    """Remove files and folders after listing them; return the bytes of all that are listed, by name."""
    listed = read_removed(folder) | {name: _size(folder / name) for name in names}
    write_json(folder / REMOVED, listed)
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return listed


def write_kept(path: Path, folder: Path, kept: Iterable[str], removed: Mapping[str, int]) -> None:
    """Write the list of kept and removed files, for users and for `verify`."""
    write_json(path, {"kept": {name: sha256(folder / name) for name in kept}, "removed": removed})


def _size(path: Path) -> int:
    files = (Path(place) / name for place, _, names in os.walk(path) for name in names) if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def losses(folder: Path) -> Iterator[str]:
    """Yield a problem for every file in the list of kept ones that is missing or has changed."""
    file = folder / KEPT
    for name, checksum in (read_json(file)["kept"] if file.exists() else {}).items():
        path = folder / name
        if not path.exists():
            yield f"{name} is lost: {KEPT} has it among what was kept"
        elif sha256(path) != checksum:
            yield f"{name} has another sha256 than {KEPT} says"


def check_plan(folder: Path, jobs: Iterable[tuple[str, str]], tried: int) -> None:
    """Check that planned jobs do not train removed checkpoints again from the first epoch.

    A plan that includes pretraining is not refused; nor, by the caller, is fine-tuning with other settings.

    Args:
        folder: of the run.
        jobs: rule and epoch of every planned job; averages are not planned until choices are made.
        tried: number of best checkpoints that are averaged.

    Raises:
        ShanshuiError: a removed checkpoint is needed.
    """
    jobs, removed = list(jobs), read_removed(folder)
    needed = {epoch for rule, epoch in jobs if rule == "finetune"} | set(_best(folder, tried))
    again = sorted(epoch for epoch in needed if f"finetune/epoch_{epoch}.safetensors" in removed)
    if again and not any(rule == "pretrain" for rule, _ in jobs):
        raise ShanshuiError(
            f"this change needs checkpoints that `retention: best` removed: {', '.join(again)}; "
            "fine-tuning would be trained again from its first epoch",
            "changes that need no others than those listed as kept in kept.json",
            f"take the change back; or, to train again, remove {folder / REMOVED}",
        )


def _best(folder: Path, tried: int) -> list[str]:
    """Return the epochs of the best checkpoints in the last ranking."""
    file = folder / "select" / "checkpoints.json"
    ranking = read_json(file)["ranking"][:tried] if file.exists() else []
    return [entry["model"].removeprefix("epoch_") for entry in ranking]
