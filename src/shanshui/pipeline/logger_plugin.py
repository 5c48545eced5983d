"""Give the logger plugin `snakemake_logger_plugin_shanshui` its screen.

The screen's modules are imported only where the plugin shows messages: dry runs and the processes of single jobs do
without.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.config.schema import Config
from shanshui.pipeline.snakemake_lock import call_again

if TYPE_CHECKING:
    from snakemake.workflow import Workflow


def attach(workflow: Workflow, config: Config, parallel: int) -> None:
    """Attach a screen to the plugin, and append the output of local jobs to Snakemake's log file, if the plugin is on.

    Args:
        workflow: Snakemake's workflow.
        config: of its run.
        parallel: jobs that use the networks at a time.
    """
    handlers = getattr(workflow.logger_manager, "plugin_handlers", [])
    handler = next((one for one in handlers if getattr(one, "active", False) and hasattr(one, "screen")), None)
    if handler is None or not workflow.is_main_process:
        return
    from snakemake.shell import shell

    from shanshui.pipeline.screen import Screen, Surroundings

    run = Path("results") / config.run
    log = next((str(file) for file in workflow.logger_manager.get_logfile()), "")

    def refresh() -> Path:
        from shanshui.pipeline.first_look import write_page

        return write_page(run)

    around = Surroundings(
        run, config, _relative(log), call_again(sys.argv), lambda: bool(workflow.touch), refresh, parallel
    )
    handler.screen = Screen(around, sys.stderr, sys.stderr.isatty())
    target = shlex.quote(log or "/dev/null").replace("{", "{{").replace("}", "}}")
    shell.prefix(f"set -euo pipefail; exec >> {target}; ")


def _relative(file: str) -> str:
    """Write a path below the working folder relative to it."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if file and path.is_relative_to(here) else file
