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

from shanshui.errors import ShanshuiError
from shanshui.storage.names import printable
from shanshui.storage.system_errors import full_disk, is_full
from shanshui.storage.texts import decode_text

Row = Mapping[str, object]
NO_FSYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # a file system without it; some lack it for folders alone
IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST)  # why a folder cannot take a name
AGAIN = "name the file that is meant; if an earlier stage wrote this one, remove it and run that stage again"
SHOWN, LONGEST_SUFFIX = 30, 16  # characters of the target's name in a temporary one


def put_in_place(staged: Path, target: Path) -> None:
    """Give `staged` the name `target`. A folder in its way goes aside first and is removed last; a file never does.

    Retries while another process creates a folder there. If anything fails, the previous folder is restored.
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
    """A name next to `target` with its suffix, which no other process has, on this or any other machine.

    Process ids would not do: containers and nodes that share a folder have equal ones. It is not longer than names
    may be, though `target`'s be as long as that.
    """
    suffix = target.suffix if len(target.suffix) <= LONGEST_SUFFIX else ""
    return target.with_name(f".{target.stem[:SHOWN]}.{secrets.token_hex(6)}{suffix}")


def behind_links(path: Path) -> Path:
    """Where a symbolic link leads: what is written goes there, and the link stays.

    Raises OSError where it leads round in a circle, or into a folder that is not there.
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
    """Give a file or folder made for its owner alone, as some libraries make them, the mode of other new ones.

    The mode is read off a new one: asking for the umask means setting it, for all threads of the process.
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
    """Wait until a file, or a folder with all in it, is on the disk: what a name stands for is then whole for good."""
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

    The temporary name keeps the suffix, so that writers which look at it work. The content is on the disk before it
    gets its name, so that a power cut leaves the old content or the new one. For files; `shanshui.storage.folders` is
    for folders. Through a symbolic link the file it leads to is replaced. ShanshuiError where the disk is full, OSError
    where `path` is a folder or cannot be written.
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
    """Write UTF-8 text."""
    with atomic(path) as staged:
        staged.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON; ShanshuiError names a missing or broken file."""
    try:
        return json.loads(decode_text(Path(path).read_bytes(), str(path), "JSON"))
    except FileNotFoundError:
        raise ShanshuiError(f"{path} does not exist", "a JSON file written by an earlier stage") from None
    except (ValueError, RecursionError) as error:
        raise ShanshuiError(f"{path} is not valid JSON: {error}", "JSON written by an earlier stage", AGAIN) from None


def write_csv(path: str | Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Write `rows` under `columns`, in the order given."""
    with atomic(path) as staged, open(staged, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path, needed: Sequence[str] = ()) -> list[dict[str, str]]:
    """Read a CSV with a header line; every value is text.

    ShanshuiError where it is missing, no UTF-8, lacks a column of `needed`, or has a line of another length.
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
    """SHA-256 of a file's content, as hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of a JSON-able value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
