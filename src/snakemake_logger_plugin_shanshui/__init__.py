"""Snakemake logger plugin of shanshui: hands Snakemake's messages to the screen that the workflow attaches.

`logger: [shanshui]` in `profiles/default/config.yaml` selects it. Snakemake finds it by the name of this package, in an
installation as in a checkout whose `src` is on the path. It imports nothing of shanshui: Snakemake loads it before the
workflow says from which folder shanshui is imported. Until a screen is attached, and with other workflows, messages
appear in Snakemake's own form.
"""

import logging
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

UNNEEDED = "Config file "  # is extended by what stands on the command line
# no `from __future__ import annotations` here: Snakemake reads the types of the options below


class Screen(Protocol):
    """What shows messages in place of Snakemake; see `shanshui.pipeline.screen`."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Show a message or leave it to the log file; return False where Snakemake's own form is wanted."""

    def close(self, interrupted: bool) -> None:
        """Show the last lines."""


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the plugin on Snakemake's command line."""

    everything: bool = field(
        default=False,
        metadata={"help": "Print all of Snakemake's messages, all commands and all output of the jobs."},
    )


class LogHandler(LogHandlerBase):
    """The handler that Snakemake calls with every message, in a thread of its own.

    It stays out of the way, and Snakemake prints everything itself, with `--logger-shanshui-everything`, and with the
    options that ask for a form of their own: `--verbose`, `--quiet`, `--debug-dag` and `--dry-run`.
    """

    def __post_init__(self) -> None:
        """Read the options; until a screen is attached, messages are shown as Snakemake would."""
        common = self.common_settings
        everything = isinstance(self.settings, LogHandlerSettings) and self.settings.everything
        self.active = not (everything or common.verbose or common.quiet or common.debug_dag or common.dryrun)
        self.screen: Screen | None = None
        self.spoken = False  # of Ctrl-C, by the screen
        self.plain: logging.Handler | None = None
        if self.active:
            sys.excepthook = self._on_error

    @property
    def writes_to_stream(self) -> bool:
        """Whether Snakemake's own messages on stderr are replaced."""
        return self.active

    @property
    def writes_to_file(self) -> bool:
        """Return False: the log file is Snakemake's."""
        return False

    @property
    def has_filter(self) -> bool:
        """Return True: the screen chooses what it shows."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Return True: the screen has its own form."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Return False."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message, or leave it to the log file."""
        if not self.active or (record.levelno <= logging.INFO and str(record.msg).startswith(UNNEEDED)):
            return
        try:
            if self.screen is None or not self.screen.handle(record):
                self._plain().handle(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Show the last lines, once; Snakemake calls this at its end, after an error or Ctrl-C too."""
        screen, self.screen = self.screen, None
        if screen is not None:
            self.active, self.spoken = False, True
            screen.close(isinstance(sys.exc_info()[1], KeyboardInterrupt))
        super().close()

    def _on_error(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Print no traceback on Ctrl-C, and everything on other errors."""
        if not issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        elif not self.spoken:
            print("\nInterrupted before anything was done. The same command starts again.", file=sys.stderr)

    def _plain(self) -> logging.Handler:
        """Return Snakemake's own handler, as it would be without this plugin."""
        if self.plain is None:
            from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

            common = self.common_settings
            self.plain = ColorizingTextHandler(
                common.nocolor,
                stream=sys.stderr,
                formatter=DefaultFormatter(common.quiet, common.show_failed_logs),
                filter=DefaultFilter(
                    common.quiet, common.debug_dag, common.verbose, common.dryrun, common.printshellcmds
                ),
            )
        return self.plain
