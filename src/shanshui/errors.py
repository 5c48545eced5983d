"""The exception whose message is meant for users, and the exit codes of the program."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class ShanshuiError(Exception):
    """An error that the user can correct: what was found, what was expected, what to do.

    The command line prints the message without a traceback and exits with `exit_code`.

    Args:
        found: what is wrong, with the file or option.
        expected: what would be right.
        do: a command or an action that corrects it.
    """

    exit_code = EXIT_FAILED

    def __init__(self, found: str, expected: str = "", do: str = "") -> None:
        self.found, self.expected, self.do = found, expected, do
        lines = [found]
        if expected:
            lines.append(f"  expected: {expected}")
        if do:
            lines.append(f"  to do:    {do}")
        super().__init__("\n".join(lines))


class UsageError(ShanshuiError):
    """Wrong arguments or a wrong configuration."""

    exit_code = EXIT_USAGE
