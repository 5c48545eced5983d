"""Outputs of a command, declared with its arguments and checked before it starts.

No file of the user is overwritten: an existing file must be recognised as one that such a command wrote, an existing
folder as written by this package; or `--force` is given. That a place cannot be written to is found before hours of
work, not after them.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np

from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.files import behind_links, sha256
from shanshui.storage.folders import check_replaceable, own_files, record

Kind = Literal["file", "folder", "shared"]
NO_INPUTS = {"arguments", "stage", "outputs", "run"}  # of the command itself
LARGEST = 2**28  # bytes of a file that is read again to list it
MARK = "shanshui"  # in what is recognised: metadata of weights, stamps of JSON files
BEGINNINGS = {  # of texts written here
    ".csv": ("name,image,label", "kind,model,epoch,seed", "id,name,train_pixels"),
    ".md": ("# Data report\n", "# Scores of ", "# Runs side by side\n", "---\nlibrary_name: shanshui\n"),
}
ONNX_BEGINNING = b"\x08\x08\x12\x08shanshui"  # the version of the format, and the program that wrote the file


@dataclass(frozen=True)
class Output:
    """An argument that names what is written.

    `kind` is "file", "folder" (replaced as a whole) or "shared" (a folder that may hold other files; `names` are
    written in it). `suffixes` are the accepted endings, all if empty. `mark` is a key in the metadata of weights that
    only this command writes.
    """

    kind: Kind
    suffixes: tuple[str, ...] = ()
    mark: str = ""
    names: tuple[str, ...] = ()


class Argument(TypedDict, total=False):
    """Options of `argparse.ArgumentParser.add_argument` that outputs are declared with."""

    help: str
    metavar: str
    required: bool


def add_output(parser: argparse.ArgumentParser, flag: str, output: Output, **options: Unpack[Argument]) -> None:
    """Add the argument `flag`, a path that names an output; with the first one, add `--force` too."""
    action = parser.add_argument(flag, type=Path, **options)
    declared: dict[str, Output] = parser.get_default("outputs") or {}
    if not declared:
        parser.add_argument("--force", action="store_true", help="overwrite what is there, even if not written by it")
    parser.set_defaults(outputs={**declared, action.dest: output})


def add_file(
    parser: argparse.ArgumentParser, flag: str, *suffixes: str, mark: str = "", **options: Unpack[Argument]
) -> None:
    """Add an argument that names a file to write; see `Output` for `suffixes` and `mark`."""
    add_output(parser, flag, Output("file", suffixes, mark), **options)


def add_folder(parser: argparse.ArgumentParser, flag: str, **options: Unpack[Argument]) -> None:
    """Add an argument that names a folder to replace."""
    add_output(parser, flag, Output("folder"), **options)


def add_shared_folder(parser: argparse.ArgumentParser, flag: str, *names: str, **options: Unpack[Argument]) -> None:
    """Add an argument that names a folder in which the files `names` are written next to others."""
    add_output(parser, flag, Output("shared", names=names), **options)


def check(args: argparse.Namespace) -> None:
    """Check every declared output before anything is computed.

    Raises:
        UsageError: an output would replace an input, is named twice, or is a file instead of a folder or vice versa.
        ShanshuiError: an output would replace a file that this package did not write.
        OSError: an output cannot be written.
    """
    declared: Mapping[str, Output] = getattr(args, "outputs", None) or {}
    values = vars(args)
    given = {name: values[name] for name in declared if values.get(name) is not None}
    others = values.keys() - declared.keys() - NO_INPUTS
    inputs = [path for name in sorted(others) for path in _paths(values[name])]
    for name, path in given.items():
        output, flag = declared[name], f"--{name.replace('_', '-')}"
        check_inputs_stay(path, output.kind, inputs, flag)
        if output.kind == "folder":
            check_replaceable(path, args.force)
        elif output.kind == "shared":
            _check_shared(path, output.names, args.force)
        else:
            _check_file(path, output, args.force, flag)
        check_writable(path, folder=output.kind != "file")
    if twice := {path for path in given.values() if list(given.values()).count(path) > 1}:
        raise UsageError(f"{min(twice)} is named for two outputs", "a name for each")


def remember(args: argparse.Namespace) -> None:
    """List a command's outputs in `.shanshui.json` next to them, if their content does not identify them."""
    for name, output in (getattr(args, "outputs", None) or {}).items():
        path: Path | None = getattr(args, name)
        if path is None or output.kind == "folder":
            continue
        files = [path] if output.kind == "file" else [path / part for part in output.names]
        plain = [
            file for file in files if file.is_file() and not file.is_symlink() and not _recognised(file, output.mark)
        ]
        if small := [file for file in plain if file.stat().st_size <= LARGEST]:
            record(small[0].parent, [file.name for file in small])


def _paths(value: object) -> Iterator[Path]:
    """Yield the paths in an argument's value: a path, text `path` or `name=path` if it exists, or a list of them."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str):
        for text in {value, value.partition("=")[2]} - {""}:
            if len(text) < 4096 and "\0" not in text and os.path.lexists(text):
                yield Path(text)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part)


def check_inputs_stay(out: Path, kind: Kind, inputs: Iterable[Path | None], flag: str = "--out") -> None:
    """Check that writing `out` replaces none of `inputs`, not even with `--force`.

    Raises:
        UsageError: it would; the message calls `out` by `flag`.
    """
    target = _real(out)
    for path in inputs:
        if not path:
            continue
        if kind == "folder" and _real(path).is_relative_to(target):
            raise UsageError(f"{flag} {out} holds {path}", "a folder of its own: it is replaced", "name another folder")
        if kind == "file" and target == _real(path):
            raise UsageError(f"{flag} {out} is what this command reads", "another file to write", "name another file")


def _real(path: Path) -> Path:
    """Resolve symbolic links as far as they lead anywhere."""
    return Path(os.path.realpath(path))


def _check_shared(path: Path, names: Iterable[str], force: bool) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file", "a folder, or a name that is free", "name another folder")
    for file in (path / name for name in names):
        if os.path.lexists(file) and not force and not _ours(file, ""):
            raise not_ours(file)


def _ours(file: Path, mark: str) -> bool:
    """Test whether this command wrote a file, by its content or by an unchanged entry of the list next to it."""
    listed = own_files(file.parent).get(file.name)
    return _recognised(file, mark) or (listed is not None and file.is_file() and listed == sha256(file))


def not_ours(path: Path) -> ShanshuiError:
    """Return the error for an existing file that this command did not recognise as its own."""
    return ShanshuiError(
        f"{path} is there already, and is not recognised as an output of this command",
        "a name that is free",
        "name another one; or, to lose that file, add --force",
    )


def _check_file(path: Path, output: Output, force: bool, flag: str) -> None:
    if output.suffixes and path.suffix.lower() not in output.suffixes:
        raise UsageError(f"{flag} {path}", f"a name that ends in {' or '.join(output.suffixes)}")
    target = behind_links(path)
    if target.is_dir():
        raise UsageError(f"{flag} {path} is a folder", "a file", f"name a file in it: {path / 'name'}")
    if target.exists() and not force and not _ours(target, output.mark):
        raise not_ours(path)


def _recognised(path: Path, mark: str) -> bool:
    """Test by its content whether this package wrote a file; weights must have `mark` in their metadata."""
    if not path.is_file():
        return not path.exists() or os.path.samefile(path, os.devnull)
    if path.stat().st_size == 0:
        return True
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _weights_of(path, mark)
    try:
        if suffix == ".onnx":
            with open(path, "rb") as content:
                return content.read(len(ONNX_BEGINNING)) == ONNX_BEGINNING
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return "fingerprint" in json.loads(str(archive["header"]))
        with open(path, encoding="utf-8") as handle:
            if suffix == ".json":
                return _json_of_ours(json.load(handle))
            start = handle.read(1000)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        return False
    if suffix in BEGINNINGS:
        return start.startswith(BEGINNINGS[suffix])
    return suffix == ".html" and "<title>shanshui · " in start


def _json_of_ours(content: object) -> bool:
    """Test whether JSON content is a stamped file, a score, a ranking or a dictionary of single-class pairs."""
    if not isinstance(content, dict):
        return False
    keys = content.keys()
    return MARK in keys or keys >= {"sets", "features"} or keys >= {"rank_by", "chosen", "ranking"} or _pairs(content)


def _is_pair(row: object) -> bool:
    return isinstance(row, dict) and row.keys() == {"name", "image"}


def _pairs(content: Mapping[str, object]) -> bool:
    """Test whether a dictionary is one of single-class pairs: rows of a name and a file by class id."""
    rows = [row for listed in content.values() for row in (listed if isinstance(listed, list) else [None])]
    return bool(rows) and all(str(key).isdecimal() for key in content) and all(_is_pair(row) for row in rows)


def _weights_of(path: Path, mark: str) -> bool:
    from safetensors import SafetensorError, safe_open

    from shanshui.storage.checkpoint import META

    try:
        with safe_open(str(path), framework="numpy") as file:
            meta = json.loads((file.metadata() or {})[META])
    except (SafetensorError, OSError, ValueError, KeyError):
        return False
    if mark == "stored" or "stored" in meta:  # copies of any of the others, with fewer bits a number
        return mark == "stored" and "stored" in meta
    made_by = {key for key in ("imported", "averaged", "teacher") if key in meta}
    return made_by == ({mark} if mark else set())


def check_writable(path: Path, folder: bool = False) -> None:
    """Check that `path` can be written, by a temporary file that leaves nothing behind.

    Args:
        path: need not exist, nor its folders.
        folder: `path` is a folder in which files will be written.

    Raises:
        OSError: it cannot be written, for the reason that the system gives.
    """
    target = behind_links(path)
    _check_name(target)
    if target.is_dir() and not folder:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    place = target if folder else target.parent
    while not place.exists():
        if place.is_symlink():
            raise OSError(
                errno.ENOENT, os.strerror(errno.ENOENT), f"{os.readlink(place)}, where the link {place} leads"
            )
        place = place.parent
    if not place.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from None


def _check_name(path: Path) -> None:
    """Raise OSError if a part of a path is longer than its file system allows."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        place = path
        while not place.exists():
            place = place.parent
        longest = os.pathconf(place, "PC_NAME_MAX")
        for part in path.parts:
            if len(os.fsencode(part)) > longest:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path)) from None
