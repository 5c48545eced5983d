"""Replace folders as a whole, unless they contain files not written by shanshui.

Every folder written here holds a list of its own files with their SHA-256, `.shanshui.json`. A file that is not in the
list, or whose content has changed since, counts as the user's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from shanshui.errors import ShanshuiError, UsageError, full_disk, is_full
from shanshui.storage.files import behind_links, open_up, put_in_place, read_json, sha256, to_disk, write_json

LIST = ".shanshui.json"
OF_THE_SYSTEM = frozenset({LIST, ".snakemake_timestamp", ".DS_Store", "Thumbs.db", "desktop.ini"})
NAMED = 5


def own_files(folder: Path) -> dict[str, str]:
    """Read the list of files that this package wrote to `folder`: SHA-256 by name, empty without a list."""
    try:
        listed = read_json(folder / LIST)
    except (ShanshuiError, OSError):
        return {}
    files = listed.get("files") if isinstance(listed, dict) else None
    return {str(k): str(v) for k, v in files.items()} if isinstance(files, dict) else {}


def foreign(folder: Path, most: int = NAMED + 1, apart: Path | None = None) -> list[str]:
    """List up to `most` files, links and empty folders in `folder` that this package did not write.

    Args:
        folder: is searched with all its subfolders.
        most: the search ends when this number is found.
        apart: a direct subfolder that is left out.
    """
    own, found = own_files(folder), []
    for place, inner, names in os.walk(folder):
        here = Path(place)
        if apart and here == folder:
            inner[:] = [name for name in inner if name != apart.name]
        links = [name for name in inner if (here / name).is_symlink()]
        if not inner and not names and here != folder:
            found.append(f"{here.relative_to(folder)}/")
        for name in sorted([*links, *(name for name in names if name not in OF_THE_SYSTEM)]):
            path = here / name
            if path.is_symlink() or not path.is_file() or not _as_written(path, own.get(str(path.relative_to(folder)))):
                found.append(str(path.relative_to(folder)))
        if len(found) >= most:
            break
    return sorted(found)[:most]


def _as_written(path: Path, digest: str | None) -> bool:
    return digest is not None and sha256(path) == digest


def record(folder: Path, names: Iterable[str] | None = None) -> None:
    """Write the list of the package's own files in `folder`.

    Args:
        folder: where the list is written.
        names: files to add to the list, relative to `folder`; None lists all that are there.
    """
    if names is None:
        found = [Path(place) / name for place, _, files in os.walk(folder) for name in files if name != LIST]
        listed = {str(path.relative_to(folder)): sha256(path) for path in found}
    else:
        listed = own_files(folder) | {name: sha256(folder / name) for name in names}
    content: dict[str, object] = {"about": "files that shanshui wrote here; others are never removed", "files": listed}
    write_json(folder / LIST, content)


def check_replaceable(path: Path, force: bool = False, apart: Path | None = None) -> None:
    """Check that replacing the folder `path` loses no file that this package did not write.

    Args:
        path: the folder; it need not exist.
        force: accept that files are lost.
        apart: a direct subfolder that is left out of the check.

    Raises:
        ShanshuiError: it holds files that this package did not write, and `force` is not given.
        UsageError: it is a file, or holds such files and is the working folder, the home folder or a folder above them.
    """
    target = behind_links(path)
    if target.exists() and not target.is_dir():
        raise UsageError(f"{path} is a file", "a folder, or a name that is free", "name another folder")
    others = _foreign_now(target, apart)
    if not others:
        return
    shown = ", ".join(others[:NAMED]) + (", ..." if len(others) > NAMED else "")
    held = f"{path} holds what this software did not put there: {shown}"
    if what := _never(target):
        raise UsageError(f"{held}; it is {what}", "a folder of its own: it is replaced", "name another folder")
    if not force:
        raise ShanshuiError(
            held, "a folder that is new, empty, or written by this software and left as it was: it is replaced",
            "name another folder; or, to lose these files, add --force",
        )  # fmt: skip


def _foreign_now(target: Path, apart: Path | None) -> list[str]:
    """Run `foreign` on a folder until no other process replaced it meanwhile; empty if there is no folder."""
    while target.is_dir():
        before = _identity(target)
        with contextlib.suppress(FileNotFoundError):
            found = foreign(target, apart=apart)
            if _identity(target) == before:
                return found
    return []


def _identity(folder: Path) -> tuple[int, ...]:
    """Return device, inode and change time, which tell a folder from a later one of that name; () without a folder."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return ()
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _never(target: Path) -> str:
    """Describe a folder that is never replaced, such as the home folder; empty for all others."""
    real = Path(os.path.realpath(target))
    kept = {Path.cwd(): "the working folder"}
    with contextlib.suppress(RuntimeError, KeyError):
        kept[Path.home().resolve()] = "the home folder"
    for folder, what in kept.items():
        if folder == real:
            return what
        if folder.is_relative_to(real):
            return f"a folder above {what}"
    return ""


def _stays(target: Path) -> bool:
    """Test whether `target` exists and cannot be renamed, so that its contents are replaced instead."""
    if not target.is_dir():
        return False
    return (
        target.is_mount()
        or Path.cwd().is_relative_to(os.path.realpath(target))
        or not os.access(target.parent, os.W_OK)
    )


@contextlib.contextmanager
def replaced(path: str | Path, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder that replaces the folder `path` on success, with a list of its files.

    On any error the new folder is removed and the previous one stays as it was.

    Args:
        path: the folder; it need not exist.
        force: replace it even if it holds files that this package did not write.

    Raises:
        ShanshuiError: as for `check_replaceable`, and if the disk is full.
        UsageError: as for `check_replaceable`.
    """
    target = behind_links(Path(path))
    check_replaceable(target, force)
    stays = _stays(target)
    parent = target if stays else target.parent
    staged: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=".shanshui.", dir=parent))
        yield staged
        record(staged)
        open_up(staged)
        to_disk(staged)
        check_replaceable(target, force, staged)  # again: it took a while
        if stays:
            _fill(target, staged)
        else:
            put_in_place(staged, target)
    except BaseException as error:
        if staged:
            shutil.rmtree(staged, ignore_errors=True)
            if target.is_dir() and any(target.iterdir()):
                print(f"{path} is as it was before this call", file=sys.stderr)
        if is_full(error):
            raise full_disk(target) from error
        raise


def _fill(target: Path, staged: Path) -> None:
    """Replace everything in `target` by the contents of its subfolder `staged`."""
    before = [path for path in target.iterdir() if path != staged]
    aside = Path(tempfile.mkdtemp(prefix=".shanshui.old.", dir=target))
    for path in before:
        os.replace(path, aside / path.name)
    for path in list(staged.iterdir()):
        os.replace(path, target / path.name)
    shutil.rmtree(aside)
    staged.rmdir()
