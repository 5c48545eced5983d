"""Weight files inside released packages: member, installed path, and extraction.

Archives are only read; nothing in them is run, not even a source distribution's setup.py.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shanshui.errors import ShanshuiError

BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError)


@dataclass(frozen=True)
class PackageFile:
    """A file in a package of the index.

    Attributes:
        project: the package's name on the index.
        version: the release.
        archive: file name of the wheel or source distribution.
        sha256: of the archive.
        member: path of the file in the archive.
        installed: the package is a requirement of this one, so that set-up installs it.
    """

    project: str
    version: str
    archive: str
    sha256: str
    member: str
    installed: bool = False

    def __str__(self) -> str:
        return f"{Path(self.member).name} in {self.archive}, package {self.project} {self.version} of pip's index"

    def installed_path(self) -> Path | None:
        """Return the path of the file in an installed package; None if this version is not installed."""
        try:
            distribution = importlib.metadata.distribution(self.project)
        except importlib.metadata.PackageNotFoundError:
            return None
        path = Path(str(distribution.locate_file(self.member)))
        return path if distribution.version == self.version and path.is_file() else None


@contextmanager
def _member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """Open a regular file inside a wheel (zip) or a source distribution (tar, gzip)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened, opened.open(member) as stream:
            yield stream
        return
    with tarfile.open(archive, "r:gz") as opened_tar:
        stream_or_none = opened_tar.extractfile(member)
        if stream_or_none is None:
            raise KeyError(f"{member} is no file")
        with stream_or_none as stream:
            yield stream


def unpack(archive: Path, member: str, target: Path) -> str:
    """Copy the member of an archive to `target`; return its SHA-256.

    Raises:
        ShanshuiError: the archive is damaged or has no such member.
    """
    try:
        with _member(archive, member) as stream, open(target, "wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
    except KeyError:
        raise ShanshuiError(f"{archive.name} has no file {member}", "the published archive") from None
    except BROKEN as error:
        raise ShanshuiError(f"{archive.name} cannot be unpacked: {error}", "a complete archive") from None
    with open(target, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
