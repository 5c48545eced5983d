"""Declarations of the stages, and their data-flow order.

Each module of the package `stages`, and each plug-in of the group `shanshui.stages`, has a record `STAGE`. Settings
files, the output of `status`, kinds of work in the report, what `retention: best` may remove, the rules that need a
device and the table of stages in the documentation are read from these records. The rules stay in `rules/*.smk`; those
of a plug-in are in its own file, which the Snakefile includes.

The modules are imported when a record is first requested, not with this module: they import the configuration.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shanshui.errors import ShanshuiError
from shanshui.plugins.discovery import load_plugins, plugins

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shanshui.config.schema import Config

PACKAGE, GROUP = "shanshui.stages", "shanshui.stages"
Kind = Literal["training", "generating", "scoring", "other"]


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline.

    Args:
        after: the stage or rule that is listed before it; "" for the first.
        settings: the numbers its results depend on, cut out of the configuration; None where there are none.
        section: the section of the configuration that concerns it most.
        options: class of that section, a `config.sections.Section` whose options all have defaults, where it comes with
            a plug-in; the sections of this package stand in `config.schema.Config`.
        outputs: from the run's paths (`pipeline.run_paths.RunPaths`) to the files, below the run's folder, that make it
            complete; none where the configuration leaves it out or their names are known only later.
        rules: other rules, besides the one with its name, that run it, each with the rule it is listed after.
        device: whether it computes on a GPU where there is one.
        removable: patterns below the run's folder of what `retention: best` may remove once the run is done.
        report_as: kind of work in the report's plot of time; None where it is not timed.
        snakefile: file with its rules, where it comes with a plug-in; the workflow includes it and makes its outputs.
    """

    after: str
    settings: Callable[[Config], dict[str, Any]] | None = None
    section: str = ""
    options: type[BaseModel] | None = None
    outputs: Callable[[Any], Sequence[str]] = lambda run_paths: ()
    rules: Mapping[str, str] = field(default_factory=dict)
    device: bool = False
    removable: tuple[str, ...] = ()
    report_as: Kind | None = None
    snakefile: Path | None = None


def stage_modules() -> dict[str, str]:
    """Return the modules of all stages by name, including plug-ins.

    Raises:
        ShanshuiError: a plug-in has the name of a stage.
    """
    path = importlib.import_module(PACKAGE).__path__
    own = {found.name: f"{PACKAGE}.{found.name}" for found in pkgutil.iter_modules(path)}
    added = {entry.name: entry.module for entry in plugins(GROUP)}
    if twice := own.keys() & added.keys():
        raise ShanshuiError(f"two declarations of the stage {min(twice)}", "one name for each", "rename the plug-in")
    return own | added


def plugin_sections() -> dict[str, type[BaseModel]]:
    """Return the sections that plug-ins add to the configuration, by name."""
    load_plugins(GROUP)
    records = [getattr(importlib.import_module(entry.module), "STAGE", None) for entry in plugins(GROUP)]
    return {record.section: record.options for record in records if isinstance(record, Stage) and record.options}


@functools.cache
def stages() -> dict[str, Stage]:
    """Return all records by name, in data-flow order.

    Raises:
        ShanshuiError: a module has no record, or a record follows a stage that does not exist.
    """
    load_plugins(GROUP)
    found: dict[str, Stage] = {}
    for name, module in stage_modules().items():
        record = getattr(importlib.import_module(module), "STAGE", None)
        if not isinstance(record, Stage):
            raise ShanshuiError(f"the stage {name} ({module}) declares nothing", "STAGE = Stage(...) in its module")
        found[name] = record
    after = {name: record.after for name, record in found.items()}
    return {name: found[name] for name in _in_order(after | _rules_after(found)) if name in found}


def rules() -> dict[str, str]:
    """Return every rule and the stage it runs, in data-flow order."""
    after = {name: record.after for name, record in stages().items()} | _rules_after(stages())
    runs = {rule: name for name, record in stages().items() for rule in (name, *record.rules)}
    return {rule: runs[rule] for rule in _in_order(after)}


def with_own_rules() -> list[Stage]:
    """List the plug-ins' stages whose rules the workflow includes."""
    return [record for record in stages().values() if record.snakefile]


def purpose(name: str) -> str:
    """Return what a stage is for: the first line of its module's docstring, without the full stop."""
    words = (importlib.import_module(stage_modules()[name]).__doc__ or "").strip()
    return words.partition("\n")[0].removesuffix(".")


def with_settings() -> list[str]:
    """List the stages that have a settings file."""
    return [name for name, record in stages().items() if record.settings]


def on_device() -> frozenset[str]:
    """Return the rules whose jobs compute on a GPU, if there is one."""
    return frozenset(rule for rule, name in rules().items() if stages()[name].device)


def stage_table() -> str:
    """Return a Markdown table of all stages, in data-flow order."""
    lines = [
        "| stage | also run by | section | settings file | device | time counted as | removable |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, stage in stages().items():
        others, removable = (", ".join(f"`{text}`" for text in texts) for texts in (stage.rules, stage.removable))
        section = f"`{stage.section}`" if stage.section else ""
        cells = [
            f"`{name}`", others, section, "yes" if stage.settings else "no", "GPU or CPU" if stage.device else "CPU",
            stage.report_as or "", removable,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rules_after(records: Mapping[str, Stage]) -> dict[str, str]:
    return {rule: after for record in records.values() for rule, after in record.rules.items()}


def _in_order(after: Mapping[str, str]) -> list[str]:
    """Sort names so that each follows the one it comes after; of several after one, shorter branches come first."""

    def listed(start: str) -> list[str]:
        following = [[name, *listed(name)] for name, before in after.items() if before == start]
        return [name for names in sorted(following, key=lambda names: (len(names), names)) for name in names]

    found = listed("")
    if lost := sorted(after.keys() - set(found)):
        raise ShanshuiError(
            f"the stage or rule {lost[0]} stands after {after[lost[0]]!r}", "a stage or rule that is there"
        )
    return found
