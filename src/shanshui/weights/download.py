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
    """A readable stream."""

    def read(self, amount: int, /) -> bytes:
        """At most `amount` bytes; none at the end."""
        ...


def copy_with_progress(source: Stream, target: Path, total: int | None, title: str) -> str:
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
    """ShanshuiError where fewer bytes came than were announced."""
    if total is not None and (size := file.stat().st_size) != total:
        raise ShanshuiError(f"the download broke off after {size} of {total} bytes", do="try again")
