"""Errors whose messages are meant for users, those of the operating system in the same form, and the exit codes."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

FULL = (errno.ENOSPC, errno.EDQUOT)
ELSEWHERE = "name a place that this user may write to, or have its owner allow it"
SENTENCES = {  # what is said of the file, what is expected, what to do
    errno.EACCES: ("this user may not read or write it", "permission for this user", ELSEWHERE),
    errno.EPERM: ("the system does not permit it", "permission for this user", ELSEWHERE),
    errno.EROFS: ("its file system is read-only", "one that can be written to", "name a place on another disk"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "255 bytes or less in each part of a path",
                         "use a shorter name"),
    errno.EISDIR: ("it is a folder", "a file", "name a file, or a file within that folder"),
    errno.ENOTDIR: ("a part of this path is a file", "a folder", "name another place, or move that file away"),
    errno.ELOOP: ("its symbolic links lead round in a circle", "a link that ends at a file or folder",
                  "put the link right, or name the place itself"),
    errno.ENOENT: ("it does not exist", "a file or folder that is there", "look at the path, letter by letter"),
    errno.EEXIST: ("it is there already", "a name that is free", "name another place, or move it away"),
    errno.EBUSY: ("it is in use, or something is mounted there", "a folder within it", "name a folder within it"),
    errno.EIO: ("the disk does not answer as it should", "a disk without errors", "look at the disk; name another"),
    errno.ESTALE: ("the network disk has lost it", "a network disk that is there", "mount it again, then repeat"),
    errno.EMFILE: ("too many files are open", "more files at a time", "raise the limit: ulimit -n 4096"),
    errno.ENFILE: ("too many files are open", "more files at a time", "end other programs"),
    errno.EFBIG: ("the file grows too large for this file system or this user", "larger files",
                  "name another disk, or raise the limit: ulimit -f unlimited"),
    errno.ENOMEM: ("there is not enough memory", "free memory", "close other programs, or lower batch"),
    errno.ETXTBSY: ("it is a program that is running", "another file", "name another place"),
}  # fmt: skip


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


def is_full(error: BaseException) -> bool:
    """Test whether a write failed for lack of space; libraries outside Python report that as text only."""
    return (isinstance(error, OSError) and error.errno in FULL) or os.strerror(errno.ENOSPC) in str(error)


def full_disk(path: Path) -> ShanshuiError:
    """Return the error for a full disk."""
    return ShanshuiError(
        f"the disk is full: {path} could not be written",
        "free space; `python -m shanshui doctor --config config.yaml` says how much a run takes",
        "free some and start again: what was finished stays, and training resumes from its last saved state",
    )


def readable_error(error: OSError) -> ShanshuiError | None:
    """Turn an error of the operating system into a message for users; None if it is not one they can put right."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    if is_full(error):
        return full_disk(Path(names[0] if names else "."))
    if error.errno not in SENTENCES:
        return None
    what, expected, do = SENTENCES[error.errno]
    shown = [name if len(name) <= 120 else f"{name[:60]} ... {name[-40:]}" for name in names]
    return ShanshuiError(f"{' and '.join(shown) or os.strerror(error.errno)}: {what}", expected, do)


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with the message alone, without traceback, on an error that users can put right."""
    try:
        yield
    except ShanshuiError as error:
        sys.exit(str(error))
    except OSError as error:
        words = readable_error(error)
        if words is None:
            raise
        sys.exit(str(words))
