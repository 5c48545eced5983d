"""Atomic file writing and digests: every file of a run is written with `atomic`."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shanshui.errors import ShanshuiError, full_disk, is_full
from shanshui.storage.names import printable
from shanshui.storage.texts import decode_text

Row = Mapping[str, object]
NO_FSYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # a file system without it; some lack it for folders alone
IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST)  # why a folder cannot take a name
AGAIN = "name the file that is meant; if an earlier stage wrote this one, remove it and run that stage again"
SHOWN, LONGEST_SUFFIX = 30, 16  # characters of the target's name in a temporary one


def put_in_place(staged: Path, target: Path) -> None:
    """Rename `staged` to `target`, replacing an existing file atomically.

    An existing folder is renamed first and removed last; another process that creates a folder there meanwhile is
    waited out by trying again. If anything fails, the previous folder is restored.
    """
    aside: Path | None = None
    try:
        while True:
            try:
                os.replace(staged, target)
                break
            except OSError as error:
                if not staged.is_dir() or error.errno not in IN_THE_WAY or not target.is_dir():
                    raise
            if aside:
                shutil.rmtree(aside)
            moved = staged.with_name(f"{staged.name}.old")
            with contextlib.suppress(FileNotFoundError):
                os.replace(target, moved)
                aside = moved
    except BaseException:
        if aside and not target.exists():
            os.replace(aside, target)
        raise
    if aside:
        shutil.rmtree(aside)


def temporary_name(target: Path) -> Path:
    """Return a name next to `target`, with its suffix, that no other process on any machine uses.

    It is random, since process ids are equal in containers and nodes that share a folder, and short enough for every
    file system, however long the name of `target` is.
    """
    suffix = target.suffix if len(target.suffix) <= LONGEST_SUFFIX else ""
    return target.with_name(f".{target.stem[:SHOWN]}.{secrets.token_hex(6)}{suffix}")


def behind_links(path: Path) -> Path:
    """Resolve a symbolic link, so that its target is written and the link stays.

    Raises:
        OSError: the link is part of a circle, or its target's folder does not exist.
    """
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if not target.parent.is_dir():
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), f"{target.parent}, where the link {path} leads")
    return target


def open_up(path: Path) -> None:
    """Give a file or folder that only its owner may access the mode that new ones have.

    Some libraries create files with mode 0600. The usual mode is read off a new file: asking for the umask means
    setting it, for all threads of the process.
    """
    if path.stat().st_mode & 0o077:
        return
    probe = temporary_name(path)
    if path.is_dir():
        probe.mkdir()
    else:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        path.chmod(probe.stat().st_mode & 0o777)
    finally:
        if path.is_dir():
            probe.rmdir()
        else:
            probe.unlink()


def to_disk(path: Path) -> None:
    """Flush a file, or a folder with everything in it, to the disk (fsync)."""
    if path.is_symlink():
        return
    if path.is_dir():
        for inner in path.iterdir():
            to_disk(inner)
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if path.is_file() and error.errno not in NO_FSYNC:
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name next to `path`; rename it to `path` on success, remove it on any error.

    The temporary name keeps the suffix, for writers that choose the format by it. The content is flushed to the disk
    before it is renamed, so that a power cut leaves either the old content or the new. A symbolic link stays and its
    target is replaced. For folders see `shanshui.storage.folders`.

    Raises:
        ShanshuiError: the disk is full, or a text is not UTF-8.
        OSError: `path` is a folder or cannot be written.
    """
    target = behind_links(Path(path))
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    staged = temporary_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield staged
        open_up(staged)
        to_disk(staged)
        put_in_place(staged, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            staged.unlink()
        if is_full(error):
            raise full_disk(target) from error
        if isinstance(error, UnicodeEncodeError):
            raise ShanshuiError(f"{printable(error.object)[:200]} is not UTF-8", "names in UTF-8") from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, atomically."""
    with atomic(path) as staged:
        staged.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        ShanshuiError: the file is missing or is not valid JSON.
    """
    try:
        return json.loads(decode_text(Path(path).read_bytes(), str(path), "JSON"))
    except FileNotFoundError:
        raise ShanshuiError(f"{path} does not exist", "a JSON file written by an earlier stage") from None
    except (ValueError, RecursionError) as error:
        raise ShanshuiError(f"{path} is not valid JSON: {error}", "JSON written by an earlier stage", AGAIN) from None


def write_csv(path: str | Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Write `rows` under the header `columns`, in the order given."""
    with atomic(path) as staged, open(staged, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path, needed: Sequence[str] = ()) -> list[dict[str, str]]:
    """Read a CSV file with a header line; every value is a string.

    Raises:
        ShanshuiError: the file is missing, is not UTF-8, lacks a column of `needed`, or has a row of another length.
    """
    what = "a CSV file with a header line, as earlier stages write them"
    try:
        text = decode_text(Path(path).read_bytes(), str(path), what)
        reader = csv.DictReader(io.StringIO(text, newline=""), restkey="")
        rows = list(reader)
    except FileNotFoundError:
        raise ShanshuiError(f"{path} does not exist", "a CSV file written by an earlier stage") from None
    except csv.Error as error:
        raise ShanshuiError(f"{path} is no CSV file: {error}", what) from None
    columns = reader.fieldnames or []
    if absent := [name for name in needed if name not in columns]:
        shown = ", ".join(map(str, columns)) or "nothing"
        raise ShanshuiError(f"{path} has the columns {shown[:200]}", f"a CSV file with {' and '.join(absent)}")
    for number, row in enumerate(rows, 1):
        if None in row.values() or len(row) > len(columns):
            raise ShanshuiError(f"{path}, row {number} has not as many values as the header", f"{len(columns)} values")
    return rows


def sha256(path: str | Path) -> str:
    """Compute the SHA-256 of a file's content, in hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: object) -> str:
    """Return the first 16 hex digits of the SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
