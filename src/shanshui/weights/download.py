"""Copy files from disk or download them, with a progress bar and digests."""

from __future__ import annotations

import hashlib
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Protocol

from shanshui.errors import ShanshuiError

CHUNK = 1 << 20


class Stream(Protocol):
    """A readable binary stream."""

    def read(self, amount: int, /) -> bytes:
        """Read at most `amount` bytes; none at the end."""
        ...


def copy_with_progress(source: Stream, target: Path, total: int | None, title: str) -> str:
    """Copy a stream of `total` bytes (None: unknown) to `target` with a progress bar; return its SHA-256."""
    from tqdm import tqdm

    digest = hashlib.sha256()
    with open(target, "wb") as out, tqdm(total=total, desc=title, unit="B", unit_scale=True) as bar:
        while chunk := source.read(CHUNK):
            out.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def fetch(source: str, target: Path, title: str) -> str:
    """Copy a local file or download an https:// address to `target`, checking certificates; return its SHA-256.

    Raises:
        ShanshuiError: the file does not exist, the server does not answer, or the download is incomplete.
    """
    if "://" not in source:
        path = Path(source)
        if not path.is_file():
            raise ShanshuiError(
                f"{path} {'is a folder' if path.is_dir() else 'does not exist'}", "a weight file or an https:// address"
            )
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
    check_length(target, total)
    return found


def check_length(file: Path, total: int | None) -> None:
    """Check that a download has `total` bytes, if their number is known.

    Raises:
        ShanshuiError: it has another length.
    """
    if total is not None and (size := file.stat().st_size) != total:
        raise ShanshuiError(f"the download broke off after {size} of {total} bytes", do="try again")
