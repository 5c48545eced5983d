"""A command on a pseudo-terminal: what it shows, Ctrl-C, and the state in which it leaves the terminal."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS, LINES = 120, 50
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A command whose stdin, stdout, stderr and controlling terminal are a pseudo-terminal."""

    def __init__(self, command: Sequence[str], folder: Path, **environment: str) -> None:
        self.shown = ""
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(self.master, (LINES, COLUMNS))
        self.slave = slave
        self.before: list[Any] = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # which makes it the controlling terminal
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )  # fmt: skip

    def read(self, seconds: float) -> None:
        """Read what is shown within some time."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                self.shown += os.read(self.master, 65536).decode("utf-8", errors="replace")
            except OSError as error:
                if error.errno != errno.EIO:
                    raise

    def wait_for(self, words: str, patience: float = 240.0) -> None:
        """Wait until some words are shown."""
        until = time.monotonic() + patience
        while words not in self.shown:
            assert self.process.poll() is None, self.shown[-3000:]
            assert time.monotonic() < until, self.shown[-3000:]
            self.read(0.1)

    def wait(self, patience: float = 300.0) -> int:
        """Wait for the end; return the exit code."""
        until = time.monotonic() + patience
        while self.process.poll() is None:
            if time.monotonic() > until:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise AssertionError(self.shown[-3000:])
            self.read(0.1)
        self.read(0.2)
        return self.process.returncode

    def press_ctrl_c(self) -> None:
        """Type Ctrl-C, which the terminal makes SIGINT to the whole foreground group."""
        os.write(self.master, b"\x03")

    def lines(self) -> list[str]:
        """Return the lines that stay on the screen: the last state of each that was rewritten."""
        shown = self.shown.replace("\r\x1b[K", "\r" + " " * 2 * COLUMNS + "\r")  # erases the line
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r\n", "\n")
        return [_last_state(line) for line in text.split("\n")]

    def is_sound(self) -> bool:
        """Whether the terminal is as it was before: settings, cursor visible."""
        hidden = self.shown.rfind(HIDE) > self.shown.rfind(SHOW)
        return termios.tcgetattr(self.slave) == self.before and not hidden

    def close(self) -> None:
        """End the command and the terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def _last_state(line: str) -> str:
    """Return a line after all its carriage returns: later characters replace earlier ones."""
    cells: list[str] = []
    for part in line.split("\r"):
        cells[: len(part)] = part
    return "".join(cells).rstrip()
