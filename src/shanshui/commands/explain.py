"""Show what a stage's results depend on: modules with their digests, settings, and what changed since the run.

python -m shanshui explain finetune [--configfile my.yaml]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.config.settings import load_config, stage_settings
from shanshui.config.stages import with_settings
from shanshui.pipeline import code_changes
from shanshui.pipeline.code_dependencies import LEFT_OUT, PACKAGE, code_digest, sources

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a stage, and configuration files as for Snakemake."""
    parser.add_argument("of", choices=with_settings(), metavar="STAGE", help=f"one of {', '.join(with_settings())}")
    parser.add_argument(
        "--configfile", nargs="+", default=[], type=Path, metavar="YAML", help="overrides config.yaml, as in Snakemake"
    )


def flat(settings: object, name: str = "") -> Iterator[str]:
    """Yield nested settings as `name.of.setting: value`, one line each."""
    if isinstance(settings, dict) and settings:
        for key in sorted(settings):
            yield from flat(settings[key], f"{name}.{key}" if name else str(key))
    elif name:
        yield f"{name}: {settings}"


def since(run_folder: Path, stage: str, settings: Mapping[str, object]) -> Iterator[str]:
    """Describe the changes since the stage last ran, one line each."""
    change = code_changes.code_change(run_folder, stage)
    if change is None:
        yield f"{run_folder}: {stage} has not run yet"
        return
    numbers = code_changes.setting_differences(code_changes.recorded_settings(run_folder, stage), settings)
    yield f"since {run_folder}/settings/{stage}.json was written:"
    if change.modules is None:
        yield f"  code {change.before or '(not recorded)'}, of which no list of modules was kept"
    yield from (f"  {line}" for line in [*(change.modules or []), *numbers])
    if change.now != change.before and not change.pending:
        yield "  the changes to the code were accepted and count as none"
    again = change.pending or bool(numbers)
    yield f"{stage} would run again" if again else f"{stage} would not run again on this account"


def run(args: argparse.Namespace) -> None:
    """Print the modules, settings and changes that decide whether a stage runs again."""
    defaults = Path("config.yaml")
    config = load_config([*([defaults] if defaults.exists() else []), *args.configfile])
    modules = sources().stage(args.of)
    settings = stage_settings(config, args.of)
    print(f"{args.of}: code {code_digest(modules)}, {len(modules)} modules")
    print(*(f"  {digest}  {name}" for name, digest in modules.items()), sep="\n")
    left_out = ", ".join(name.removeprefix(f"{PACKAGE}.") for name in LEFT_OUT if name != PACKAGE)
    print(f"not counted, since they change no result: {left_out}")
    print("settings:", *(f"  {line}" for line in list(flat(settings)) or ["none"]), sep="\n")
    print(*since(Path("results") / config.run, args.of, settings), sep="\n")
