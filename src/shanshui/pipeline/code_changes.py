"""Record the code a run was made with, and the later changes accepted as harmless.

`settings/<stage>.json` holds one digest of the code a stage depends on. `settings/code/` has, for every digest, the
list of modules it was computed from, so that a change can be named. `accepted.json` says which digests count as an
older one: with it, settings stay as they are, byte for byte, and neither Snakemake nor a kept training state sees a
change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shanshui.config.settings import CODE
from shanshui.pipeline.code_dependencies import PACKAGE_MARK, Sources, code_digest, sources
from shanshui.storage.files import read_json, write_json

ACCEPTED = "accepted.json"


def read_accepted(run_folder: Path) -> dict[str, dict[str, str]]:
    """Read the digests that count as another one, by stage; empty if no change was accepted."""
    file = run_folder / ACCEPTED
    return read_json(file) if file.exists() else {}


def counted_digest(stage: str, accepted: Mapping[str, Mapping[str, str]], code: Sources | None = None) -> str:
    """Return the code digest of `stage`, or the older one that it was accepted as equal to."""
    now = code_digest((code or sources()).stage(stage))
    return accepted.get(stage, {}).get(now, now)


def remember(run_folder: Path, stages: Iterable[str], code: Sources | None = None) -> None:
    """Write the list of modules of every stage's digest."""
    for stage in stages:
        modules = (code or sources()).stage(stage)
        file = _list_file(run_folder, code_digest(modules))
        if not file.exists():
            write_json(file, modules)


def _list_file(run_folder: Path, digest: str) -> Path:
    return run_folder / "settings" / "code" / f"{digest}.json"


def recorded_settings(run_folder: Path, stage: str) -> dict[str, object] | None:
    """Read the settings a stage last ran with; None if it never ran."""
    file = run_folder / "settings" / f"{stage}.json"
    return read_json(file) if file.exists() else None


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Describe the modules that changed, are new or gone, one line each; of packages with their versions."""
    words = {name: "changed" for name in before.keys() & now.keys() if before[name] != now[name]}
    words |= dict.fromkeys(now.keys() - before.keys(), "new")
    words |= dict.fromkeys(before.keys() - now.keys(), "gone")
    versions = {
        name: f", {before.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in words
        if name.startswith(PACKAGE_MARK)
    }
    return [f"{words[name]:<8} {name}{versions.get(name, '')}" for name in sorted(words)]


def setting_differences(before: object, now: object, name: str = "") -> list[str]:
    """Describe the settings that changed, with both values, one line each; `code` is left out."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted((before.keys() | now.keys()) - ({CODE} if not name else set()))
        inner = (
            setting_differences(before.get(key), now.get(key), f"{name}.{key}" if name else str(key)) for key in keys
        )
        return [line for lines in inner for line in lines]
    return [] if before == now else [f"{name}: {before!r} -> {now!r}"]


@dataclass(frozen=True)
class CodeChange:
    """The code of one stage compared with that of its last run.

    `modules` names the changes; None if the older list of modules was not kept.
    """

    stage: str
    before: str
    now: str
    counted: str
    modules: list[str] | None

    @property
    def pending(self) -> bool:
        """Whether Snakemake would run the stage again."""
        return self.counted != self.before


def code_change(run_folder: Path, stage: str, code: Sources | None = None) -> CodeChange | None:
    """Compare the code of `stage` with that of its last run; None if it never ran."""
    settings = recorded_settings(run_folder, stage)
    if settings is None:
        return None
    before = str(settings.get(CODE, ""))
    modules = (code or sources()).stage(stage)
    kept = _list_file(run_folder, before)
    named = differences(read_json(kept), modules) if kept.exists() else None
    counted = counted_digest(stage, read_accepted(run_folder), code)
    return CodeChange(stage, before, code_digest(modules), counted, named)


def accept(run_folder: Path, changes: Iterable[CodeChange]) -> None:
    """Record that the present code counts as that of the last run, for the stages in `changes`."""
    accepted = read_accepted(run_folder)
    for change in changes:
        accepted.setdefault(change.stage, {})[change.now] = change.before
    write_json(run_folder / ACCEPTED, accepted)
