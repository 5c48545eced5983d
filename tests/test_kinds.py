"""Files that are something else than was asked for are named for what they are, at every door."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from small_set import Set, small_set

from shanshui.errors import ShanshuiError
from shanshui.evaluation.image_folder import list_image_files
from shanshui.evaluation.reference import HEADER, Reference
from shanshui.storage import checkpoint
from shanshui.storage.files import read_csv, read_json
from shanshui.storage.kinds import what_it_is
from shanshui.storage.texts import read_text
from shanshui.weights.catalogue import load_state

Make = Callable[[Path], object]


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "net_G.pth")


def numpy_text() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


KINDS: dict[str, tuple[Make, str]] = {
    "web page": (lambda p: p.write_text("<!DOCTYPE html><html>404"), "a web page"),
    "Git LFS": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "picture": (lambda p: Image.new("RGB", (9, 9)).save(p, "PNG"), "a PNG image"),
    "photograph": (lambda p: Image.new("RGB", (9, 9)).save(p, "JPEG"), "a JPEG image"),
    "HDF5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)), "an HDF5 file"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(90)), "a gzip archive"),
    "tar": (tar, "a tar archive"),
    "an array": (lambda p: p.write_bytes(numpy_text()), "an array of NumPy"),
    "nothing": (lambda p: p.touch(), "empty, 0 bytes"),
    "folder": (lambda p: p.mkdir(), "a folder"),
}
WEIGHTS: list[Callable[[Path], Any]] = [checkpoint.load, load_state]


@pytest.mark.parametrize("read", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_weights(kind: str, read: Callable[[Path], Any], tmp_path: Path) -> None:
    make, words = KINDS[kind]
    make(tmp_path / "w.pth")
    with pytest.raises(ShanshuiError) as caught:
        read(tmp_path / "w.pth")
    assert words in caught.value.found
    assert "remove it and" not in caught.value.do or caught.value.do.startswith("if a run wrote it")


@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.safetensors"])
def test_safetensors_are_told_by_content(name: str, tmp_path: Path) -> None:
    save_file({"a.weight": np.ones(2, np.float32)}, tmp_path / name)
    assert load_state(tmp_path / name)["a.weight"].tolist() == [1, 1]
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-4])
    with pytest.raises(ShanshuiError, match="cannot be read"):
        load_state(tmp_path / name)


TEXTS: list[Callable[[Path], Any]] = [read_json, read_csv, lambda p: read_text(p, "the list", "text")]


@pytest.mark.parametrize("read", TEXTS)
@pytest.mark.parametrize("kind", ["picture", "photograph", "HDF5", "gzip", "tar", "an array"])
def test_texts(kind: str, read: Callable[[Path], Any], tmp_path: Path) -> None:
    make, words = KINDS[kind]
    make(tmp_path / "x")
    with pytest.raises(ShanshuiError, match="x is no text") as caught:
        read(tmp_path / "x")
    assert words in caught.value.found
    assert "iconv" not in caught.value.do


def test_text_without_the_mark_of_its_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("p0\np1\n", encoding="utf-16-le")
    with pytest.raises(ShanshuiError, match="perhaps UTF-16 without its mark"):
        read_text(tmp_path / "x", "the list", "text")


STATISTICS: dict[str, tuple[Make, str]] = {
    "zip of other things": (lambda p: zipfile.ZipFile(p, "w").writestr("a", "b"), "a zip archive with a in it"),
    "header no JSON": (lambda p: np.savez(p, **{HEADER: np.array("x")}), "cannot be read"),
    "header a list": (lambda p: np.savez(p, **{HEADER: np.array("[1]")}), "its header is not one of statistics"),
    "header of numbers": (lambda p: np.savez(p, **{HEADER: np.zeros(3)}), "cannot be read"),
    "header empty": (lambda p: np.savez(p, **{HEADER: np.array("{}")}), "its header is not one of statistics"),
    "objects": (lambda p: np.savez(p, mu=np.array([{}], object), sigma=np.zeros(3)), "Object arrays"),
    **{kind: KINDS[kind] for kind in ("web page", "HDF5", "nothing")},
}


@pytest.mark.parametrize("kind", STATISTICS)
def test_statistics(kind: str, tmp_path: Path) -> None:
    make, words = STATISTICS[kind]
    make(tmp_path / "s.npz")
    with pytest.raises(ShanshuiError) as caught:
        Reference.load(tmp_path / "s.npz")
    assert "s.npz cannot be read: " in caught.value.found
    assert words in caught.value.found


def test_plain_text_is_no_format() -> None:
    assert what_it_is(b"BMW and others\n").startswith("text, beginning")
    assert what_it_is(bytes(range(200, 256))) == ""


PLACES: dict[str, tuple[Make, str]] = {
    "a file": (lambda p: p.write_text("x"), "is no folder but a file, text, beginning 'x'"),
    "an archive": (lambda p: zipfile.ZipFile(p, "w").writestr("a", "b"), "is no folder but a file, a zip archive"),
    "a dead link": (lambda p: p.symlink_to("unmounted"), "is a link to unmounted, where nothing is"),
    "nothing": (lambda _: None, "does not exist"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_where_a_folder_is_wanted(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, words = PLACES[kind]
    data: Set = small_set(tmp_path)
    for file in (tmp_path / "test").iterdir():
        file.unlink()
    (tmp_path / "test").rmdir()
    make(tmp_path / "test")
    assert data.validate() == 1
    assert f"{tmp_path / 'test'} {words}" in capsys.readouterr().err
    with pytest.raises(ShanshuiError) as caught:
        list_image_files(tmp_path / "test")
    assert words in caught.value.found
