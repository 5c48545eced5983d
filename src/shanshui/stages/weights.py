"""Fetch a weight file made by others (Inception for FID, nets of perceptual losses), or take one from disk.

The content is compared with the published SHA-256 where one is known, and with the digits in a name like torch's
vgg19-dcbb9e9d.pth; otherwise its SHA-256 is recorded beside the file, and another content is refused from then on.
The file is also read once, by a reader that executes nothing in it.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from shanshui.weights.catalogue import WeightFile

CHUNK = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="weight files; --list shows them")
    parser.add_argument("--list", action="store_true", help="show all weight files and whether they are here")
    parser.add_argument("--from", dest="source", metavar="FILE|URL", help="take the file from here instead")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder to put it in (default: resources/weights)")


def copy_with_progress(source: BinaryIO, target: Path, total: int | None, title: str) -> str:
    """Copy a stream to `target`; return the SHA-256 of what was copied."""
    from tqdm import tqdm

    digest = hashlib.sha256()
    with open(target, "wb") as out, tqdm(total=total, desc=title, unit="B", unit_scale=True) as bar:
        while chunk := source.read(CHUNK):
            out.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def fetch(source: str, target: Path, title: str) -> str:
    """Copy a local file or download a URL (certificates are checked) to `target`; return its SHA-256.

    Raises ShanshuiError where the file is not there, the server does not answer or the download breaks off.
    """
    from shanshui.errors import ShanshuiError

    if "://" not in source:
        path = Path(source)
        if not path.is_file():
            raise ShanshuiError(f"{path} does not exist", "a weight file or an https:// address")
        with open(path, "rb") as local:
            return copy_with_progress(local, target, path.stat().st_size, title)
    if not source.startswith("https://"):
        raise ShanshuiError(f"{source} is not an https:// address", "an https:// address or a file")
    by_hand = f"download {source} by hand, then add `--from FILE` to this command"
    try:
        with urllib.request.urlopen(source, context=ssl.create_default_context(), timeout=60) as answer:
            total = int(answer.headers.get("Content-Length") or 0) or None
            found = copy_with_progress(answer, target, total, title)
    except (urllib.error.URLError, OSError) as error:
        raise ShanshuiError(f"{source} cannot be downloaded: {error}", "an answer from the server", by_hand) from None
    if total is not None and target.stat().st_size != total:
        raise ShanshuiError(f"the download broke off after {target.stat().st_size} of {total} bytes", do="try again")
    return found


def take(weights: WeightFile, source: str, folder: Path) -> Path:
    """Fetch, verify, read once, and put the file in its place."""
    from shanshui.files import atomic
    from shanshui.weights.catalogue import load_state, recorded

    target = folder / weights.file
    with atomic(target) as staged:
        found = fetch(source, staged, weights.file)
        known = weights.sha256 or recorded(target).is_file()
        weights.check(found, folder, source)
        tensors = load_state(staged)
        weights.record(found, folder)
    state = (
        "as published"
        if weights.sha256
        else "as recorded"
        if known
        else "no published digest is known to compare it with"
    )
    print(f"{target}: {len(tensors)} arrays, SHA-256 {found} ({state})")
    print(f"licence: {weights.licence}")
    return target


def show_all(folder: Path) -> None:
    """Print the catalogue with what is here."""
    from shanshui.weights.catalogue import WEIGHT_FILES

    for weights in WEIGHT_FILES.values():
        here = (folder / weights.file).is_file()
        print(f"{weights.name}: {weights.purpose}; {'here' if here else 'missing'} ({folder / weights.file})")
        print(f"  {weights.url}\n  {weights.licence}")


def run(args: argparse.Namespace) -> None:
    """List or fetch."""
    from shanshui.errors import UsageError
    from shanshui.weights.catalogue import FOLDER, entry

    folder = args.out or FOLDER
    if args.list:
        show_all(folder)
        return
    if not args.names:
        raise UsageError("no weight file named", "python -m shanshui weights NAME", "python -m shanshui weights --list")
    if args.source and len(args.names) > 1:
        raise UsageError(f"--from {args.source} for {len(args.names)} weight files", "one NAME with --from")
    wanted = [entry(name) for name in args.names]
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < (1 << 30):
        print(f"less than 1 GB free in {folder}", file=sys.stderr)
    for weights in wanted:
        take(weights, args.source or weights.url, folder)
