"""Readers of foreign weight files: right to the bit, and deaf to anything but arrays."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles

from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.storage.files import sha256
from shanshui.weights import catalogue
from shanshui.weights.catalogue import load_state, require
from shanshui.weights.jittor_file import MAGIC, read_jittor_file
from shanshui.weights.package_file import PackageFile
from shanshui.weights.torch_file import LEGACY_START, read_torch_file

DATA = Path(__file__).parent / "data"


class Malicious:
    """Unpickling it with `pickle.load` would create the file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth"])
def test_reads_what_torch_wrote(name: str) -> None:
    state = read_torch_file(DATA / name)
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = {
        "slice": whole[1:3, 2:5],
        "transposed": whole.T,
        "scalar": np.array(3),
        "bfloat16": np.array([[1.5, -2.0], [0.25, 3.0]], np.float32),
        "float16": np.array([0.5, -4.0], np.float16),
        "bool": np.array([True, False]),
        "parameter": np.array([[1, 2], [3, 4]], np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "uint8": np.array([1, 2, 255], np.uint8),
        "float64": np.array([0.125]),
        "int64": np.arange(5),
    }
    assert list(state) == list(expected)
    for key, value in expected.items():
        assert state[key].dtype == value.dtype, key
        np.testing.assert_array_equal(state[key], value, strict=True)
    assert load_state(DATA / name)["float64"].dtype == np.float32


@pytest.mark.parametrize("net", ["G", "E", "D"])
def test_reads_the_stored_torch_checkpoints(golden_files: GoldenFiles, net: str) -> None:
    state = read_torch_file(golden_files.checkpoint(f"spade/latest_net_{net}.pth"))
    made = golden_rule.fill({key: value.shape for key, value in state.items()})
    assert state
    for key, value in state.items():
        np.testing.assert_allclose(value, made[key], atol=1e-6, err_msg=key)


@pytest.mark.parametrize("file", ["apf/180_net_E.pkl", "apf/180_net_G.pkl", "apf_numpy/180_net_E.pkl"])
def test_reads_the_stored_jittor_checkpoints(golden_files: GoldenFiles, file: str) -> None:
    state = read_jittor_file(golden_files.checkpoint(file))
    made = golden_rule.fill({key: value.shape for key, value in state.items()})
    assert state
    for key, value in state.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, made[key], atol=1e-6, err_msg=key)


def test_old_and_new_averages_agree(golden_files: GoldenFiles) -> None:
    new = load_state(golden_files.checkpoint("apf/avg_180_200_net_E.pkl"))
    old = read_jittor_file(golden_files.checkpoint("apf_numpy/avg_180_200_net_E.pkl"))
    assert {value.dtype for value in old.values()} == {np.dtype(np.float64)}
    assert list(new) == list(old)
    for key, value in new.items():
        np.testing.assert_allclose(value, old[key], atol=1e-6)


def test_reading_imports_neither_jittor_nor_torch(golden_files: GoldenFiles) -> None:
    file = golden_files.checkpoint("apf/180_net_E.pkl")
    code = (
        "import sys; from shanshui.weights.catalogue import load_state; load_state(sys.argv[1]);"
        "sys.exit(bool({'jittor', 'jittor_core', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(file)], check=False).returncode == 0


@pytest.mark.parametrize("protocol", range(6))
def test_reads_arrays_of_every_pickle_protocol(tmp_path: Path, protocol: int) -> None:
    state = {
        "plain": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big_endian": np.arange(3, dtype=">i4"),
        "scalar": np.array(2.5),
        "flags": np.array([True, False]),
    }
    file = tmp_path / "w.pkl"
    file.write_bytes(pickle.dumps(OrderedDict(state), protocol))
    found = read_jittor_file(file)
    assert list(found) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(found[key], value)
        assert found[key].shape == value.shape
        assert found[key].dtype == value.dtype.newbyteorder("=")


def refused(file: Path, word: str) -> None:
    with pytest.raises(ShanshuiError, match=word) as caught:
        load_state(file)
    assert file.name in str(caught.value)


@pytest.mark.parametrize("kind", ["pickle", "zip", "legacy"])
def test_a_malicious_file_is_refused_and_nothing_runs(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "executed"
    attack = pickle.dumps({"weight": Malicious(mark)}, 2)
    file = tmp_path / "w.pth"
    if kind == "pickle":
        file.write_bytes(attack)
    elif kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("w/data.pkl", attack)
    else:
        system = {"little_endian": True, "protocol_version": 1001, "type_sizes": {}}
        file.write_bytes(LEGACY_START + pickle.dumps(1001, 2) + pickle.dumps(system, 2) + attack)
    refused(file, r"refused: it wants to use (posix|nt)\.system")
    assert not mark.exists()
    pickle.loads(attack)  # the attack is real
    assert mark.exists()


def test_foreign_classes_and_altered_functions_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pkl"
    file.write_bytes(pickle.dumps({"weight": np.array([object()])}, 4))
    refused(file, "refused: it holds an array of type 'O8'")
    file.write_bytes(pickle.dumps({"weight": Path("x")}, 4))
    refused(file, "refused: it wants to use pathlib")
    file.write_bytes(pickle.dumps({"weight": "text"}, 4))
    refused(file, "'weight' is not an array")
    file.write_bytes(pickle.dumps([1, 2], 4))
    refused(file, "holds a list")
    # numpy.dtype, then BUILD with (None, {'call': None}): an attempt to replace what stands behind a name
    file.write_bytes(b"\x80\x02cnumpy\ndtype\nN}X\x04\x00\x00\x00callNs\x86b.")
    refused(file, "tries to set `call`")


def test_an_array_larger_than_its_bytes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pkl"
    good = pickle.dumps({"weight": np.zeros((5, 7), np.float32)}, 4)
    file.write_bytes(good.replace(b"K\x05K\x07", b"K\xffK\x07"))
    refused(file, "shape .255, 7. has 140 bytes")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth", "jittor.pkl"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    if name == "jittor.pkl":
        content = pickle.dumps({"a": np.zeros(50), "b": np.ones(50)}, 4)
    else:
        content = (DATA / name).read_bytes()
    file = tmp_path / name
    file.write_bytes(content[: int(len(content) * share)])
    refused(file, "cannot be read|refused")


def test_a_changed_byte_is_found_by_the_tail(golden_files: GoldenFiles, tmp_path: Path) -> None:
    content = bytearray(golden_files.checkpoint("apf/180_net_E.pkl").read_bytes())
    assert content.endswith(MAGIC)
    content[len(content) // 2] ^= 1
    file = tmp_path / "w.pkl"
    file.write_bytes(content)
    refused(file, "does not match its own checksum")


def zip_with(file: Path, size: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> None:
    """A torch zip of one float32 tensor of the given geometry over 6 elements, written by hand."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + value.to_bytes(4, "little", signed=True) for value in values) + b"t"

    program = b"\x80\x02}X\x01\x00\x00\x00w" + b"ctorch._utils\n_rebuild_tensor_v2\n("
    program += b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    program += b"J" + size.to_bytes(4, "little", signed=True) + b"tQ"
    program += b"J" + offset.to_bytes(4, "little", signed=True) + numbers(shape) + numbers(strides)
    program += b"\x89NtRs."
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("w/data.pkl", program)
        archive.writestr("w/data/0", np.arange(6, dtype="<f4").tobytes())


def test_strides_are_kept_inside_of_the_storage(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    zip_with(file, 6, (2, 2), (3, 1), 1)
    np.testing.assert_array_equal(read_torch_file(file)["w"], [[1, 2], [4, 5]])
    zip_with(file, 6, (2, 2), (3, 1), 3)
    refused(file, "outside of its storage")
    zip_with(file, 6, (2, 2), (-1, 1), 3)
    refused(file, "strides")
    zip_with(file, 6, (1000, 1000), (0, 0))
    refused(file, "outside of its storage")
    zip_with(file, 600, (20, 30), (30, 1))
    refused(file, "6 elements instead of 600")
    zip_with(file, 6, (2, 2), (3,))
    refused(file, "strides")


def test_compressed_archives_and_torchscript_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"x" * 100)
    refused(file, "compressed")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("w/data.pkl", b"x")
        archive.writestr("w/constants.pkl", b"x")
    refused(file, "TorchScript")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", b"x")
    refused(file, "without a torch checkpoint")


def test_a_missing_file_comes_with_the_command_that_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PackageFile, "installed_path", lambda package: None)
    for name, entry in catalogue.WEIGHT_FILES.items():
        with pytest.raises(ShanshuiError, match=f"python -m shanshui weights {name}") as caught:
            require(name)
        assert entry.origin in str(caught.value)
    place = catalogue.FOLDER / catalogue.WEIGHT_FILES["fid_inception"].file
    place.parent.mkdir(parents=True)
    place.write_bytes(b"something else")
    for path in (None, place, place.resolve()):
        with pytest.raises(ShanshuiError, match="SHA-256"):
            require("fid_inception", path)
    own = place.rename(tmp_path / "own.pth")
    assert require("fid_inception", own) == own
    with pytest.raises(ShanshuiError, match="vgg19"):
        require("vgg11")


def test_content_without_a_published_digest_is_trusted_on_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = catalogue.FOLDER / catalogue.WEIGHT_FILES["vgg19"].file
    place.parent.mkdir(parents=True)
    place.write_bytes(b"put there by hand")
    assert require("vgg19") == require("vgg19") == place
    record = place.with_name("vgg19.pkl.sha256")
    assert record.read_text().split() == [sha256(place), "vgg19.pkl"]
    place.write_bytes(b"changed since")
    with pytest.raises(ShanshuiError, match=rf"vgg19\.pkl has SHA-256 {sha256(place)}") as caught:
        require("vgg19")
    assert f"remove {record}" in str(caught.value)
    record.unlink()
    assert require("vgg19") == place


def test_fetched_content_must_be_what_was_fetched_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.numpy import save_file

    monkeypatch.chdir(tmp_path)
    fetch = ["weights", "vgg19", "--out", str(tmp_path / "kept"), "--from"]
    save_file({"a": np.zeros(3)}, tmp_path / "first.safetensors")
    save_file({"a": np.ones(3)}, tmp_path / "other.safetensors")
    monkeypatch.setattr(catalogue, "load_state", lambda path: {})
    assert main([*fetch, "first.safetensors"]) == 0
    assert "no published digest is known" in capsys.readouterr().out
    first = (tmp_path / "kept" / "vgg19.pkl").read_bytes()
    assert main([*fetch, "first.safetensors"]) == 0
    assert "as recorded" in capsys.readouterr().out
    assert main([*fetch, "other.safetensors"]) == 1
    assert "recorded it of the file first taken" in capsys.readouterr().err
    assert (tmp_path / "kept" / "vgg19.pkl").read_bytes() == first


def test_digits_in_a_name_like_torchs_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "load_state", lambda path: {})
    (tmp_path / "w").write_bytes(b"weights")
    right = (tmp_path / "w").rename(tmp_path / f"vgg19-{sha256(tmp_path / 'w')[:8]}.pth")
    assert main(["weights", "vgg19", "--out", str(tmp_path / "a"), "--from", str(right)]) == 0
    wrong = right.rename(tmp_path / "vgg19-dcbb9e9d.pth")
    assert main(["weights", "vgg19", "--out", str(tmp_path / "b"), "--from", str(wrong)]) == 1
    assert "dcbb9e9d..., as its name says" in capsys.readouterr().err
    assert list((tmp_path / "b").iterdir()) == []


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.arange(3.0)}, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(load_state(tmp_path / "w.safetensors")["a"], np.arange(3, dtype=np.float32))
    (tmp_path / "w.safetensors").write_bytes(b"\x00" * 20)
    refused(tmp_path / "w.safetensors", "cannot be read")
